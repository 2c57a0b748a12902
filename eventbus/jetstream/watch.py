"""Nothing unread is evicted: publishers stop before the oldest unread event would go.

A stream with limits drops its oldest messages when it is full, read or not. Each process that
publishes looks at the stream and its durables every few seconds, and refuses to publish while
the slowest durable's unread messages fill nearly all that the stream may hold. What goes all
the same (other programs publish too) is counted.
"""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from eventbus.bus import EVENTS
from eventbus.jetstream.api import NANO, NO_MESSAGE, Api, ApiError, unix
from eventbus.jetstream.consumers import Consumers
from spine.errors import RemoteError

log = logging.getLogger(__name__)

FULL = 0.9
"""Share of a limit that unread messages may take."""
LOOK_SECONDS = 2.0
SOON_SECONDS = 0.25
"""Between looks while unread messages take more than `NEAR`."""
NEAR = 0.6
CLOSE = 0.3
"""Share of a limit, read or not, above which each durable's oldest unread message is looked up."""


@dataclass(slots=True)
class Behind:
    """The oldest message that some durable has not read."""

    durable: str
    sequence: int
    stored: float
    unread: int
    exact: bool = True
    """Whether it is that message, or only not before that sequence."""


class Watch:
    """Says whether publishing must wait."""

    def __init__(self, api: Api, consumers: Consumers) -> None:
        self._api = api
        self._consumers = consumers
        self.held = ""
        """Why nothing may be published just now; empty when it may."""
        self.evicted = 0
        """Messages that went before a durable had read them, as far as this process saw."""
        self._look_at = 0
        self._stop_at = 0
        """Sequences at which to look at once, and to stop; 0 for never."""
        self._last = 0
        self._config: dict[str, Any] = {}
        self._behind: dict[str, Behind] = {}
        """The oldest unread message of each durable, as of the last look."""
        self._share = 0.0
        self._soon = asyncio.Event()
        self.published = asyncio.Event()

    def stored(self, sequence: int) -> None:
        """Take note of the sequence of what was stored."""
        if self._look_at and sequence >= self._look_at:
            self._look_at = 0
            self._soon.set()
        if self._stop_at and sequence >= self._stop_at and not self.held:
            self._hold(self._too_fast(sequence), FULL)
        if not self.published.is_set():
            self.published.set()

    def _too_fast(self, sequence: int) -> str:
        """Say why to stop before the next look."""
        worst = min(self._behind.values(), key=lambda b: b.sequence, default=None)
        new = sequence - self._last
        if worst is None:
            return f"{new} events in a moment; looking whether somebody reads them"
        return _why(replace(worst, unread=worst.unread + new), FULL, self._config)

    async def run(self) -> None:
        """Look again and again, once something was published, until cancelled."""
        await self.published.wait()
        while True:
            self._soon.clear()
            try:
                await self.look()
            except RemoteError as exc:
                log.debug("looking at the backlog: %s", exc)
            except Exception:
                log.exception("looking at the backlog")
            with suppress(TimeoutError):
                near = self.held or self._share > NEAR
                async with asyncio.timeout(SOON_SECONDS if near else LOOK_SECONDS):
                    await self._soon.wait()

    async def look(self) -> None:
        """Find out how much of the stream the slowest durable has not read."""
        info = await self._api.stream(EVENTS)
        if info is None:
            self._look_at = self._stop_at = 0
            self._hold("", 0.0)
            return
        state, config = info["state"], info["config"]
        durables = [d async for d in self._consumers.durables(EVENTS)]
        self._count_evicted(state, durables)
        close = max(_share(state, config, 0), _age(unix(state["first_ts"]), config)) >= CLOSE
        found = [
            await self._oldest(d, state) if close else _roughly(d, state)
            for d in durables
            if _unread(d)
        ]
        self._behind = {b.durable: b for b in found if b is not None}
        self._last, self._config = state["last_seq"], config
        self._judge(state, config)

    def _judge(self, state: dict[str, Any], config: dict[str, Any]) -> None:
        worst = min(self._behind.values(), key=lambda b: b.sequence, default=None)
        start = worst.sequence if worst else state["last_seq"] + 1
        self._look_at = _reached_at(state, config, start, NEAR)
        self._stop_at = _reached_at(state, config, start, FULL)
        if worst is None:
            self._hold("", 0.0)
            return
        share = _share(state, config, worst.sequence)
        full = max(share, _age(worst.stored, config)) >= FULL
        self._hold(_why(worst, share, config) if full else "", share)

    def _hold(self, why: str, share: float) -> None:
        self._share = share
        if why and not self.held:
            log.error("publishing is held back: %s", why)
        elif self.held and not why:
            log.warning("publishing goes on")
        self.held = why

    async def _oldest(self, info: dict[str, Any], state: dict[str, Any]) -> Behind | None:
        """Return the first message that a durable has not acknowledged."""
        config = info["config"]
        single = config.get("filter_subject")
        filters = [single] if single else (config.get("filter_subjects") or [">"])
        start = max(info["ack_floor"]["stream_seq"] + 1, state["first_seq"])
        best: Behind | None = None
        for subject in filters:
            body = {"seq": start, "next_by_subj": subject}
            try:
                what = f"looking for what {info['name']} has not read"
                answer = await self._api.call(f"STREAM.MSG.GET.{EVENTS}", body, what=what)
            except ApiError as exc:
                if exc.reason == NO_MESSAGE:
                    continue
                raise
            message = answer["message"]
            if best is None or message["seq"] < best.sequence:
                unread = info["num_pending"] + info["num_ack_pending"]
                best = Behind(info["name"], message["seq"], unix(message["time"]), unread)
        return best

    def _count_evicted(self, state: dict[str, Any], durables: list[dict[str, Any]]) -> None:
        """Count what went below a durable's feet: the stream begins after its oldest unread."""
        for info in durables:
            before = self._behind.get(info["name"])
            if before is None or not before.exact:
                continue
            unread = max(before.sequence, info["ack_floor"]["stream_seq"] + 1)
            new = state["last_seq"] - self._last
            lost = min(state["first_seq"] - unread, before.unread + new)
            if lost > 0:
                self.evicted += lost
                log.error("durable %s: up to %d unread events were evicted", info["name"], lost)


def _roughly(info: dict[str, Any], state: dict[str, Any]) -> Behind:
    """Return what a durable says by itself; enough where the stream is far from full."""
    sequence = max(info["ack_floor"]["stream_seq"] + 1, state["first_seq"])
    unread = info["num_pending"] + info["num_ack_pending"]
    return Behind(info["name"], sequence, time.time(), unread, exact=False)


def _unread(info: dict[str, Any]) -> bool:
    return bool(info["num_pending"] or info["num_ack_pending"])


def _share(state: dict[str, Any], config: dict[str, Any], sequence: int) -> float:
    """Return the part of the stream's limits that is taken from a sequence on."""
    span = max(state["last_seq"] - state["first_seq"] + 1, 1)
    part = min(max(state["last_seq"] - sequence + 1, 0) / span, 1.0)
    shares = [0.0]
    if config["max_msgs"] > 0:
        shares.append(part * state["messages"] / config["max_msgs"])
    if config["max_bytes"] > 0:
        shares.append(part * state["bytes"] / config["max_bytes"])
    return max(shares)


def _age(stored: float, config: dict[str, Any]) -> float:
    """Return the part of its time that a message has been kept."""
    return (time.time() - stored) * NANO / config["max_age"] if config["max_age"] else 0.0


def _reached_at(state: dict[str, Any], config: dict[str, Any], sequence: int, share: float) -> int:
    """Return at which sequence all since `sequence` take a share of a limit; 0 for never."""
    at = []
    if config["max_msgs"] > 0:
        at.append(sequence + int(share * config["max_msgs"]))
    if config["max_bytes"] > 0 and state["messages"]:
        mean = max(state["bytes"] / state["messages"], 1)
        at.append(sequence + int(share * config["max_bytes"] / mean))
    return min(at, default=0)


def _why(behind: Behind, share: float, config: dict[str, Any]) -> str:
    age = time.time() - behind.stored
    limit = f", events are kept for {config['max_age'] / NANO:.0f} s" if config["max_age"] else ""
    return (
        f"durable {behind.durable} has {behind.unread} unread events, the oldest {age:.0f} s old, "
        f"which take {share:.0%} of what the stream holds{limit}"
    )
