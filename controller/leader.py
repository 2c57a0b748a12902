"""One of several replicas leads: it holds a Lease of the cluster and renews it.

The algorithm is that of all Kubernetes controllers, so the Lease can be shared with them: whoever
sees a Lease unchanged for its whole duration, by its own clock, takes it, with the version that it
saw. It is our own and not the official client's, as that one opens a connection of its own,
blocks in its callbacks, and keeps a Lease that is given up until it runs out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from spine.errors import KubeError
from spine.kube import Kube
from spine.kube.discovery import Resource
from spine.runtime import cancelled_at_exit

log = logging.getLogger(__name__)

LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", namespaced=True)
NAME = "argo-events-controller"
"""The Lease of Argo Events' controller, so that it and ours never lead at once in one namespace."""

NOT_FOUND, EXISTS = 404, 409


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of an election."""

    duration: float = 15.0
    """After which a Lease that nobody renews is free."""
    deadline: float = 10.0
    """After which one who cannot renew stops to lead, before anybody else begins."""
    retry: float = 2.0
    """Between looks at the Lease."""


@dataclass(eq=False)
class Leader:
    """One candidate."""

    kube: Kube
    namespace: str
    identity: str
    """Name of this replica, different from that of all others."""
    name: str = NAME
    pace: Pace = field(default_factory=Pace)
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    leading: bool = False
    holder: str = ""
    """Who led when it was last looked."""
    _seen: tuple[str, float] = ("", 0.0)
    """The version that was last seen, and when it was seen first."""

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
        renewed = self.clock()
        while self.clock() - renewed < self.pace.deadline:
            await asyncio.sleep(self.pace.retry)
            left = self.pace.deadline - (self.clock() - renewed)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(left, 0.0)):
                    if await self._try():
                        renewed = self.clock()
                    elif self.holder not in {"", self.identity}:
                        return

    async def _try(self) -> bool:
        """Take or renew the Lease, if that is allowed; return whether we have it."""
        try:
            return await self._take()
        except KubeError as exc:
            if exc.status not in {NOT_FOUND, EXISTS}:
                log.warning("looking at the lease %s: %s", self.name, exc)
            return False

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
