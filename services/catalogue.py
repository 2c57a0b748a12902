"""All services there are."""

from services.awssns import Awssns
from services.awssqs import Awssqs
from services.console import Console
from services.nats import Nats
from services.service import Service
from services.webhook import Webhook

_ALL: tuple[type[Service], ...] = (
    Awssns,
    Awssqs,
    Console,
    Nats,
    Webhook,
)
SERVICES: dict[str, type[Service]] = {one.kind: one for one in _ALL}
"""Type in YAML -> its model."""
