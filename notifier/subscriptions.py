"""Subscriptions of one object: who is told, by which trigger."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from notifier.config.configuration import Configuration, Destination, Problem

__all__ = ["Destination", "Subscribed", "subscriptions_of"]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Who is told about an object."""

    by_trigger: Mapping[str, tuple[Destination, ...]] = field(default_factory=dict)
    """Name of a trigger -> destinations, each once."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the annotations; the key is the annotation."""


def subscriptions_of(
    configuration: Configuration,
    annotations: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    prefix: str,
) -> Subscribed:
    """Return who is told about an object with such annotations and labels; pure."""
    raise NotImplementedError
