"""Runs the sources of one EventSource.

Here a payload becomes a CloudEvent on the bus, and a source that fails is started again, for
ever, with growing waits. Sources know neither. When cancelled, sources end and requests that
are under way are finished before `run` returns.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from time import time as unix_seconds
from typing import NoReturn

from delivery.dead import DeadLetter, dead_letter
from delivery.lease import Lease
from eventbus.bus import LEASES, Bus, Topic
from eventbus.kept import Kept, key_token
from eventsource.source import Emit, EventSourceFilter, Origin, Payload, Source
from eventsource.spec import EventSourceSpec
from spine.errors import (
    BusError,
    ConfigError,
    EventError,
    FilterError,
    RemoteError,
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
from spine.telemetry import SourceMetrics

log = logging.getLogger(__name__)

RESTART = Backoff(duration=1.0, factor=2.0, jitter=0.25, steps=0, cap=60.0)
"""Waits before a source that failed is started again."""
HEALTHY = 300.0
"""Seconds of listening after which the next failure counts as the first."""
PATIENCE = Backoff(duration=1.0, factor=2.0, jitter=0.25, steps=5, cap=8.0)
"""Attempts to publish for a source that has nobody to say no to."""


@dataclass(kw_only=True)
class Runner:
    """One EventSource that runs."""

    name: str
    """Name of the EventSource."""
    namespace: str
    spec: EventSourceSpec
    bus: Bus
    secrets: Secrets
    metrics: SourceMetrics
    host: str = "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; `tocsin run` says 127.0.0.1
    """Address on which sources listen."""
    port_offset: int = 0
    """Added to every port of the manifest."""
    ready: Callable[[], None] = lambda: None
    """Called once, when every source listens."""
    _down: dict[str, str] = field(init=False, default_factory=dict)
    """Why an event is not listened to, for those that are not."""

    def __post_init__(self) -> None:
        self._down = dict.fromkeys(self.spec.sources(), "is starting")
        self.metrics.evicted_as(lambda: self.bus.evicted)

    @property
    def problem(self) -> str:
        """Why events may be missed just now; empty when every source listens. For readiness."""
        return "; ".join(f"event {name} {why}" for name, why in self._down.items())

    async def run(self) -> None:
        """Run until cancelled.

        Raises ConfigError for what a user must change, and an ExceptionGroup for bugs.
        """
        try:
            async with Shared() as shared, asyncio.TaskGroup() as tasks:
                for event, source in self.spec.sources().items():
                    env = self._env(event, source, shared)
                    tasks.create_task(self._keep(event, source, env), name=f"source {event}")
        except BaseExceptionGroup as group:
            _raise_plainly(group)

    def _env(self, event: str, source: Source, shared: Shared) -> Env:
        return Env(
            object=self.name,
            name=event,
            namespace=self.namespace,
            secrets=self.secrets,
            shared=shared,
            host=self.host,
            port_offset=self.port_offset,
            rejected=partial(self.metrics.rejected, event),
            memory=Kept(self.bus, f"{source.type}.{key_token(self.name)}.{key_token(event)}"),
        )

    async def _keep(self, event: str, source: Source, env: Env) -> None:
        """Run a source, again and again."""
        clock = asyncio.get_running_loop().time
        emit = _emitter(self.bus, self.metrics, source, env)
        attempt = 1
        while True:
            heard: list[float] = []
            env = replace(env, listening=partial(self._up, event, heard, clock))
            try:
                await self._run(source, env, emit)
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
            self._down[event] = f"failed: {why}"
            extra = {"eventName": event, "error": why, "wait": round(wait, 2)}
            log.warning("event source failed, starting it again", extra=extra)
            await asyncio.sleep(wait)

    async def _run(self, source: Source, env: Env, emit: Emit) -> None:
        if not source.alone:
            await source.run(env, emit)
            return
        key = f"source.{key_token(self.name)}.{key_token(env.name)}"
        lease = Lease(self.bus.store(LEASES), key)
        lease.waits = partial(self._stand_by, env.name)
        await lease.run(lambda: source.run(env, emit))

    def _stand_by(self, event: str) -> None:
        """Count an event as served that another replica sees to; this one takes over if need be."""
        if self._down.pop(event, None) is not None:
            log.info("standing by: another replica listens", extra={"eventName": event})
            if not self._down:
                self.ready()

    def _up(self, event: str, heard: list[float], clock: Callable[[], float]) -> None:
        if heard:
            return
        heard.append(clock())
        self.metrics.running(event, up=True)
        self._down.pop(event, None)
        log.info("listening", extra={"eventName": event})
        if not self._down:
            self.ready()


def _raise_plainly(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the ConfigError of a group that holds nothing else, else the group."""
    rest = group.split(ConfigError)[1]
    if rest is None:
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first
    raise group


def _emitter(bus: Bus, metrics: SourceMetrics, source: Source, env: Env) -> Emit:
    """Return what a source tells its events to; made once, as it is called for each."""
    name, event_name, kind = env.object, env.name, source.type
    extra = {"eventName": event_name, "eventSourceType": kind}
    debugging = partial(log.isEnabledFor, logging.DEBUG)
    judge = _gate(source, event_name, metrics)

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
            await _set_aside(bus, event, passes)
            return
        try:
            await _publish(bus, event, source, extra)
        except BusError as exc:
            metrics.send_failed(event_name)
            found = {**extra, "eventID": event.id, "error": str(exc)}
            log.error("Failed to publish an event", extra=found)  # noqa: TRY400 -- the text says it all
            raise
        except EventError as exc:
            metrics.processing_failed(event_name)
            if source.answers:
                raise
            await _set_aside(bus, event, exc)
            return
        metrics.sent(event_name, perf_counter() - began)
        if debugging():
            log.debug("Succeeded to publish an event", extra={**extra, "eventID": event.id})

    return emit


async def _publish(bus: Bus, event: Event, source: Source, extra: dict[str, str]) -> None:
    """Publish an event, with patience where nobody waits who could be told to come again."""
    try:
        return await bus.publish(event)
    except BusError as exc:
        if source.answers:
            raise
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


async def _set_aside(bus: Bus, event: Event, error: EventError) -> None:
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
    await dead_letter(bus, letter)
    extra = {"eventName": event.subject, "eventID": event.id, "error": str(error)}
    log.error("set an event aside that can never pass", extra=extra)
