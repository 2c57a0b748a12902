"""All services there are."""

from services.service import Service
from services.webhook import Webhook

SERVICES: dict[str, type[Service]] = {one.kind: one for one in (Webhook,)}
"""Type in YAML -> its model."""
