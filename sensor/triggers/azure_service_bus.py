"""Azure Service Bus: sends a message. Its fields are read and checked; sending comes later."""

from typing import ClassVar

from typing_extensions import override

from sensor.parameters import PayloadEntry
from sensor.sending import Sending, missing
from sensor.unbuilt import Unbuilt
from spine.access import TlsConfig
from spine.secrets import SecretRef


class AzureServiceBus(Unbuilt, Sending):
    """Sends to an Azure Service Bus."""

    kind: ClassVar[str] = "azureServiceBus"

    connection_string: SecretRef | None = None
    """Where the connection string stands."""
    queue_name: str = ""
    """Queue to send to."""
    topic_name: str = ""
    """Topic to send to, where there is no queue."""
    subscription_name: str = ""
    """Of no effect."""
    tls: TlsConfig | None = None
    """TLS settings; none trusts the system's CA certificates."""
    payload: list[PayloadEntry]
    """What the body is built from."""

    @override
    def check(self) -> None:
        missing(self.kind, queueName_or_topicName=self.queue_name or self.topic_name)
