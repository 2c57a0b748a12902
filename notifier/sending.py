"""Sends messages: one outlet for all services, behind the delivery of actions.

Before a message goes out it is looked up whether its service took it already, so a message that
comes again after a crash is sent once more only if the crash fell between sending and confirming;
it bears the same key then. What a service says is cleared of secrets before anybody sees it.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import msgspec
from typing_extensions import override

from delivery.action import Action, Outcome, Postponed, Sender
from delivery.policy import Bucket, RateLimit
from notifier import templates
from notifier.config import Configuration
from notifier.keeping import Records
from notifier.state import ObjectState, Stage, Told
from services.service import Client, Message, Receipt
from spine.errors import ConfigError, TriggerError
from spine.kube.versions import older
from spine.lang import EvaluationError
from spine.runtime import Env, Shared

log = logging.getLogger(__name__)

BUCKETS = 10_000
"""Recipients whose rate is kept in mind."""
TOLD_BEFORE = "told before"
PAUSES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.0, 0.0)
"""Seconds between looks whether a message that was sent is remembered as claimed."""
FRESH = 30.0
"""Seconds after which a message that is not remembered will not be any more."""
LONGEST = 60.0
"""Seconds between looks whether it was told that something began which is over."""
PATIENCE = 1_500
"""Looks, which is a day and a bit."""


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
    version: str = ""
    """Version of the object that led to it."""
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
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    looked: Callable[[str, str], bool] = lambda _record, _version: False
    """Whether this process evaluated an object at a later version than this."""
    mark: Callable[[Sent], Awaitable[None]] | None = None
    """Writes to the object what was told."""

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        sent = msgspec.convert(action.content, Sent)
        parts = await self.digests.seal(sent) if sent.digest else [action]
        if not parts:
            return Outcome(TOLD_BEFORE, effect=False)
        clients = await self.places.clients(sent.place)
        configuration = clients.configuration
        if not action.postponed and attempt == 1:
            pause = self.limiter.wait(configuration, sent.place, sent.service, sent.recipient)
            if pause > 0:
                raise Postponed(pause)
        if not sent.digest and (word := await self._before(sent, action)):
            return Outcome(word, effect=False)
        message = self._digest(parts, configuration, sent) if sent.digest else sent.message
        receipt = await self._send(clients, sent, message, action.key)
        try:
            await self._after(sent, parts)
        except Exception:  # it was sent: another attempt would tell it twice
            log.exception("noting that %s was told", sent.object)
        return Outcome(configuration.redact(receipt.summary), effect=False)

    async def _after(self, sent: Sent, parts: list[Action]) -> None:
        """Remember that a message was taken."""
        for part in parts:
            told = msgspec.convert(part.content, Sent)
            await self._confirm(told, part)
            if self.mark is not None:
                await self.mark(told)
        if sent.digest:
            await self.digests.told(sent)

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
        except Exception as exc:
            self.told(sent, False)
            _without_secrets(exc, configuration)
            raise
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

    async def _before(self, sent: Sent, action: Action) -> str:
        """Return why a message need not be sent; empty where it has to be.

        That something is over waits for the message that it began. Raises Postponed.
        """
        record = await self.records.again(sent.record)
        told = _of(record.state, sent)
        if told is None:
            return ""
        if told.confirmed == action.key:
            return TOLD_BEFORE
        if sent.resolved and told.stage == "claimed" and action.postponed < PATIENCE:
            raise Postponed(min(2.0 ** min(action.postponed, 10), LONGEST))
        if sent.resolved and not told.confirmed and told.stage == "dead":
            return "nobody was told that it began"
        return ""

    async def _confirm(self, sent: Sent, action: Action) -> None:
        """Remember that a message was taken."""
        known = False

        def note(state: ObjectState) -> bool:
            nonlocal known
            told = _of(state, sent)
            known = told is not None
            if told is None:
                return False
            told.confirmed = action.key
            if not sent.resolved:
                told.stage = "sent"
            return True

        fresh = self.clock() - action.event_time < FRESH
        for pause in PAUSES if fresh else (0.0,):  # it may be about to be stored
            await self.records.edit(sent.record, note)
            if known or sent.gone or sent.resolved or self.records.is_gone(sent.record):
                return
            await asyncio.sleep(pause)
        await self.records.edit(sent.record, partial(self._noted, sent, action, "sent"))

    def _noted(self, sent: Sent, action: Action, stage: Stage, state: ObjectState) -> bool:
        """Note a message of which nothing is remembered: whoever met its reason died before."""
        told = _of(state, sent)
        if told is None:
            phase = state.named(sent.trigger, sent.condition)
            phase = phase or state.phase(sent.trigger, sent.condition)
            told = Told(
                *(sent.service, sent.recipient, stage, action.event_time, sent.number),
                once=sent.once,
            )
            phase.told.append(told)
            if phase.number < sent.number:
                phase.number, phase.since = sent.number, action.event_time
                later = older(sent.version, state.version)
                is_over = later or self.looked(sent.record, sent.version)
                phase.met, phase.doubt = sent.version, sent.version if is_over else ""
        told.stage = stage
        if stage == "sent":
            told.confirmed = action.key
        return True

    async def buried(self, action: Action) -> None:
        """Remember that a message will not arrive, unless somebody retries it."""
        sent = msgspec.convert(action.content, Sent)
        for part in await self.digests.seal(sent) if sent.digest else [action]:
            await self._given_up(msgspec.convert(part.content, Sent), part)

    async def _given_up(self, sent: Sent, action: Action) -> None:
        if sent.gone or sent.resolved or self.records.is_gone(sent.record):
            return

        await self.records.edit(sent.record, partial(self._noted, sent, action, "dead"))


def _of(state: ObjectState, sent: Sent) -> Told | None:
    """Return what is remembered of a message's destination and activation."""
    phase = state.named(sent.trigger, sent.condition)
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


def _without_secrets(exc: Exception, configuration: Configuration) -> None:
    """Raise something else in place of a bug whose words hold a secret."""
    text = "".join(traceback.format_exception(exc))
    hidden = configuration.redact(text)
    if hidden != text:
        log.error("%s", hidden)
        said = configuration.redact(f"{type(exc).__name__}: {exc}")
        raise TriggerError(f"telling failed: {said}", permanent=True) from None
