"""Taking the place of an Argo Events installation: once, without doing or losing anything twice."""

from controller.adoption.deciding import Place, Takeover
from controller.adoption.forgetting import Removed, forget
from controller.adoption.names import durable_name, places
from controller.adoption.taking import ADOPT, Outcome, asked, take_over

__all__ = [
    "ADOPT",
    "Outcome",
    "Place",
    "Removed",
    "Takeover",
    "asked",
    "durable_name",
    "forget",
    "places",
    "take_over",
]
