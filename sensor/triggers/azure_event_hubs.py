"""Azure Event Hubs: sends an event. Its fields are read and checked; sending comes later."""

from typing import ClassVar

from sensor.fields import Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from sensor.unbuilt import Unbuilt
from spine.secrets import SecretRef


class AzureEventHubs(Unbuilt, Sending):
    """Sends to an Azure Event Hub."""

    kind: ClassVar[str] = "azureEventHubs"

    fqdn: Name
    """Host of the namespace, such as `mine.servicebus.windows.net`."""
    hub_name: Name
    """Event hub in it."""
    shared_access_key_name: SecretRef | None = None
    """Where the name of the shared access policy stands."""
    shared_access_key: SecretRef | None = None
    """Where its key stands."""
    payload: list[PayloadEntry]
    """What the body is built from."""
