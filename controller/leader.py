"""One of several replicas leads: it holds a Lease of the cluster and renews it.

The algorithm is that of all Kubernetes controllers, so the Lease can be shared with them: whoever
sees a Lease unchanged for its whole duration, by its own clock, takes it, with the version that it
saw. It is our own and not the official client's, as that one opens a connection of its own,
blocks in its callbacks, and keeps a Lease that is given up until it runs out.

One who cannot renew stops before anybody else may begin. A process that was frozen for a while, or
whose loop was, finds that out at the latest when it wants to write: every write asks first whether
the Lease still holds, and is given no more time than is left of it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import msgspec
from typing_extensions import override

from spine.errors import KubeError
from spine.kube import Kube
from spine.kube.discovery import Resource
from spine.kube.session import JSON, SECONDS, Session
from spine.runtime import cancelled_at_exit

log = logging.getLogger(__name__)

LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
NAME = "argo-events-controller"
"""The Lease of Argo Events' controller, so that it and ours never lead at once in one namespace."""

NOT_FOUND, EXISTS = 404, 409


def passed() -> float:
    """Return seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of an election."""

    duration: float = 15.0
    """After which a Lease that nobody renews is free."""
    deadline: float = 10.0
    """After which one who cannot renew stops to lead, before anybody else begins."""
    retry: float = 2.0
    """Between looks at the Lease."""

    @classmethod
    def of(cls, duration: float) -> "Pace":
        """Return a pace of the usual proportions."""
        return cls(duration, duration * 2 / 3, duration * 2 / 15)


@dataclass(eq=False)
class Leader:
    """One candidate."""

    kube: Kube
    namespace: str
    identity: str
    """Name of this replica, different from that of all others."""
    name: str = NAME
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = passed
    leading: bool = False
    holder: str = ""
    """Who led when it was last looked."""
    _seen: tuple[str, float] = ("", 0.0)
    """The version that was last seen, and when it was seen first."""
    _renewed: float = float("-inf")
    """Since when the Lease holds that we took or renewed last: from before we asked for it."""

    @property
    def left(self) -> float:
        """Seconds until another one may lead; 0 where this one may not write any more."""
        since = self.clock() - self._renewed
        held = self.leading and since < self.pace.deadline
        return self.pace.duration - since if held else 0.0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Lead whenever it is our turn, until cancelled; `lead` is cancelled when it is no more."""
        while True:
            while not await self._try():  # noqa: ASYNC110 -- nobody in this process would tell
                await asyncio.sleep(self.pace.retry)
            log.info("leading", extra={"lease": self.name})
            self.leading = True
            try:
                await self._lead(lead)
            finally:
                self.leading = False
                await self._give_up()
            log.warning("leading no more", extra={"lease": self.name})

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Lead until the Lease cannot be renewed."""
        work = asyncio.ensure_future(lead())
        renewing = asyncio.create_task(self._renew(), name="renew the lease")
        async with cancelled_at_exit(work, renewing):
            done, _ = await asyncio.wait({work, renewing}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()

    async def _renew(self) -> None:
        """Return when the Lease is lost."""
        while (left := self._renewed + self.pace.deadline - self.clock()) > 0:
            await asyncio.sleep(min(self.pace.retry, left))
            left = self._renewed + self.pace.deadline - self.clock()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0.0)):
                    if not await self._try() and self.holder not in {"", self.identity}:
                        return

    async def _try(self) -> bool:
        """Take or renew the Lease, if that is allowed; return whether we have it."""
        began = self.clock()
        try:
            ours = await self._take()
        except KubeError as exc:
            if exc.status not in {NOT_FOUND, EXISTS}:
                log.warning("looking at the lease %s: %s", self.name, exc)
            return False
        if ours:
            self._renewed = began
        return ours

    async def _take(self) -> bool:
        try:
            found = msgspec.json.decode(await self.kube.get(LEASES, self.name, self.namespace))
        except KubeError as exc:
            if exc.status != NOT_FOUND:
                raise
            await self.kube.create(LEASES, _encode(self._lease({}, {})), self.namespace)
            self.holder = self.identity
            return True
        metadata, spec = found["metadata"], found.get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        version = metadata["resourceVersion"]
        if version != self._seen[0]:
            self._seen = version, self.clock()
        lasts = float(spec.get("leaseDurationSeconds") or self.pace.duration)
        free = self.holder in {"", self.identity} or self.clock() - self._seen[1] > lasts
        if not free:
            return False
        body = _encode(self._lease(metadata, spec))
        await self.kube.update(LEASES, self.name, body, self.namespace)
        self.holder = self.identity
        return True

    def _lease(self, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        ours = spec.get("holderIdentity") == self.identity
        transitions = int(spec.get("leaseTransitions") or 0)
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, "name": self.name, "namespace": self.namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": max(1, round(self.pace.duration)),
                "acquireTime": spec.get("acquireTime") or now if ours else now,
                "renewTime": now,
                "leaseTransitions": transitions + (0 if ours or not spec else 1),
            },
        }

    async def _give_up(self) -> None:
        """Let another one lead at once."""
        with suppress(KubeError, TimeoutError):
            async with asyncio.timeout(self.pace.retry):
                found = msgspec.json.decode(await self.kube.get(LEASES, self.name, self.namespace))
                if (found.get("spec") or {}).get("holderIdentity") == self.identity:
                    found["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    body = _encode(found)
                    await self.kube.update(LEASES, self.name, body, self.namespace)


_encode = msgspec.json.encode


@dataclass(slots=True, eq=False)
class FencedSession(Session):
    """A session by which only the leader changes anything."""

    left: Callable[[], float]
    """Seconds until another one may lead; 0 where this one may not write."""

    @override
    async def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        accept: str = JSON,
    ) -> bytes:
        if method != "GET":
            left = self.left()
            if left <= 0:
                raise KubeError(f"{method} {path}: this replica does not lead any more")
            seconds = min(seconds, left)
        return await Session.request(
            self,
            method,
            path,
            body=body,
            content_type=content_type,
            query=query,
            seconds=seconds,
            accept=accept,
        )


def fenced(kube: Kube, leader: Leader) -> Kube:
    """Return the same API server, to which nothing is written but while a candidate leads."""
    session = kube.session
    given = {one.name: getattr(session, one.name) for one in fields(session)}
    made = Kube(FencedSession(**given, left=lambda: leader.left))
    made.discovery = kube.discovery
    return made
