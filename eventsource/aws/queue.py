"""A queue of SQS: messages are received while there is room, and deleted once they are events.

What is in hand is kept invisible to others however long the bus is away, and given back at the
end. As long as batches come full, several are asked for at a time; one long poll waits when the
queue is empty. Of a queue in order, the messages of a group become events one after the other.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from eventsource.aws.account import AwsError, Calls, opened
from eventsource.aws.queue_message import SqsMessage, attributes
from eventsource.bodies import base64_body, event_id, json_body
from eventsource.taking import MAX_BYTES, Taken, Taker
from spine.aws import READ_TIMEOUT, Access
from spine.errors import EventError, Fault, SourceError

log = logging.getLogger(__name__)

BATCH = 10
"""Messages of one call; SQS takes and gives no more."""
ABREAST = 8
"""Calls of a kind at a time."""
MOST = 1_000
"""Messages that the queue does not yet know to be done."""
LINGER = 0.02
"""Seconds for which messages that are done wait for more, to be deleted together."""
REREAD = 10.0
"""Seconds after which the keys are looked at again."""
LAST_WORD = 0.3
"""Seconds for what the queue is told at the end."""
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What is received, and how."""

    queue: str
    owner: str
    """Account of the queue; empty where it is ours."""
    wait: int
    """Seconds for which the queue holds a call that finds no message."""
    visibility: int
    """Seconds for which a message is lent."""
    place: tuple[str, str]
    """EventSource and event."""
    metadata: bytes
    """The member of payloads with its comma, or nothing."""
    json: bool
    """Whether bodies are JSON."""
    leave: bool
    """Whether a body that is not is left to the queue."""

    @property
    def ordered(self) -> bool:
        """Whether the order within a group counts."""
        return self.queue.endswith(".fifo")


class _Held:
    """A message that the queue does not yet know to be done."""

    __slots__ = ("done", "group", "id", "kept", "message", "receipt")

    def __init__(self, id: str, receipt: str, group: str, message: Taken, now: float) -> None:
        self.id, self.receipt, self.group, self.message = id, receipt, group, message
        self.kept, self.done = now, False


class Queue:
    """A queue, and what is in hand of it."""

    def __init__(self, reading: Reading, access: Callable[[], Access], taker: Taker) -> None:
        """`access` says as whom; it may raise ConfigError."""
        self._reading, self._access, self._taker = reading, access, taker
        self._what = f"queue {reading.queue}"
        self._url = ""
        self._tried = False
        self._held: dict[str, _Held] = {}
        self._groups: dict[str, deque[_Held]] = {}
        self._done: list[_Held] = []
        self._some_done = asyncio.Event()
        self._size = 0
        self._moved = asyncio.Event()
        self._clock = asyncio.get_running_loop().time

    async def session(self, up: Callable[[], None]) -> None:
        """Receive until the connection breaks. Raises SourceError and ConfigError."""
        while True:
            access = self._access()
            doing = f"receiving from {self._what}"
            wait = self._reading.wait + READ_TIMEOUT
            async with opened("sqs", access, doing, read_timeout=wait) as calls:
                await self._find(calls)
                up()
                try:
                    await self._work(calls, _Renewed(self._access, access, self._what))
                except asyncio.CancelledError:
                    await self._taker.finish()
                    await self._last_word(calls)
                    raise

    # ------------------------------------------------------------------------ the queue

    async def _find(self, calls: Calls) -> None:
        """Look up where the queue is, and whether it can be used."""
        owner = self._reading.owner
        asked = {"QueueOwnerAWSAccountId": owner} if owner else {}
        name = self._reading.queue
        what = f"looking for {self._what}"
        try:
            found = await calls.call(what, "get_queue_url", QueueName=name, **asked)
        except AwsError as exc:
            if exc.why in _NO_QUEUE:
                exc.hint = "check queue, region and queueAccountId"
            raise
        self._url = str(found["QueueUrl"])
        if not self._tried:
            await self._try(calls)
            self._tried = True

    async def _try(self, calls: Calls) -> None:
        """Find out whether messages may be deleted: else each would come for ever."""
        try:
            what = f"deleting messages of {self._what}"
            await calls.call(what, "delete_message", QueueUrl=self._url, ReceiptHandle="none")
        except AwsError as exc:
            if exc.denied:
                raise
        if not self._reading.leave:
            return
        asked = {"QueueUrl": self._url, "AttributeNames": ["RedrivePolicy"]}
        with suppress(AwsError):  # it takes a right that is not needed otherwise
            found = await calls.call(f"asking {self._what}", "get_queue_attributes", **asked)
            if "RedrivePolicy" not in found.get("Attributes", {}):
                log.warning(
                    "%s has no dead-letter queue, so a message that is not JSON comes again until"
                    " it is too old (give it a redrive policy, or write dlq: false)",
                    self._what,
                )

    async def _work(self, calls: Calls, renewed: "_Renewed") -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._delete(calls), name="delete messages"),
                    tasks.create_task(self._keep(calls), name="keep messages"),
                ]
                await self._receive(calls, renewed)
                for task in others:
                    task.cancel()
        except BaseExceptionGroup as group:
            found, rest = group.split(SourceError)
            if found is None or rest is not None:
                raise
            first: BaseException = found
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None

    # ------------------------------------------------------------------------ in

    async def _receive(self, calls: Calls, renewed: "_Renewed") -> None:
        """Receive until there are other keys."""
        helpers: set[asyncio.Task[None]] = set()

        async def help_out() -> None:
            while not renewed() and await self._receive_once(calls):
                pass

        most = 0 if self._reading.ordered else ABREAST - 1
        async with asyncio.TaskGroup() as tasks:
            while not renewed():
                count = await self._receive_once(calls)
                if count == BATCH and len(helpers) < most:
                    helper = tasks.create_task(help_out(), name="receive messages")
                    helpers.add(helper)
                    helper.add_done_callback(helpers.discard)

    async def _receive_once(self, calls: Calls) -> int:
        """Receive as soon as there is room; return how many messages came."""
        await self._until_room()
        found = await calls.call(
            f"receiving from {self._what}",
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=self._reading.visibility,
            WaitTimeSeconds=self._reading.wait,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        messages = found.get("Messages") or []
        for one in messages:
            self._take(one)
        return len(messages)

    async def _until_room(self) -> None:
        while True:
            await self._taker.until_room()
            if len(self._held) < MOST and self._size < MAX_BYTES:
                return
            self._moved.clear()
            await self._moved.wait()

    def _take(self, one: Mapping[str, Any]) -> None:
        known, receipt, now = one["MessageId"], one["ReceiptHandle"], self._clock()
        held = self._held.get(known)
        if held is not None:  # it was lent for too short
            held.receipt, held.kept = receipt, now
            return
        group = one.get("Attributes", {}).get("MessageGroupId", "")
        try:
            message = self._taken(known, one["Body"].encode(errors="replace"), one)
        except EventError as exc:
            extra = {"error": str(exc)}
            log.warning("leaving message %s to the dead-letter queue", known, extra=extra)
            return
        held = _Held(known, receipt, group if self._reading.ordered else "", message, now)
        self._held[known] = held
        self._size += message.size
        if held.group:
            line = self._groups.setdefault(held.group, deque())
            line.append(held)
            if len(line) > 1:
                return  # its turn comes
        self._begin(held)

    def _taken(self, id: str, body: bytes, one: Mapping[str, Any]) -> Taken:
        """Return a message to work on. Raises EventError for one that is left to the queue."""
        reading = self._reading
        given = attributes(one.get("MessageAttributes", {}))
        written = json_body if reading.json else base64_body
        if reading.leave:
            written(body)
        return Taken(
            form=lambda: SqsMessage(id, given, written(body), reading.metadata),
            as_it_is=lambda: SqsMessage(id, given, base64_body(body), reading.metadata),
            what=f"message {id} of {self._what}",
            size=len(body) + len(given),
            id=event_id((*reading.place, reading.queue, id)),
        )

    def _begin(self, held: _Held) -> None:
        self._taker.begin_now(held.message, partial(self._finished, held))

    # ------------------------------------------------------------------------ out

    def _finished(self, held: _Held) -> None:
        held.done = True
        self._done.append(held)
        self._some_done.set()
        if held.group:
            line = self._groups[held.group]
            line.popleft()
            if line:
                self._begin(line[0])
            else:
                del self._groups[held.group]

    async def _delete(self, calls: Calls) -> None:
        while True:
            await self._some_done.wait()
            if len(self._done) < BATCH:
                await asyncio.sleep(LINGER)
            self._some_done.clear()
            await self._tell(calls)

    async def _tell(self, calls: Calls) -> None:
        """Delete what is done; where that fails, the next connection does it."""
        try:
            while self._done:
                part = self._done[: BATCH * ABREAST]
                async with asyncio.TaskGroup() as tasks:
                    for batch in _batches(part):
                        tasks.create_task(self._delete_batch(calls, batch))
                self._done[: len(part)] = again = [held for held in part if held.id in self._held]
                if again:
                    raise SourceError(f"deleting {len(again)} messages of {self._what}: in vain")
        finally:
            if self._done:
                self._some_done.set()

    async def _delete_batch(self, calls: Calls, batch: list[_Held]) -> None:
        what = f"deleting messages of {self._what}"
        found = await self._of_batch(calls, what, "delete_message_batch", batch)
        failed = {int(one["Id"]): one for one in found.get("Failed") or []}
        for number, held in enumerate(batch):
            one = failed.get(number)
            if one is not None and not one.get("SenderFault"):
                continue
            if one is not None:  # it comes again, as the same event
                log.warning("message %s was not deleted: %s", held.id, one.get("Code"))
            if self._held.pop(held.id, None) is not None:
                self._size -= held.message.size
        self._moved.set()

    async def _keep(self, calls: Calls) -> None:
        """Keep what is in hand from being lent to others."""
        told = False
        while True:
            await asyncio.sleep(self._reading.visibility / 6)
            now, third = self._clock(), self._reading.visibility / 3
            old = [h for h in self._held.values() if not h.done and now - h.kept >= third]
            try:
                for batch in _batches(old):
                    await self._lend(calls, batch, self._reading.visibility)
                    for held in batch:
                        held.kept = now
            except AwsError as exc:
                if exc.lasting and not told:
                    told = True
                    log.warning("messages may come twice", extra={"error": str(exc)})

    async def _lend(self, calls: Calls, batch: list[_Held], seconds: int) -> None:
        what = f"keeping messages of {self._what}"
        method = "change_message_visibility_batch"
        await self._of_batch(calls, what, method, batch, VisibilityTimeout=seconds)

    async def _of_batch(
        self, calls: Calls, what: str, method: str, batch: list[_Held], **more: Any
    ) -> Mapping[str, Any]:
        entries = [
            {"Id": str(number), "ReceiptHandle": held.receipt, **more}
            for number, held in enumerate(batch)
        ]
        return await calls.call(what, method, QueueUrl=self._url, Entries=entries)

    async def _last_word(self, calls: Calls) -> None:
        """Delete what is done and give back the rest, if that works at once."""
        rest = [held for held in self._held.values() if not held.done]
        with suppress(SourceError, BaseExceptionGroup, TimeoutError):
            async with asyncio.timeout(LAST_WORD):
                await self._tell(calls)
                for batch in _batches(rest):
                    await self._lend(calls, batch, 0)


def _batches(held: list[_Held]) -> Iterator[list[_Held]]:
    for start in range(0, len(held), BATCH):
        yield held[start : start + BATCH]


class _Renewed:
    """Tells whether there are other keys by now; looks once in a while."""

    def __init__(self, access: Callable[[], Access], present: Access, what: str) -> None:
        self._access, self._present, self._what = access, present, what
        self._clock = asyncio.get_running_loop().time
        self._until = self._clock() + REREAD
        self._found = False

    def __call__(self) -> bool:
        """Return whether there are; keys that cannot be read are none."""
        if self._clock() >= self._until:
            self._until = self._clock() + REREAD
            try:
                self._found = self._access() != self._present
            except Fault as exc:
                log.error("keeping the present keys of %s", self._what, extra={"error": str(exc)})  # noqa: TRY400 -- the text says it all
            else:
                if self._found:
                    log.info("taking the new keys of %s", self._what)
        return self._found
