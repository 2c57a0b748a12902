"""Sends messages: one outlet for all services, behind the delivery of actions.

Before a message goes out it is looked up whether its service took it already, so a message that
comes again after a crash is sent once more only if the crash fell between sending and confirming;
it bears the same key then. What a service says is cleared of secrets before anybody sees it.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from typing_extensions import override

from delivery.action import Action, Outcome, Postponed, Sender
from delivery.policy import Bucket, RateLimit
from notifier import templates
from notifier.config import Configuration
from notifier.keeping import Records
from notifier.state import ObjectState, Told
from services.service import Client, Message, Receipt
from spine.errors import ConfigError, TriggerError
from spine.lang import EvaluationError
from spine.runtime import Env, Shared

log = logging.getLogger(__name__)

BUCKETS = 10_000
"""Recipients whose rate is kept in mind."""
TOLD_BEFORE = "told before"


class Target(msgspec.Struct, frozen=True):
    """The object of a message, where it is to bear what was told."""

    watch: int
    """Number of the watch."""
    namespace: str
    name: str


class Sent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The content of an action of a notifier."""

    service: str
    recipient: str
    message: Message
    trigger: str
    condition: str
    number: int
    object: str
    """Kind, namespace and name, for people."""
    record: str
    """Key of what is remembered of the object."""
    once: str = ""
    resolved: bool = False
    place: str = ""
    """Namespace of a configuration of its own; empty for the main one."""
    gone: bool = False
    """Whether the object was deleted: then nothing is remembered of it any more."""
    target: Target | None = None
    """Its object, where that is to bear what was told."""
    digest: str = ""
    """Where the messages of a digest are gathered; empty for a message of its own."""
    opened: float = 0.0
    """Which window of the digest."""


def content(sent: Sent) -> dict[str, Any]:
    """Return it as the content of an action."""
    found: dict[str, Any] = msgspec.to_builtins(sent)
    return found


class Clients:
    """The clients of one configuration's services, opened when they are first needed."""

    def __init__(self, configuration: Configuration, env: Callable[[str], Env]) -> None:
        self.configuration, self._env = configuration, env
        self._shared = Shared()

    async def close(self) -> None:
        """Close what is open."""
        await self._shared.__aexit__()

    async def get(self, name: str) -> Client:
        """Return the client of a service. Raises TriggerError where there is no such service."""
        service = self.configuration.services.get(name)
        if service is None:
            raise TriggerError(
                f"telling by {name!r}: the configuration has no service of that name",
                hint="bring it back and retry with tocsin dlq, or drop the dead letter",
                permanent=True,
            )
        try:
            client: Client = await self._shared.get(name, lambda: service.open(self._env(name)))
        except ConfigError as exc:  # such as a missing extra
            raise TriggerError(f"opening service {name!r}: {exc}") from exc
        return client


class Places(Protocol):
    """Knows the clients of each configuration."""

    async def clients(self, place: str) -> Clients:
        """Return the clients of a namespace's configuration, of the main one for an empty name."""
        ...


class Limiter:
    """Keeps to the rates of services and recipients, in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, ...], tuple[RateLimit, Bucket]] = {}

    def wait(self, configuration: Configuration, place: str, service: str, recipient: str) -> float:
        """Take a slot of every rate that holds and return the seconds until it comes."""
        limits = configuration.limits_of(service)
        pauses = [0.0]
        for key, rate in (
            ((place, service), limits.rate),
            ((place, service, recipient), limits.per_recipient),
        ):
            if rate is not None:
                limit = RateLimit(rate.per_second, burst=rate.burst)
                pauses.append(self._bucket(key, limit).reserve())
        return max(pauses)

    def _bucket(self, key: tuple[str, ...], limit: RateLimit) -> Bucket:
        found = self._buckets.pop(key, None)
        if found is None or found[0] != limit:
            found = limit, Bucket(limit, self._clock, rested=True)
        self._buckets[key] = found  # the latest stands last
        if len(self._buckets) > BUCKETS:
            del self._buckets[next(iter(self._buckets))]
        return found[1]


class Gatherings(Protocol):
    """Knows what was gathered for digests."""

    async def seal(self, sent: Sent) -> list[Action]:
        """Return the messages of a window that is over; nothing is added to them any more."""
        ...

    async def told(self, sent: Sent) -> None:
        """Remove a window that was told."""
        ...


Together = Callable[[list[Action], Configuration, Sent], Message]
"""Makes one message of many. Raises ConfigError and EvaluationError."""


@dataclass(slots=True)
class Outlet(Sender):
    """Sends what an action of a notifier holds."""

    places: Places
    records: Records
    limiter: Limiter
    digests: Gatherings
    together: Together
    told: Callable[[Sent, bool], None]
    """Hears of each attempt, and whether the message was taken."""
    mark: Callable[[Sent], Awaitable[None]] | None = None
    """Writes to the object what was told."""

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        sent = msgspec.convert(action.content, Sent)
        parts = await self.digests.seal(sent) if sent.digest else [action]
        if not parts or (not sent.digest and await self._before(sent, action.key)):
            return Outcome(TOLD_BEFORE, effect=False)
        clients = await self.places.clients(sent.place)
        configuration = clients.configuration
        if not action.postponed and attempt == 1:
            pause = self.limiter.wait(configuration, sent.place, sent.service, sent.recipient)
            if pause > 0:
                raise Postponed(pause)
        message = self._digest(parts, configuration, sent) if sent.digest else sent.message
        receipt = await self._send(clients, sent, message, action.key)
        for part in parts:
            told = msgspec.convert(part.content, Sent)
            await self._confirm(told, part)
            if self.mark is not None:
                await self.mark(told)
        if sent.digest:
            await self.digests.told(sent)
        return Outcome(configuration.redact(receipt.summary), effect=False)

    def _digest(self, parts: list[Action], configuration: Configuration, sent: Sent) -> Message:
        try:
            return self.together(parts, configuration, sent)
        except (ConfigError, EvaluationError) as exc:
            raise TriggerError(f"rendering a digest: {exc}", permanent=True) from exc

    async def _send(self, clients: Clients, sent: Sent, message: Message, key: str) -> Receipt:
        configuration = clients.configuration
        try:
            client = await clients.get(sent.service)
            revealed = templates.reveal(message, configuration.secrets)
            receipt = await client.send(revealed, sent.recipient, key)
        except EvaluationError as exc:  # a key of the Secret has gone
            self.told(sent, False)
            raise TriggerError(f"telling by {sent.service!r}: {exc}") from None
        except TriggerError as exc:
            self.told(sent, False)
            raise _hidden(exc, configuration) from None
        self.told(sent, True)
        for problem in receipt.problems:
            log.warning("%s", configuration.redact(problem), extra={"service": sent.service})
        log.info(
            "told %s of %s",
            f"{sent.service}:{sent.recipient}" if sent.recipient else sent.service,
            sent.object,
            extra={"trigger": sent.trigger, "answer": configuration.redact(receipt.summary)},
        )
        return receipt

    async def _before(self, sent: Sent, key: str) -> bool:
        """Return whether its service took this very message already."""
        record = await self.records.again(sent.record)
        told = _of(record.state, sent)
        return told is not None and told.confirmed == key

    async def _confirm(self, sent: Sent, action: Action) -> None:
        """Remember that a message was taken."""

        def change(state: ObjectState) -> bool:
            told = _of(state, sent)
            if told is None:
                if sent.gone or sent.resolved:
                    return False
                phase = state.phase(sent.trigger, sent.condition)
                told = Told(
                    *(sent.service, sent.recipient, "sent", action.event_time, sent.number),
                    once=sent.once,
                )
                phase.told.append(told)
                if phase.number < sent.number:  # stored by a process that died before it said so
                    phase.number, phase.since = sent.number, action.event_time
            told.confirmed = action.key
            if not sent.resolved:
                told.stage = "sent"
            return True

        await self.records.edit(sent.record, change)

    async def buried(self, action: Action) -> None:
        """Remember that a message will not arrive, unless somebody retries it."""
        sent = msgspec.convert(action.content, Sent)
        for part in await self.digests.seal(sent) if sent.digest else [action]:
            await self._given_up(msgspec.convert(part.content, Sent))

    async def _given_up(self, sent: Sent) -> None:
        def change(state: ObjectState) -> bool:
            told = _of(state, sent)
            if told is None or told.stage == "dead":
                return False
            told.stage = "dead"
            return True

        await self.records.edit(sent.record, change)


def _of(state: ObjectState, sent: Sent) -> Told | None:
    """Return what is remembered of a message's destination and activation."""
    phase = state.phases.get(f"{sent.trigger}/{sent.condition}")
    if phase is None:
        return None
    for told in reversed(phase.told):
        same = told.is_for(sent.service, sent.recipient) and told.once == sent.once
        if same and (sent.once or told.number == sent.number):
            return told
    return None


def _hidden(exc: TriggerError, configuration: Configuration) -> TriggerError:
    """Return an error without secrets."""
    return TriggerError(
        configuration.redact(exc.message),
        hint=configuration.redact(exc.hint),
        retry_after=exc.retry_after,
        permanent=exc.permanent,
    )
