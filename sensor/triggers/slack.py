"""Slack: writes to a channel, as the service `slack` does it.

The token is named in an action and read when it is sent, so a rotated one is taken at once. Threads
are kept in the bus's store: they outlive a restart, and all replicas know them.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import Field
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.sending import Sending, missing
from sensor.telling import outcome_of
from services.opened import Clients
from services.service import Message, Service
from spine.errors import ConfigError, TriggerError
from spine.fields import Flag
from spine.model import Model, load
from spine.runtime import Env
from spine.secrets import SecretRef, Secrets


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


class Slack(Sending):
    """Writes to a Slack channel."""

    kind: ClassVar[str] = "slack"
    dead_keys: ClassVar[Mapping[str, str]] = {
        "namespace": "Secrets are taken from the namespace of the Sensor"
    }

    slack_token: SecretRef
    """Where the token stands."""
    channel: str = ""
    """Channel, with or without `#`; ours: or a person's id or e-mail address."""
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
    api_url: Annotated[str, Field(alias="apiURL")] = ""
    """Ours: address of Slack's API, where it is another one."""

    @override
    def check(self) -> None:
        some = self.message or self.attachments or self.blocks
        missing(self.kind, channel=self.channel.removeprefix("#"), message_or_blocks=some)
        for name, text in (("attachments", self.attachments), ("blocks", self.blocks)):
            if why := _no_array(text):
                raise ConfigError(f"reading slack.{name}: {why}")

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


def _no_array(text: str) -> str:
    """Return why a text is no JSON array; empty where it is one, or nothing at all."""
    if not text.strip():
        return ""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        return f"no JSON at line {exc.lineno} column {exc.colno}: {exc.msg.partition(':')[0]}"
    return "" if isinstance(value, list) else "it is JSON, but no array"


# ---------------------------------------------------------------------------- sending


@asynccontextmanager
async def _open(env: Env) -> AsyncIterator[Sender]:
    shared = replace(env, name="slack")  # threads are those of the Sensor, whatever trigger writes
    async with Clients(shared) as clients:
        yield SlackSender(clients, env.secrets)


class SlackSender(Sender):
    """Writes what an action of kind `slack` holds."""

    def __init__(self, clients: Clients, secrets: Secrets) -> None:
        self._clients, self._secrets = clients, secrets

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        channel = content["channel"].removeprefix("#")
        try:
            async with self._clients.of(self._service(content)) as client:
                receipt = await client.send(_message(action), channel, action.key)
        except ConfigError as exc:  # a Secret may yet come
            raise TriggerError(f"writing to Slack's {channel}: {exc}") from exc
        return outcome_of({channel: receipt})

    def _service(self, content: Mapping[str, Any]) -> Service:
        from services import slack

        token = self._secrets.secret(SecretRef(**content["slackToken"]))
        if not token.strip():
            raise ConfigError("reading slackToken: it is empty")
        settings = {"token": token}
        if "apiURL" in content:
            settings["apiURL"] = content["apiURL"]
        return load(slack.Slack, settings)


def _message(action: Action) -> Message:
    content = action.content
    author, thread = content.get("sender", {}), content.get("thread", {})
    block = {
        "attachments": content.get("attachments"),
        "blocks": content.get("blocks"),
        "username": author.get("username"),
        "icon": author.get("icon"),
        "groupingKey": thread.get("messageAggregationKey"),
        "notifyBroadcast": thread.get("broadcastMessageToChannel"),
    }
    said = {name: value for name, value in block.items() if value}
    return Message(text=content.get("message", ""), block=said, template=action.trigger)
