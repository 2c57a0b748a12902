"""A NATS cluster of real servers for tests: with routes and JetStream, each may die by itself.

`from nats_cluster import nats_cluster`. All ports stay the same when a server is started again.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from nats_server import NatsServer
from ports import free_port


class Member(NatsServer):
    """One server of a cluster."""

    def __init__(self, folder: Path, name: str, routes: list[int], number: int) -> None:
        self.name = name
        self.monitoring = free_port()
        others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        super().__init__(
            folder / name,
            extra=f'server_name: "{name}"\nhttp: "127.0.0.1:{self.monitoring}"\n'
            f'lame_duck_duration: "30s"\nlame_duck_grace_period: "1s"\n'
            f'cluster {{ name: "c", listen: "127.0.0.1:{routes[number]}", routes: [{others}],'
            f" no_advertise: true, connect_retries: 120 }}\n",
        )
        self.port = free_port()

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def look(self, path: str) -> dict[str, Any]:
        """Ask the monitoring endpoint; empty where nobody answers."""
        try:
            async with httpx.AsyncClient(timeout=15) as client:
                found = (await client.get(f"http://127.0.0.1:{self.monitoring}{path}")).json()
        except (httpx.HTTPError, ValueError):
            return {}
        assert isinstance(found, dict)
        return found

    async def is_healthy(self) -> bool:
        """Say what the readiness probe of a bus's pod says."""
        return (await self.look("/healthz")).get("status") == "ok"

    async def retire(self) -> None:
        """End as the pod of a bus does: in lame duck mode, so that its clients move on first."""
        await self._end(signal.SIGUSR2)

    def freeze(self) -> None:
        """Stop all its threads, as a node that hangs."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class Cluster:
    """Servers that know each other."""

    def __init__(self, folder: Path, size: int) -> None:
        routes = [free_port() for _ in range(size)]
        self.members = [Member(folder, f"n{at}", routes, at) for at in range(size)]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(member.url for member in self.members)

    @property
    def url(self) -> str:
        """All servers, as an EventBus has them."""
        return ",".join(self.urls)

    async def start(self) -> None:
        """Start all and wait until they can keep streams."""
        await asyncio.gather(*(member.start() for member in self.members))
        await self.healthy()

    async def healthy(self, seconds: float = 120.0) -> None:
        """Wait until all that run are up to date with the others."""
        await self._until(self._all_healthy, seconds, "healthy")

    async def _all_healthy(self) -> bool:
        running = [member for member in self.members if member.runs]
        meta = [(await member.look("/jsz")).get("meta_cluster") or {} for member in running]
        led = all(one.get("leader") for one in meta)
        healthy = all([await member.is_healthy() for member in running])
        return led and healthy and await self._all_led(running)

    async def _all_led(self, running: list[Member]) -> bool:
        """Whether each stream that several servers keep has a leader among those that run."""
        names = {member.name for member in running}
        for member in running:
            for account in (await member.look("/jsz?streams=true")).get("account_details") or ():
                for one in account.get("stream_detail") or ():
                    cluster = one.get("cluster") or {}
                    if cluster.get("replicas") and cluster.get("leader") not in names:
                        return False
        return True

    async def leader(self, stream: str, seconds: float = 90.0) -> Member:
        """Return the server that leads a stream, once there is one that runs."""
        found: list[Member] = []

        async def led() -> bool:
            found[:] = [m for m in self.members if m.runs and await self._leads(m, stream)]
            return bool(found)

        await self._until(led, seconds, f"leading {stream}")
        return found[0]

    async def meta_leader(self, seconds: float = 90.0) -> Member:
        """Return the server that decides where streams and consumers are."""
        name = ""

        async def known() -> bool:
            nonlocal name
            said = [
                ((await m.look("/jsz")).get("meta_cluster") or {}).get("leader", "")
                for m in self.members
                if m.runs
            ]
            name = said[0] if len(set(said)) == 1 else ""
            return any(m.name == name and m.runs for m in self.members)

        await self._until(known, seconds, "leading the cluster")
        return next(member for member in self.members if member.name == name)

    async def _leads(self, member: Member, stream: str) -> bool:
        for account in (await member.look("/jsz?streams=true")).get("account_details") or ():
            for one in account.get("stream_detail") or ():
                if one["name"] == stream:
                    return (one.get("cluster") or {}).get("leader") == member.name
        return False

    async def replicas(self, stream: str) -> int:
        """Return how many servers keep a stream and are up to date."""
        answer = await (await self.leader(stream)).look("/jsz?streams=true")
        for account in answer.get("account_details") or ():
            for one in account.get("stream_detail") or ():
                if one["name"] == stream:
                    peers = (one.get("cluster") or {}).get("replicas") or ()
                    return 1 + sum(bool(peer["current"]) for peer in peers)
        return 0

    async def copied(self, stream: str, copies: int, seconds: float = 120.0) -> None:
        """Wait until so many servers keep a stream and are up to date."""

        async def are() -> bool:
            return await self.replicas(stream) == copies

        await self._until(are, seconds, f"kept {copies} times: {stream}")

    async def _until(self, met: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await met():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            logs = {m.name: (m.folder / "server.log").read_text()[-1500:] for m in self.members}
            words = "\n".join(f"--- {name}\n{text}" for name, text in logs.items())
            raise AssertionError(f"not {what} within {seconds:g} s:\n{words}") from None


@asynccontextmanager
async def nats_cluster(folder: Path, size: int = 3) -> AsyncIterator[Cluster]:
    """Yield a running cluster whose files are in `folder`."""
    cluster = Cluster(folder / "nats", size)
    try:
        await cluster.start()
        yield cluster
    finally:
        for member in cluster.members:
            await member.kill()
