"""Whether JetStream keeps what it is given: a connection alone is no bus.

A server may be there, and yet keep nothing: a majority of the servers of its cluster is gone, or
its disk hangs. Then whoever sends is told at once, and a process says in its readiness why. While
a cluster chooses another leader, which takes up to ten seconds, callers wait instead.
"""

import asyncio
import logging
from typing import Any

from eventbus.bus import EVENTS
from eventbus.jetstream.api import NANO, Api
from spine.errors import RemoteError

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
SOON_SECONDS = 1.0
"""Between looks while something is wrong."""
ANSWER_SECONDS = 3.0
PATIENCE_SECONDS = 12.0
"""After so long it is told: a cluster takes up to ten seconds to choose a leader."""
SILENT_SECONDS = 5.0
"""A server that its leader has not heard of for so long is gone; it is heard of every second."""


class Pulse:
    """Asks again and again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.problem = ""
        """Why nothing is kept just now; empty while it is, or may be in a moment."""

    async def run(self) -> None:
        """Ask until cancelled."""
        clock = asyncio.get_running_loop().time
        well, wrong = clock(), ""
        while True:
            await asyncio.sleep(SOON_SECONDS if wrong else LOOK_SECONDS)
            wrong = await self._wrong()
            if not self._api.connection.is_up:  # which is told elsewhere, with its reason
                well = clock()
            elif not wrong:
                well = clock()
                self._tell("")
            elif clock() - well > PATIENCE_SECONDS:
                self._tell(f"JetStream keeps nothing: {wrong}")

    async def _wrong(self) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                info = await self._api.stream(EVENTS)
        except TimeoutError:
            return f"stream {EVENTS} has no leader that answers (do most servers run?)"
        except RemoteError as exc:
            return exc.message
        return _lonely((info or {}).get("cluster") or {})

    def _tell(self, problem: str) -> None:
        if problem and not self.problem:
            log.error("%s", problem)
        elif self.problem and not problem:
            log.warning("JetStream keeps messages again")
        self.problem = problem


def _lonely(cluster: dict[str, Any]) -> str:
    """Return why a stream cannot store; its leader itself finds that out ten seconds late."""
    others = cluster.get("replicas") or []
    size = 1 + len(others)
    if others and not cluster.get("leader"):
        return f"stream {EVENTS} has no leader (do most servers run?)"
    gone = [other["name"] for other in others if _is_gone(other)]
    if 2 * (size - len(gone)) > size:
        return ""
    return f"of {size} servers, {' and '.join(gone)} do not answer"


def _is_gone(other: dict[str, Any]) -> bool:
    """Whether a leader has not heard of another server for a while; 0 is never."""
    never = not other["active"] and not other.get("current")
    return bool(other.get("offline")) or never or other["active"] > SILENT_SECONDS * NANO
