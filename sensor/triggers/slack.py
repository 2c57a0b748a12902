"""Slack: writes to a channel. Its fields are read and checked; writing comes later."""

from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from sensor.fields import Flag
from sensor.sending import Sending, missing
from sensor.unbuilt import Unbuilt
from spine.model import Model
from spine.secrets import SecretRef


class Thread(Model):
    """Which messages stand below one another."""

    message_aggregation_key: str = ""
    """Messages of the same key are in one thread."""
    broadcast_message_to_channel: Flag = False
    """Whether answers are shown in the channel as well."""


class Author(Model):
    """Who a message is from."""

    username: str = ""
    """Name shown."""
    icon: str = ""
    """An emoji such as `:bell:`, or the URL of a picture."""


class Slack(Unbuilt, Sending):
    """Writes to a Slack channel."""

    kind: ClassVar[str] = "slack"
    dead_keys: ClassVar[Mapping[str, str]] = {
        "namespace": "Secrets are taken from the namespace of the Sensor"
    }

    slack_token: SecretRef
    """Where the token stands."""
    channel: str = ""
    """Channel, with or without `#`."""
    message: str = ""
    """Text of the message."""
    attachments: str = ""
    """Attachments, as a JSON array."""
    blocks: str = ""
    """Blocks, as a JSON array."""
    thread: Thread | None = None
    """Which messages stand below one another."""
    sender: Author | None = None
    """Who it is from."""

    @override
    def check(self) -> None:
        some = self.message or self.attachments or self.blocks
        missing(self.kind, channel=self.channel, message_or_blocks=some)
