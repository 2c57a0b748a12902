"""Runs the sources of one EventSource.

Here a payload becomes a CloudEvent on the bus, and a source that fails is started again, for
ever, with growing waits. Sources know neither. When cancelled, sources end and requests that
are under way are finished before `run` returns.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from time import time as unix_seconds
from typing import TYPE_CHECKING, NoReturn

from delivery.dead import DeadLetter, dead_letter
from delivery.lease import Lease
from eventbus.bus import LEASES, Bus, Topic
from eventbus.kept import Kept, key_token
from eventsource.outage import Outage
from eventsource.source import Emit, EventSourceFilter, Origin, Payload, Source
from spine.errors import (
    BusError,
    ConfigError,
    EventError,
    FilterError,
    RemoteError,
    SourceError,
)
from spine.event import (
    ORIGIN_SOURCE,
    ORIGIN_SUBJECT,
    ORIGIN_TYPE,
    Event,
    encode,
    new_id,
)
from spine.runtime import Backoff, Env, Shared
from spine.secrets import Secrets
from spine.standing import STANDING_BY, STARTING, Part
from spine.telemetry import SourceMetrics

if TYPE_CHECKING:  # it imports the kinds of sources; a process knows first which it needs
    from eventsource.spec import EventSourceSpec

log = logging.getLogger(__name__)

RESTART = Backoff(duration=1.0, factor=2.0, jitter=0.25, steps=0, cap=60.0)
"""Waits before a source that failed is started again."""
HEALTHY = 300.0
"""Seconds of listening after which the next failure counts as the first."""
TERM = 7.0
"""Seconds of silence after which another replica takes over what only one may listen to: with a
second for its look, and one to begin, less than ten."""
LISTENING = "Listening"
PATIENCE = Backoff(duration=1.0, factor=2.0, jitter=0.25, steps=5, cap=8.0)
"""Attempts to publish for a source that has nobody to say no to."""


@dataclass(kw_only=True)
class Runner:
    """One EventSource that runs."""

    name: str
    """Name of the EventSource."""
    namespace: str
    spec: "EventSourceSpec"
    bus: Bus
    secrets: Secrets
    metrics: SourceMetrics
    host: str = "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; `tocsin run` says 127.0.0.1
    """Address on which sources listen."""
    port_offset: int = 0
    """Added to every port of the manifest."""
    ready: Callable[[], None] = lambda: None
    """Called once, when every source listens."""
    _parts: dict[str, Part] = field(init=False, default_factory=dict)
    """How each event stands; the keys stay as they are, so another thread may look."""

    def __post_init__(self) -> None:
        for event in self.spec.sources():
            self._set(event, STARTING, "is starting")
        self.metrics.evicted_as(lambda: self.bus.evicted)

    @property
    def problem(self) -> str:
        """Why events may be missed just now; empty when every source listens. For readiness."""
        return "; ".join(f"event {one.name} {_why(one)}" for one in self.parts if not one.ready)

    @property
    def parts(self) -> list[Part]:
        """How each event stands."""
        return list(self._parts.values())

    @property
    def notes(self) -> list[str]:
        """What else is worth knowing."""
        lost = self.bus.evicted
        return [f"about {lost} events went from the bus before all had read them"] if lost else []

    def _set(self, event: str, reason: str, message: str = "", *, ready: bool = False) -> bool:
        """Note how an event stands; return whether all are up now, and were not before."""
        before = self.problem
        self._parts[event] = Part(event, ready, reason, message)
        return bool(before) and not self.problem

    async def run(self) -> None:
        """Run until cancelled.

        Raises ConfigError for what a user must change, and an ExceptionGroup for bugs.
        """
        try:
            async with Shared() as shared, asyncio.TaskGroup() as tasks:
                for event, source in self.spec.sources().items():
                    lease = self._lease(event) if source.alone else None
                    env = self._env(event, source, shared, lease)
                    keeping = self._keep(event, source, env, lease)
                    tasks.create_task(keeping, name=f"source {event}")
        except BaseExceptionGroup as group:
            _raise_plainly(group)

    def _lease(self, event: str) -> Lease:
        key = f"source.{key_token(self.name)}.{key_token(event)}"
        lease = Lease(self.bus.store(LEASES), key, term=TERM)
        lease.waits = partial(self._stand_by, event)
        return lease

    def _env(self, event: str, source: Source, shared: Shared, lease: Lease | None) -> Env:
        key = f"{source.type}.{key_token(self.name)}.{key_token(event)}"
        return Env(
            object=self.name,
            name=event,
            namespace=self.namespace,
            secrets=self.secrets,
            shared=shared,
            host=self.host,
            port_offset=self.port_offset,
            rejected=partial(self.metrics.rejected, event),
            memory=Kept(self.bus, key, _may_act(lease)),
        )

    async def _keep(self, event: str, source: Source, env: Env, lease: Lease | None) -> None:
        """Run a source, again and again."""
        clock = asyncio.get_running_loop().time
        store = _Store(self.bus, event, _may_act(lease))
        emit = _emitter(store, self.metrics, source, env)
        attempt = 1
        while True:
            heard: list[float] = []
            env = replace(env, listening=partial(self._up, event, heard, clock))
            try:
                await self._run(source, env, emit, lease)
                failure: RemoteError | None = None
            except RemoteError as exc:
                failure = exc
            finally:
                if heard:
                    self.metrics.running(event, up=False)
            if heard and clock() - heard[0] > HEALTHY:
                attempt = 1
            asked = failure.retry_after if failure else None
            wait = RESTART.wait(attempt) if asked is None else asked
            attempt += 1
            why = str(failure) if failure else "it ended by itself"
            self._set(event, failure.code if failure else SourceError.code, why)
            extra = {"eventName": event, "error": why, "wait": round(wait, 2)}
            log.warning("event source failed, starting it again", extra=extra)
            await asyncio.sleep(wait)

    async def _run(self, source: Source, env: Env, emit: Emit, lease: Lease | None) -> None:
        if lease is None:
            await source.run(env, emit)
            return

        async def listen() -> None:
            try:
                await source.run(env, emit)
            finally:  # the lease may be lost, and then taken again
                self.metrics.running(env.name, up=False)
                self._set(env.name, STARTING, "waits for its turn among the replicas")

        await lease.run(listen)

    def _stand_by(self, event: str) -> None:
        """Count an event as served that another replica sees to; this one takes over if need be."""
        if self._parts[event].reason == STANDING_BY:
            return
        log.info("standing by: another replica listens", extra={"eventName": event})
        if self._set(event, STANDING_BY, ready=True):
            self.ready()

    def _up(self, event: str, heard: list[float], clock: Callable[[], float]) -> None:
        if self._parts[event].reason == LISTENING:
            return
        if not heard:
            heard.append(clock())
        self.metrics.running(event, up=True)
        log.info("listening", extra={"eventName": event})
        if self._set(event, LISTENING, ready=True):
            self.ready()


def _why(part: Part) -> str:
    return part.message if part.reason == STARTING else f"failed: {part.message}"


def _raise_plainly(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the ConfigError of a group that holds nothing else, else the group."""
    rest = group.split(ConfigError)[1]
    if rest is None:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first
    raise group


def _may_act(lease: Lease | None) -> Callable[[], bool]:
    """Return what is asked right before each act of a source."""
    return lambda: lease is None or lease.held


@dataclass(frozen=True, slots=True)
class _Store:
    """The bus as a source may use it: only while no other replica has taken its place.

    Who was stopped and wakes up, or was cut off, still has events in hand that its successor has
    told, or will tell in their turn.
    """

    bus: Bus
    event: str
    may_act: Callable[[], bool]

    def publish(self, event: Event) -> Awaitable[None]:
        self._check()
        return self.bus.publish(event)

    async def set_aside(self, letter: DeadLetter) -> None:
        self._check()
        await dead_letter(self.bus, letter)

    def _check(self) -> None:
        if not self.may_act():
            raise BusError(f"publishing event {self.event}: another replica listens now")


def _emitter(bus: _Store, metrics: SourceMetrics, source: Source, env: Env) -> Emit:
    """Return what a source tells its events to; made once, as it is called for each."""
    name, event_name, kind = env.object, env.name, source.type
    extra = {"eventName": event_name, "eventSourceType": kind}
    debugging = partial(log.isEnabledFor, logging.DEBUG)
    judge = _gate(source, event_name, metrics)
    publish = bus.publish if source.answers else partial(_patiently, bus, extra)
    outage = Outage(event_name, asyncio.get_running_loop().time)

    async def emit(
        payload: Payload,
        *,
        id: str | None = None,
        time: datetime | None = None,
        origin: Origin | None = None,
        unusable: EventError | None = None,
    ) -> None:
        began = perf_counter()
        data = payload.encode()
        passes: bool | EventError
        if unusable is None:
            passes = judge is None or judge(data)
        else:
            metrics.processing_failed(event_name)
            passes = unusable
        if passes is False:
            return
        event = Event(
            id=id or new_id(),
            source=name,
            type=kind,
            subject=event_name,
            time=time or datetime.now(UTC),
            data=data,
            extensions=_extensions(origin) if origin else {},
        )
        if passes is not True:
            await _set_aside(bus, event, passes, metrics)
            return
        try:
            await publish(event)
        except BusError as exc:
            metrics.send_failed(event_name)
            outage.failed({**extra, "eventID": event.id, "error": str(exc)})
            raise
        except EventError as exc:
            metrics.processing_failed(event_name)
            if source.answers:
                raise
            await _set_aside(bus, event, exc, metrics)
            return
        metrics.sent(event_name, perf_counter() - began)
        if outage.refused:
            outage.passed()
        if debugging():
            log.debug("Succeeded to publish an event", extra={**extra, "eventID": event.id})

    return emit


async def _patiently(bus: _Store, extra: dict[str, str], event: Event) -> None:
    """Publish an event for which nobody waits who could be told to come again."""
    try:
        return await bus.publish(event)
    except BusError as exc:
        failure = exc
    for wait in PATIENCE.waits():
        log.debug("publishing again", extra={**extra, "error": str(failure)})
        await asyncio.sleep(wait)
        try:
            return await bus.publish(event)
        except BusError as exc:
            failure = exc
    raise failure


def _gate(
    source: Source, event: str, metrics: SourceMetrics
) -> Callable[[bytes], bool | FilterError] | None:
    """Return what judges the payloads of a source; some kinds have filters of their own shape."""
    found = getattr(source, "filter", None)
    if not isinstance(found, EventSourceFilter):
        return None
    from eventsource.gate import Gate

    return Gate(event, found, metrics).judge


def _extensions(origin: Origin) -> dict[str, object]:
    """Return the extension attributes that tell where a posted CloudEvent came from."""
    own = {
        ORIGIN_SOURCE: origin.source,
        ORIGIN_TYPE: origin.type,
        ORIGIN_SUBJECT: origin.subject,
    }
    return {**origin.extensions, **{key: value for key, value in own.items() if value}}


async def _set_aside(bus: _Store, event: Event, error: EventError, metrics: SourceMetrics) -> None:
    """Keep an event that can never pass where `tocsin dlq` finds it."""
    letter = DeadLetter(
        kind="event",
        component="eventsource",
        object=event.source,
        place=event.subject,
        code=error.code,
        message=str(error),
        time=unix_seconds(),
        subject=Topic(event.source, event.subject).subject,
        data=encode(event),
    )
    await bus.set_aside(letter)
    metrics.dead_letter(error.code)
    extra = {"eventName": event.subject, "eventID": event.id, "error": str(error)}
    log.error("set an event aside that can never pass", extra=extra)
