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
            if not wrong:
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
    """Return why the leader of a stream cannot store; a leader finds that out ten seconds late."""
    others = cluster.get("replicas") or []
    gone = [o["name"] for o in others if o.get("offline") or o["active"] > SILENT_SECONDS * NANO]
    if 2 * (1 + len(others) - len(gone)) > 1 + len(others):
        return ""
    return f"of {1 + len(others)} servers, {' and '.join(gone)} do not answer"
