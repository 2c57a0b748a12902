"""The webhook: a port on which the API server asks about objects of ours.

Served over what serves webhooks of event sources, so its connections are bounded as those are.
Requests, bytes, processes and time are bounded here: whatever is sent, the next one is answered.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from controller.admission.checker import Checker
from controller.admission.keeper import Keeper
from controller.admission.review import Head, Request, Said, allowed, busy, head, read, refused
from controller.admission.surroundings import Surroundings
from controller.admission.worker import Asked, Verdict
from controller.bus.names import Names as BusNames
from controller.cache import Cache
from eventsource.answers import BUSY, Answer
from eventsource.listener import Bounds, listen
from eventsource.web import Port, Route
from eventsource.web import Request as HttpRequest
from spine.errors import ConfigError, Fault, KubeError, RemoteError
from spine.kube import Kube
from spine.kube.discovery import Resource
from spine.lang import EvaluationError
from spine.manifest import CHECKED_KINDS
from spine.runtime import cancelled_at_exit, seconds

log = logging.getLogger(__name__)

PATH = "/validate"
"""Where the API server asks; it stands in the chart too."""
BODY = 8 * 2**20
"""Bytes of a request: an object before and after, each no larger than etcd takes."""
AT_ONCE = 16
"""Requests whose bodies are in memory."""
WAITING = 512
"""Requests that wait for that; more are told to come back."""
LONGEST = 8.0
"""Seconds for an answer, where the API server would not give up earlier."""
SHARE = 0.8
"""Part of the time that the API server gives which is taken; the rest is for the way."""
LOOK_UP = 1.0
"""Seconds for a question to the API server."""
BOUNDS = Bounds(head=5.0, pause=2.0, body=5.0, idle=120.0, drain=10.0, reread=1.0)

SERVICES = Resource("", "v1", "Service", "services", namespaced=True)


class Reply(Answer):
    """An answer in JSON."""

    def __init__(self, body: bytes) -> None:
        super().__init__(200)
        lines = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self.start = {**self.start, "headers": lines}
        self.body = {"type": "http.response.body", "body": body}


class Metrics:
    """What `/metrics` tells of admission."""

    def __init__(self, registry: CollectorRegistry, ends: Callable[[], float]) -> None:
        self.requests = Counter(
            "tocsin_admission_requests",
            "Objects that the API server asked about, by kind and what it was told.",
            ["kind", "result"],
            registry=registry,
        )
        self.seconds = Histogram(
            "tocsin_admission_seconds",
            "Time of an answer to the API server.",
            ["kind"],
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        Gauge(
            "tocsin_admission_certificate_end_seconds",
            "When the certificate that is served ends, in unix seconds.",
            registry=registry,
        ).set_function(ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the controller knows."""

    kube: Kube
    cache: Callable[[], Cache | None]
    """What is in the cluster; None while that is not known."""
    namespaces: tuple[str, ...] = ()
    """Namespaces that it takes care of; none: all."""


@dataclass(eq=False)
class Webhook:
    """Answers the API server until it is cancelled."""

    host: str
    port: int
    keeper: Keeper
    known: Known
    registry: CollectorRegistry
    checker: Checker = field(default_factory=Checker)
    _open: bool = False
    _waiting: int = 0

    def __post_init__(self) -> None:
        self._metrics = Metrics(self.registry, self.keeper.ends)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._application = Port(self.port)
        self._application.add(Route("admission", PATH, "POST", self._handle, max_payload=BODY))

    @property
    def problem(self) -> str:
        """Why it cannot serve; empty when it can. For readiness."""
        if self.keeper.problem or self._open:
            return self.keeper.problem or self.checker.problem
        return "starts"

    async def run(self) -> None:
        """Serve until cancelled. Raises SourceError or ConfigError where the port cannot be had."""
        keeping = asyncio.create_task(self.keeper.run(), name="keep the certificate")
        serving = asyncio.create_task(self._serve(), name="serve admission")
        async with cancelled_at_exit(serving, keeping):
            done, _ = await asyncio.wait({keeping, serving}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()

    async def _serve(self) -> None:
        async with self.checker:
            await self.checker.start()
            await self.keeper.usable.wait()
            opening = listen(self.host, self.port, self._bounded, self.keeper.pair, BOUNDS)
            async with opening:
                log.info("serving admission", extra={"port": self.port})
                self._open = True
                try:
                    await asyncio.Event().wait()  # until cancelled
                finally:
                    self._open = False

    async def _bounded(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request when it is its turn: its body is not read before."""
        if self._waiting >= WAITING:
            await send(BUSY.closing)
            await send(BUSY.body)
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(LONGEST):
                await self._slots.acquire()
        except TimeoutError:
            await send(BUSY.closing)
            await send(BUSY.body)
            return
        finally:
            self._waiting -= 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._slots.release()

    # ------------------------------------------------------------------------ answering

    async def _handle(self, asked: HttpRequest) -> Answer:
        began = time.perf_counter()
        try:
            request = read(asked.body)
            answer, result = await self._answer(request, _seconds(asked.query))
        except ConfigError as exc:
            return Answer(400, f"{exc}\n")
        kind = request.kind.kind if request.kind.kind in CHECKED_KINDS else "other"
        self._metrics.requests.labels(kind, result).inc()
        self._metrics.seconds.labels(kind).observe(time.perf_counter() - began)
        return Reply(answer)

    async def _answer(self, request: Request, within: float) -> tuple[bytes, str]:
        """Return the answer, and what it is in one word."""
        now, before = head(request.object), head(request.old_object)
        kind = request.kind.kind
        if now is None or kind not in CHECKED_KINDS or _as_it_was(now, before):
            return allowed(request), "allowed"
        name = now.metadata.name or f"{now.metadata.generate_name}x"
        place = f"{kind} {request.namespace}/{name}"
        try:
            async with asyncio.timeout(within):
                verdict = await self.checker.check(self._asked(request, name))
                warnings = [*verdict.warnings, *await self._lookups(request, name, verdict)]
        except EvaluationError as exc:
            log.warning("an object cannot be checked: %s", exc, extra={"object": place})
            return refused(request, name, [Said("spec", f"checking it: {exc}")]), "unchecked"
        except (RemoteError, TimeoutError) as exc:
            why = str(exc) or f"checking {place}: not done within {within:g} s (try again)"
            log.warning("too busy: %s", why, extra={"object": place})
            return busy(request, why), "busy"
        if verdict.errors:
            log.info(
                "refused: %s", verdict.errors[0].text,
                extra={"object": place, "user": request.user_info.username},
            )  # fmt: skip
            return refused(request, name, verdict.errors, warnings), "refused"
        return allowed(request, warnings), "warned" if warnings else "allowed"

    def _asked(self, request: Request, name: str) -> Asked:
        servers = msgspec.Raw(b"null")
        cache = self.known.cache()
        kept = cache.kept("apps/v1", "StatefulSet") if cache is not None else None
        if request.kind.kind == "EventBus" and kept is not None:
            place = request.namespace, BusNames(name, request.namespace).servers
            if (there := kept.entries.get(place)) is not None:
                servers = msgspec.Raw(there.raw)
        return Asked(
            request.kind.kind, name, request.namespace, request.object, request.old_object, servers
        )

    async def _lookups(self, request: Request, name: str, verdict: Verdict) -> list[Said]:
        """Return what does not fit what is in the cluster; nothing where that is not known."""
        cache, namespaces = self.known.cache(), self.known.namespaces
        if cache is None or (namespaces and request.namespace not in namespaces):
            return []
        found: list[Said] = []
        if verdict.needs is not None:
            around = Surroundings(cache, request.namespace)
            found += around.complaints(request.kind.kind, verdict.needs)
        if verdict.service and request.operation == "CREATE":
            found += await self._service(request.namespace, name, verdict.service)
        return found

    async def _service(self, namespace: str, name: str, service: str) -> list[Said]:
        """Return whose Service stands where one is to be made."""
        try:
            async with asyncio.timeout(LOOK_UP):
                there = msgspec.json.decode(await self.known.kube.get(SERVICES, service, namespace))
        except (KubeError, TimeoutError):  # there is none, or nobody can tell now
            return []
        owners = list(_owners(there))
        if f"EventSource {name!r}" in owners:
            return []
        whose = f"belongs to {owners[0]}" if owners else "is nobody's, and is taken over"
        return [Said("spec.service", f"Service {service!r} is there already and {whose}")]


def _owners(manifest: dict[str, Any]) -> Iterator[str]:
    for one in manifest["metadata"].get("ownerReferences") or ():
        if one.get("controller"):
            yield f"{one['kind']} {one['name']!r}"


def _as_it_was(now: Head, before: Head | None) -> bool:
    """Return whether nothing is asked of us: it is going, or its spec is what it was."""
    if before is None:
        return False
    return before.metadata.deletion_timestamp is not None or bytes(now.spec) == bytes(before.spec)


def _seconds(query: bytes) -> float:
    """Return for how long an answer may be worked on: the API server says when it gives up."""
    given = parse_qs(query.decode("ascii", "replace")).get("timeout")
    if given:
        with suppress(Fault):
            return min(max(seconds(given[0]) * SHARE, 0.1), LONGEST)
    return LONGEST
