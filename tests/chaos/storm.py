"""One storm, from start to account."""

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from chaos import faults, report
from chaos.faults import Fault, Plan
from chaos.lanes import Pairs
from chaos.ledger import PATHS, Ledger, causes
from chaos.load import Load, Poster
from chaos.place import HOOKS, Place
from delivery.dead import list_dead
from delivery.subjects import sensor_durable
from eventbus.bus import EVENTS
from eventbus.jetstream import Options, connect
from eventbus.jetstream.api import unix
from spine.errors import RemoteError

SETTLED = 15.0
"""Seconds after its start from which a process is measured."""
SAMPLE = 5.0
"""Seconds between looks at memory and files."""
TELL = 10.0
"""Seconds between lines of progress."""
BACKLOG = 60_000
"""Events without an effect above which nothing new is sent."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for."""

    seed: int
    events: int
    rate: float
    servers: int
    replicas: int
    minutes: float
    """Most minutes of sending."""
    settle: float
    """Most seconds until all must have come to its end afterwards."""
    short: bool
    lines: int
    only: tuple[str, ...] = ()
    keep: bool = False
    calm: bool = False


class Storm:
    """A storm that goes on."""

    def __init__(self, wish: Wish, folder: Path) -> None:
        self.wish = wish
        self.began = time.monotonic()
        self.notes: list[str] = []
        """What ended by itself, and the like."""
        self.place = Place(
            folder,
            servers=wish.servers,
            replicas=wish.replicas,
            disk="128m" if wish.short else "1600m",
            note=self.note,
        )
        self.freeze, self.outage = (4.0, 3.0) if wish.short else (30.0, 12.0)
        self.nothing_else = asyncio.Lock()
        """Held by a fault outside the bus, and by one that bears no other."""
        self.faults: list[Fault] = []
        self.over = False
        self.samples: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
        self._open: list[tuple[Fault, tuple[int, int]]] = []
        """Faults that are over, and up to where all must come for them to be recovered from."""
        self._bus: Any = None

    # ------------------------------------------------------------------------ telling

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:7.1f} s] {text}", flush=True)

    def note(self, text: str) -> None:
        """Note something that should not be."""
        self.notes.append(text)
        self.say(f"! {text}")

    # ------------------------------------------------------------------------ for faults

    async def is_back(self, name: str) -> None:
        """Wait until a process of ours is ready, or has had its time to be."""
        with suppress(TimeoutError):
            await self.place[name].until_ready(7777, seconds=20)

    async def bus_is_whole(self) -> None:
        """Wait until every server says that all its streams are up to date."""
        for name in self.place.servers:
            try:
                await self.place[name].until_ready(8222, "/healthz", seconds=120)
            except TimeoutError:
                self.note(f"{name} is not healthy after 120 s; started again")
                await self.place[name].terminate()
                await self.place[name].start()

    async def sensors_are_known(self) -> None:
        """Wait until the bus knows the Sensors again."""
        wanted = {sensor_durable("events"), sensor_durable("pairs")}
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with suppress(RemoteError):
                if wanted <= {info.durable for info in await self._bus.readers(EVENTS)}:
                    return
            await asyncio.sleep(0.5)
        self.note("the Sensors did not come back to a bus that was wiped")

    def watch(self, fault: Fault) -> None:
        """Measure how long it takes to recover from a fault."""
        self._open.append((fault, self.ledger.ends()))

    async def _recover(self) -> None:
        while True:
            if self._open:
                each, queue = await self.ledger.floors()
                for one in list(self._open):
                    fault, (each_end, queue_end) = one
                    if each >= each_end and queue >= queue_end:
                        self._open.remove(one)
                        fault.caught_up = time.time() - fault.end
                        self.say(f"  caught up {fault.caught_up:.1f} s after: {fault.kind}")
            await asyncio.sleep(0.5)

    # ------------------------------------------------------------------------ the whole

    async def run(self) -> int:
        """Run it; return 0 if nothing was lost and all is as the model has it, else 1."""
        wish = self.wish
        clock = bool(faults.place.FAKETIME.exists())
        self.plan = Plan(wish.seed, wish.servers > 1, wish.only, clock,
                         (0.3, 2.0) if wish.short else (2.0, 10.0))  # fmt: skip
        self.say(f"seed {wish.seed}: {wish.events} events, {len(self.plan.kinds)} kinds of faults")
        if not clock:
            self.say("no faketime here: clocks do not jump")
        try:
            await self.place.start()
            return await self._blow()
        finally:
            await self.place.kill()

    async def _blow(self) -> int:
        wish = self.wish
        redis = Redis(host=self.place.node("redis").address, port=6379)
        poster = Poster(self.place.node("hooks").address, HOOKS)
        self.load = Load(poster, redis, events=wish.events, rate=wish.rate, lines=wish.lines)
        self.ledger = Ledger(self.load, self.place.asking)
        self.pairs = Pairs(poster, wish.seed, self._stored, self._folded, self.note)
        self.place.asking.on_pair = self.pairs.came
        self.poster = poster
        async with connect(lambda: Options(servers=self.place.urls)) as self._bus:
            around = [
                asyncio.create_task(one, name=name)
                for name, one in {
                    "lines": poster.look(),
                    "dead letters": self._bury(),
                    "sizes": self._sample(),
                    "progress": self._tell(),
                    "recoveries": self._recover(),
                }.items()
            ]
            try:
                await self._send()
                await self._settle()
                code = await self._account()
            finally:
                for task in around:
                    task.cancel()
                await asyncio.gather(*around, return_exceptions=True)
                poster.close()
                await redis.aclose()
        return code

    async def _send(self) -> None:
        """Send under faults; the faults end first."""
        self.say("all is up; sending")
        self.sending = time.monotonic()
        until = self.sending + self.wish.minutes * 60
        sending = asyncio.create_task(self.load.run())
        pairing = asyncio.create_task(self.pairs.run())
        tracks = [] if self.wish.calm else [
            asyncio.create_task(faults.run(self, self.plan, track, until))
            for track in ("bus", "process")
        ]  # fmt: skip
        while not sending.done() and time.monotonic() < until:
            await asyncio.wait({sending, pairing, *tracks}, timeout=1)
            for task in (pairing, *tracks):
                if task.done() and task.exception() is not None:
                    await task
        self.over = True
        self.say("no more faults")
        await asyncio.gather(*tracks)
        self.load.end()
        await sending
        self.sent = time.monotonic()
        self.pairs.ended = True
        self.pairs.resume()
        self.say(f"sent {self.load.accepted} in {self.sent - self.sending:.0f} s")
        await pairing

    async def _settle(self) -> None:
        """Wait until all has come to an end."""
        began = time.monotonic()
        while time.monotonic() - began < self.wish.settle:
            if await self.ledger.floors() == self.ledger.ends():
                self.say(f"settled after {time.monotonic() - began:.0f} s")
                await asyncio.sleep(1)
                return
            await asyncio.sleep(1)
        self.say("not settled")

    # ------------------------------------------------------------------------ beside it

    async def _bury(self) -> None:
        """Read dead letters as they come."""
        while True:
            with suppress(RemoteError):
                async for entry in list_dead(self._bus):
                    self.ledger.buried(entry)
            await asyncio.sleep(2)

    async def _sample(self) -> None:
        while True:
            for name in self.place.ours:
                process = self.place[name]
                settled = process.running and time.time() - process.started > SETTLED
                if settled and (found := process.size()) is not None:
                    self.samples[name].append((time.time(), *found))
            await asyncio.sleep(SAMPLE)

    async def _tell(self) -> None:
        while True:
            counts = await self.place.asking.ask("counts")
            done, load = counts["done"], self.load
            behind = load.accepted - done.get("/each", 0) - done.get("/queue", 0)
            behind -= sum(len(self.ledger.excused[path]) for path in ("/each", "/queue"))
            self.say(
                f"accepted {load.each.count} + {load.queue.count}, behind {max(behind, 0)}, "
                f"pairs {sum(self.pairs.firings.values())}, faults {len(self.faults)}, "
                f"dead {sum(len(d) for d in self.ledger.dead.values())}"
            )
            load.hold(held=behind > BACKLOG)
            await asyncio.sleep(TELL)

    async def _stored(self, lane: str) -> tuple[int, float]:
        """Return sequence and moment of the last event of a lane."""
        while True:
            with suppress(RemoteError, KeyError):
                found = await self._bus._api.call(
                    f"STREAM.MSG.GET.{EVENTS}",
                    {"last_by_subj": f"{EVENTS}.hooks.{lane}"},
                    what="looking up a lane's last event",
                )
                return found["message"]["seq"], unix(found["message"]["time"])
            await asyncio.sleep(0.2)

    async def _folded(self, sequence: int) -> bool:
        try:
            infos = await self._bus.readers(EVENTS)
        except RemoteError:
            return False
        durable = sensor_durable("pairs")
        return any(i.durable == durable and i.acknowledged >= sequence for i in infos)

    # ------------------------------------------------------------------------ the account

    async def _account(self) -> int:
        with suppress(RemoteError):
            async for entry in list_dead(self._bus):
                self.ledger.buried(entry)
        rows = await self.ledger.account()
        again = await self.place.asking.ask("again")
        asked = await self.place.asking.ask("counts")
        for fault in self.faults:
            if fault.end:
                at = await self.place.asking.ask("after", since=fault.end)
                fault.first = None if at is None else max(0.0, at - fault.end)
        pairs = await self.place.asking.ask("pairs")
        memory, grown = report.sizes(self.samples)
        wrong = [*self.pairs.wrong(), *await self.ledger.against_the_model()]
        wrong += [f"dead letter: {why}" for why in self.ledger.other_dead]
        lost = sum(row["lost"] for row in rows.values())
        self.text = self._text(rows, again, pairs, memory, grown, wrong)
        print(self.text, flush=True)
        for path in PATHS:
            if rows[path]["lost"]:
                self.say(f"lost of {path}: {(await self.ledger.missing(path))[:40]}")
        if asked["wrong"]:
            wrong.append(f"{asked['wrong']} requests were not understood")
        bad = bool(lost or wrong or self.notes or (grown and not self.wish.short))
        if bad:
            print(f"\nFAILED: seed {self.wish.seed}. Again: --seed {self.wish.seed}", flush=True)
        return int(bad)

    def _text(
        self,
        rows: dict[str, dict[str, int]],
        again: dict[str, list[Any]],
        pairs: dict[str, list[float]],
        memory: str,
        grown: list[str],
        wrong: list[str],
    ) -> str:
        wish, load = self.wish, self.load
        seconds = self.sent - self.sending
        total = load.accepted + self.pairs.accepted
        columns = ("accepted", "effects", "dead letters only", "taken by a wipe", "lost",
                   "dead letters and an effect")  # fmt: skip
        twice: Counter[str] = Counter()
        for path, found in again.items():
            for why, count in causes(found, self.faults, path).items():
                twice[f"{path[1:]}: {why}"] += count
        repeated = [(0, t[0], later, False) for t in pairs.values() for later in t[1:]]
        for why, count in causes(repeated, self.faults, "/pair").items():
            twice[f"pairs: {why}"] += count
        forgotten = sum(m.forgotten for m in self.pairs.models.values())
        parts = [
            f"## Storm of seed {wish.seed}",
            (f"{time.strftime('%Y-%m-%d')}, {report.machine()}, {wish.servers} bus servers, "
            f"{wish.replicas} + 2 replicas. {total:,} events accepted in {seconds:,.0f} s "
            f"({total / seconds:,.0f}/s), {len(self.faults)} faults."),
            "Answers to senders: "
            + ", ".join(f"{s or 'none'} {n:,}" for s, n in sorted(self.poster.statuses.items())),
            report.table(("events", *columns),
                         [(p[1:], *(f"{rows[p][c]:,}" for c in columns)) for p in PATHS]),
            (f"Conditions: {sum(self.pairs.firings.values()):,} firings of "
            f"{self.pairs.accepted:,} events, {forgotten:,} forgotten by resets."),
            "### Recovery", report.recoveries(self.faults),
            "### Duplicates",
            report.table(("cause", "count"), twice.most_common()) if twice else "None.",
            "### Dead letters",
            report.table(("reason", "count"), self.ledger.by_reason().most_common(40)),
            "### Memory and files", memory,
            *(f"- {line}" for line in grown),
            "### Against the model", *([f"- {line}" for line in wrong[:60]] or ["Nothing."]),
            "### Notes", *([f"- {line}" for line in self.notes[:60]] or ["None."]),
        ]  # fmt: skip
        return "\n\n".join(parts) + "\n"


async def blow(wish: Wish, file: Path | None) -> int:
    """Run a storm in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    storm = Storm(wish, folder)
    code = 1
    try:
        code = await storm.run()
        if file is not None:
            file.write_text(storm.text)
        (folder / "faults.json").write_text(
            json.dumps([[f.kind, f.detail, f.begin, f.end, f.first, f.caught_up]
                        for f in storm.faults], indent=1))  # fmt: skip
    finally:
        if wish.keep:
            print(f"logs are in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def wish_of(found: argparse.Namespace) -> Wish:
    """Return what the words of a command ask for."""
    return Wish(
        seed=found.seed if found.seed is not None else int(time.time()) % 100_000,
        events=found.events or (6_000 if found.short else 1_000_000),
        rate=found.rate or (300 if found.short else 1_500),
        servers=found.servers,
        replicas=found.replicas,
        minutes=found.minutes or (0.4 if found.short else 27),
        settle=found.settle or (240 if found.short else 420),
        short=found.short,
        lines=8 if found.short else 32,
        only=tuple(found.only or ()),
        keep=found.keep,
        calm=found.calm,
    )
