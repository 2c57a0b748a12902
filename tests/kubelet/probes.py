"""Probes: asks a container whether it has started, is ready, is alive.

Periods and thresholds are those of the pod, but for one thing: a container that has not been ready
yet is asked every fifth of a second, as tests wait for it. It has as long as the probe gives it.
"""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from kubelet.store import Manifest

SOON = 0.2
"""Seconds between two looks at a container that has not been ready yet."""

Exec = Callable[[list[str], float], Awaitable[bool]]
"""Runs a command in the container and says whether it succeeded in time."""


def port_of(container: Manifest, port: int | str) -> int:
    """Return the number of a port given by number or name."""
    if isinstance(port, int) or port.isdecimal():
        return int(port)
    return next(p["containerPort"] for p in container.get("ports", []) if p.get("name") == port)


class Probe:
    """One probe of a container."""

    def __init__(self, given: Manifest, container: Manifest, address: str, run: Exec) -> None:
        self._given, self._container, self._address, self._run = given, container, address, run
        self.period = float(given.get("periodSeconds") or 10)
        self.delay = float(given.get("initialDelaySeconds") or 0)
        self._seconds = float(given.get("timeoutSeconds") or 1)
        self.successes = given.get("successThreshold") or 1
        self.failures = given.get("failureThreshold") or 3
        self.problem = ""
        """What was wrong the last time."""

    async def ask(self) -> bool:
        """Return whether the container does as it should."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._ask()
        except TimeoutError:
            self.problem = f"no answer within {self._seconds:g} s"
        except (OSError, aiohttp.ClientError, StopIteration) as exc:
            self.problem = str(exc) or type(exc).__name__
        return False

    async def _ask(self) -> bool:
        given = self._given
        if "exec" in given:
            self.problem = "the command failed"
            return await self._run(given["exec"]["command"], self._seconds)
        if "tcpSocket" in given:
            port = port_of(self._container, given["tcpSocket"]["port"])
            _, writer = await asyncio.open_connection(self._address, port)
            writer.close()
            return True
        if "httpGet" in given:
            return await self._http(given["httpGet"])
        self.problem = "probes by gRPC are not for this kubelet"
        return False

    async def _http(self, given: Manifest) -> bool:
        status = await get(given, self._container, self._address)
        self.problem = f"HTTP probe failed with statuscode: {status}"
        return 200 <= status < 400

    async def until_started(self) -> bool:
        """Ask until it succeeds; False when the time it has is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.delay + self.period * self.failures
        while not await self.ask():
            if loop.time() > until:
                return False
            await asyncio.sleep(min(self.period, SOON))
        return True

    async def follow(self, told: Callable[[bool], None], ready: bool) -> None:
        """Ask for ever and tell each time the threshold of a change is met."""
        count, before, once = 0, ready, ready
        while True:
            now = await self.ask()
            count = 0 if now == before else count + 1
            if count and count >= (self.successes if now else self.failures):
                before, count, once = now, 0, once or now
                told(now)
            await asyncio.sleep(self.period if once else min(self.period, SOON))


async def get(given: Manifest, container: Manifest, address: str) -> int:
    """Make the request of an `httpGet` and return the status."""
    scheme = given.get("scheme", "HTTP").lower()
    host = given.get("host") or address
    url = f"{scheme}://{host}:{port_of(container, given['port'])}{given.get('path') or '/'}"
    headers = {"User-Agent": "kube-probe/test", "Connection": "close"}
    headers |= {one["name"]: one["value"] for one in given.get("httpHeaders", [])}
    async with (
        aiohttp.ClientSession() as client,
        client.get(url, headers=headers, ssl=False, allow_redirects=False) as answer,
    ):
        return answer.status
