"""Amazon SQS: puts a message into a queue.

Queues in order (`.fifo`) get the key of the message, so that SQS itself drops what comes twice;
nothing is delayed, which Argo's engine does by ten seconds and which those queues refuse.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from typing_extensions import override

from services.fitting import word
from services.queues import GROUP, Calls, OfAws, Refused, attributes, deduplication
from services.service import Block, Client, Message, Receipt
from spine.aws import open_client
from spine.errors import TriggerError
from spine.runtime import Env

_KEPT = 256
"""URLs of queues that are remembered."""


class AwssqsBlock(Block):
    """What goes with the message."""

    together: ClassVar[bool] = False

    message_group_id: str = ""
    """Group within which a `.fifo` queue keeps the order; `tocsin` where none is given."""
    message_attributes: dict[str, str] = {}
    """Attributes of the message, ten at most."""


class Awssqs(OfAws):
    """Sends to a queue of Amazon SQS."""

    kind: ClassVar[str] = "awssqs"
    block: ClassVar[type[Block] | None] = AwssqsBlock
    recipients: ClassVar[str] = "name or URL of a queue; empty: `queue`"
    idempotent: ClassVar[str] = (
        "MessageDeduplicationId of a .fifo queue, else attribute idempotency-key"
    )
    example: ClassVar[str] = """
service.awssqs: |
  region: eu-central-1
  queue: deployments
  key: $sqs-key
  secret: $sqs-secret
template.ready: |
  message: "{{ .obj.metadata.name }} is ready"
  awssqs:
    messageAttributes:
      namespace: "{{ .obj.metadata.namespace }}"
"""

    queue: str = ""
    """Name or URL of the queue where a recipient names none."""
    account: str = ""
    """Account that the queue belongs to, where it is another one."""

    @override
    def problem(self, recipient: str) -> str:
        return "" if recipient or self.queue else "no queue: name one, or write queue"

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Awssqs, env: Env) -> AsyncIterator[Client]:
    async with open_client("sqs", service.access(), f"opening awssqs {env.name!r}") as client:
        yield _Client(service, Calls(service, client))


class _Client(Client):
    def __init__(self, service: Awssqs, calls: Calls) -> None:
        self._service, self._calls = service, calls
        self._urls: OrderedDict[str, str] = OrderedDict()

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        queue = recipient or self._service.queue
        if why := self._service.problem(recipient):
            raise TriggerError(f"sending to SQS: {why}", permanent=True)
        what = f"sending to queue {queue}"
        if not message.text:
            raise TriggerError(f"{what}: the message is empty", permanent=True)
        asked = {"QueueUrl": await self._url(queue), "MessageBody": message.text}
        try:
            sent = await self._calls.call(
                what, "send_message", **asked, **_extras(queue, message, key)
            )
        except Refused as exc:
            if exc.why in _GONE:  # it may have been made anew
                self._urls.pop(queue, None)
            raise
        detail = {"messageId": sent.get("MessageId", ""), "queue": queue}
        return Receipt(f"in queue {_name(queue)}", detail)

    async def _url(self, queue: str) -> str:
        if "://" in queue:
            return queue
        known = self._urls.get(queue)
        if known is not None:
            self._urls.move_to_end(queue)
            return known
        owner = self._service.account
        asked = {"QueueOwnerAWSAccountId": owner} if owner else {}
        what = f"looking for queue {queue}"
        try:
            found = await self._calls.call(what, "get_queue_url", QueueName=queue, **asked)
        except Refused as exc:
            if exc.why not in _GONE:
                raise
            hint = "check queue, region and account, and that sqs:GetQueueUrl is granted"
            raise TriggerError(exc.message, hint=hint, permanent=True) from exc
        self._urls[queue] = url = str(found["QueueUrl"])
        if len(self._urls) > _KEPT:
            self._urls.popitem(last=False)
        return url


_GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


def _name(queue: str) -> str:
    return queue.rpartition("/")[2]


def _extras(queue: str, message: Message, key: str) -> dict[str, Any]:
    """Return what goes with the body of a message."""
    block, fifo = message.block, queue.endswith(".fifo")
    extras: dict[str, Any] = {}
    group = word(block, "messageGroupId") or (GROUP if fifo else "")
    if group:  # a queue without order takes it too, for fair shares
        extras["MessageGroupId"] = group
    if fifo:
        extras["MessageDeduplicationId"] = deduplication(key)
    given = attributes(block.get("messageAttributes") or {}, "" if fifo else key)
    return extras | ({"MessageAttributes": given} if given else {})
