"""Amazon SNS: publishes a message to a topic. Ours: Argo's engine knows queues only."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from typing_extensions import override

from services.fitting import word
from services.queues import GROUP, Calls, OfAws, attributes, deduplication
from services.service import Block, Client, Message, Receipt
from spine.aws import open_client
from spine.errors import TriggerError
from spine.runtime import Env

_TOPIC = re.compile(r"arn:aws[\w-]*:sns:(?P<region>[\w-]+):\d*:[\w-]+(?:\.fifo)?")


class AwssnsBlock(Block):
    """What goes with the message."""

    together: ClassVar[bool] = False

    subject: str = ""
    """Subject of mails that the topic sends: ASCII, 100 characters at most."""
    message_group_id: str = ""
    """Group within which a `.fifo` topic keeps the order; `tocsin` where none is given."""
    message_attributes: dict[str, str] = {}
    """Attributes of the message, by which subscriptions filter; ten at most."""


class Awssns(OfAws):
    """Publishes to a topic of Amazon SNS."""

    kind: ClassVar[str] = "awssns"
    block: ClassVar[type[Block] | None] = AwssnsBlock
    recipients: ClassVar[str] = "ARN of a topic; empty: `topic`"
    idempotent: ClassVar[str] = (
        "MessageDeduplicationId of a .fifo topic, else attribute idempotency-key"
    )
    example: ClassVar[str] = """
service.awssns: |
  topic: arn:aws:sns:eu-central-1:123456789012:deployments
template.ready: |
  message: "{{ .obj.metadata.name }} is ready"
  awssns:
    subject: "{{ .obj.metadata.name }}"
"""

    topic: str = ""
    """ARN of the topic where a recipient names none."""

    @override
    def problem(self, recipient: str) -> str:
        topic = recipient or self.topic
        if not topic:
            return "no topic: name one, or write topic"
        found = _TOPIC.fullmatch(topic)
        if found is None:
            return f"{topic!r} is no ARN of a topic, such as arn:aws:sns:eu-central-1:123:name"
        if self.region and found["region"] != self.region:
            return f"{topic!r} is in {found['region']}, and region says {self.region}"
        return ""

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Awssns, env: Env) -> AsyncIterator[Client]:
    found = _TOPIC.fullmatch(service.topic)
    access = service.access(found["region"] if found else "")
    async with open_client("sns", access, f"opening awssns {env.name!r}") as client:
        yield _Client(service, Calls(service, client))


class _Client(Client):
    def __init__(self, service: Awssns, calls: Calls) -> None:
        self._service, self._calls = service, calls

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        topic = recipient or self._service.topic
        if why := self._service.problem(recipient):
            raise TriggerError(f"publishing to SNS: {why}", permanent=True)
        what = f"publishing to topic {topic}"
        if not message.text:
            raise TriggerError(f"{what}: the message is empty", permanent=True)
        asked = {"TopicArn": topic, "Message": message.text, **_extras(topic, message, key)}
        sent = await self._calls.call(what, "publish", **asked)
        detail = {"messageId": sent.get("MessageId", ""), "topic": topic}
        return Receipt(f"in topic {topic.rpartition(':')[2]}", detail)


def _extras(topic: str, message: Message, key: str) -> dict[str, Any]:
    """Return what goes with the body of a message."""
    block, fifo = message.block, topic.endswith(".fifo")
    extras: dict[str, Any] = {}
    if subject := word(block, "subject"):
        extras["Subject"] = " ".join(subject.split())
    if fifo:
        extras["MessageGroupId"] = word(block, "messageGroupId") or GROUP
        extras["MessageDeduplicationId"] = deduplication(key)
    given = attributes(block.get("messageAttributes") or {}, "" if fifo else key)
    return extras | ({"MessageAttributes": given} if given else {})
