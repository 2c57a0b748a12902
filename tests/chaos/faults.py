"""The faults of a storm: what is done to whom, for how long, by a plan that a seed gives.

Two tracks go on at once, so that faults meet: one is about the bus, where a second fault at the
same time would be more than three servers promise to bear, the other about all else. The plan
is made beforehand: the same seed does the same things in the same order.
"""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos import place

if TYPE_CHECKING:
    from chaos.storm import Storm


@dataclass(slots=True)
class Fault:
    """One fault, as it went."""

    kind: str
    track: str
    detail: str = ""
    begin: float = 0.0
    end: float = 0.0
    """Unix seconds at which all was put right again from outside."""
    first: float | None = None
    """Seconds from the end to the first effect after it."""
    caught_up: float | None = None
    """Seconds from the end until all that had been accepted by then had its effect."""


Do = Callable[["Storm", random.Random, Fault], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault."""

    name: str
    do: Do
    track: str = "process"
    clustered: bool | None = None
    """Whether it needs a cluster, or a lone server."""
    needs: str = ""


KINDS: list[Kind] = []


def kind(name: str, **more: object) -> Callable[[Do], Do]:
    """Note a kind of fault."""

    def noted(do: Do) -> Do:
        KINDS.append(Kind(name, do, **more))  # type: ignore[arg-type]  # the fields of Kind
        return do

    return noted


@dataclass(slots=True)
class Plan:
    """Which faults come, and when."""

    seed: int
    clustered: bool
    only: tuple[str, ...] = ()
    clock: bool = True
    gap: tuple[float, float] = (1.0, 8.0)
    _kinds: list[Kind] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._kinds = [
            one
            for one in KINDS
            if one.clustered in {None, self.clustered}
            and (not self.only or any(word in one.name for word in self.only))
            and (one.needs != "clock" or self.clock)
        ]

    @property
    def kinds(self) -> list[str]:
        return [one.name for one in self._kinds]

    def track(self, track: str) -> Iterator[tuple[float, Kind, random.Random]]:
        """Yield for ever: seconds to wait, what to do, and chance for its particulars.

        Every kind comes once before any comes again.
        """
        mine = [one for one in self._kinds if one.track == track]
        slower = 2 if track == "bus" else 1  # without a bus nothing goes on
        chance = random.Random(f"{self.seed} {track}")
        number = 0
        while mine:
            chance.shuffle(mine)
            for one in mine:
                number += 1
                yield (
                    slower * chance.uniform(*self.gap),
                    one,
                    random.Random(f"{self.seed} {track} {number}"),
                )


# ---------------------------------------------------------------------------- ours


async def _end(storm: "Storm", names: list[str], chance: random.Random, number: int) -> None:
    """End processes at once, and start them again a moment later, as Kubernetes does."""
    for name in names:
        storm.place[name].leave()
    if number == signal.SIGKILL:
        await asyncio.gather(*(storm.place[name].kill() for name in names))
    else:
        await asyncio.gather(*(storm.place[name].terminate() for name in names))
    await asyncio.sleep(chance.uniform(0.1, 2.0))
    for name in names:
        await storm.place[name].start()
    await asyncio.gather(*(storm.is_back(name) for name in names))


def _enders() -> None:
    who: dict[str, Callable[[Storm, random.Random], list[str]]] = {
        "source (webhook)": lambda _s, _c: ["hooks"],
        "source (queue)": lambda _s, _c: ["queue"],
        "sensor, all replicas": lambda s, _c: list(s.place.events),
        "sensor, one replica": lambda s, c: [c.choice(s.place.events)],
        "conditions' sensor, one replica": lambda s, c: [c.choice(s.place.pairs)],
        "conditions' sensor, all replicas": lambda s, _c: list(s.place.pairs),
    }
    for whom, names in who.items():
        for word, number in (("kill -9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)):

            async def do(
                storm: "Storm",
                chance: random.Random,
                fault: Fault,
                names: Callable[["Storm", random.Random], list[str]] = names,
                number: int = number,
            ) -> None:
                chosen = names(storm, chance)
                fault.detail = " ".join(chosen)
                await _end(storm, chosen, chance, number)

            kind(f"{word} {whom}")(do)


_enders()


async def _freeze(storm: "Storm", names: list[str], seconds: float) -> None:
    for name in names:
        storm.place[name].send(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for name in names:
            storm.place[name].send(signal.SIGCONT)


@kind("SIGSTOP source")
async def freeze_source(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice(storm.place.sources)
    await _freeze(storm, [name], storm.freeze)


@kind("SIGSTOP one replica")
async def freeze_replica(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice([*storm.place.events, *storm.place.pairs])
    await _freeze(storm, [name], storm.freeze * chance.choice((0.5, 1.0, 1.3)))


@kind("clock jump", needs="clock")
async def jump(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    name = chance.choice(sorted(storm.place.clocks))
    seconds = chance.choice((-600, -45, -5, 5, 45, 600))
    fault.detail = f"{name} {seconds:+d} s"
    storm.place.clocks[name].write_text(f"{seconds:+d}\n")
    await asyncio.sleep(storm.freeze * chance.uniform(0.3, 1.0))
    storm.place.clocks[name].write_text("+0\n")


# ---------------------------------------------------------------------------- the target


def _modes() -> None:
    for mode, word in (("500", "answers 500"), ("hang", "hangs"), ("reset", "resets")):

        async def do(storm: "Storm", chance: random.Random, fault: Fault, mode: str = mode) -> None:
            fault.detail = mode
            await storm.place.asking.ask("mode", mode=mode)
            try:
                await asyncio.sleep(storm.outage * chance.uniform(0.3, 1.0))
            finally:
                await storm.place.asking.ask("mode", mode="well")

        kind(f"target {word}")(do)


_modes()


# ---------------------------------------------------------------------------- the network


async def _cut(storm: "Storm", ones: list[str], others: list[str], seconds: float) -> None:
    storm.place.network.cut(ones, others)
    try:
        await asyncio.sleep(seconds)
    finally:
        storm.place.network.mend(ones, others)


@kind("cut between a sensor and its target")
async def cut_target(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice([*storm.place.events, *storm.place.pairs])
    await _cut(storm, [name], ["target"], storm.outage * chance.uniform(0.3, 1.0))


@kind("cut between the queue and its source")
async def cut_queue(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = "queue redis"
    await _cut(storm, ["redis"], ["queue"], storm.outage * chance.uniform(0.3, 1.0))


@kind("cut between one of ours and the bus")
async def cut_bus(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice(storm.place.ours)
    servers = storm.place.servers
    if chance.random() < 0.5:
        servers = [chance.choice(servers)]
        fault.detail += f" {servers[0]}"
    await _cut(storm, [name], servers, storm.outage * chance.uniform(0.3, 1.5))


@kind("cut between two bus servers", track="bus", clustered=True)
async def cut_two(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    one, other = chance.sample(storm.place.servers, 2)
    fault.detail = f"{one} {other}"
    await _cut(storm, [one], [other], storm.outage * chance.uniform(0.3, 1.5))
    await storm.bus_is_whole()


@kind("cut around one bus server", track="bus", clustered=True)
async def cut_around(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = one = chance.choice(storm.place.servers)
    others = [n for n in storm.place.names if n != one]
    await _cut(storm, [one], others, storm.outage * chance.uniform(0.3, 1.5))
    await storm.bus_is_whole()


# ---------------------------------------------------------------------------- the bus


@kind("kill -9 one bus server", track="bus", clustered=True)
async def kill_one(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice(storm.place.servers)
    await storm.place[name].kill()
    await asyncio.sleep(chance.uniform(0.5, storm.outage))
    await storm.place[name].start()
    await storm.bus_is_whole()


@kind("SIGTERM one bus server", track="bus", clustered=True)
async def end_one(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice(storm.place.servers)
    await storm.place[name].terminate()
    await asyncio.sleep(chance.uniform(0.5, storm.outage))
    await storm.place[name].start()
    await storm.bus_is_whole()


@kind("kill -9 the whole bus", track="bus")
async def kill_bus(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    await asyncio.gather(*(storm.place[n].kill() for n in storm.place.servers))
    await asyncio.sleep(chance.uniform(0.2, storm.outage))
    for name in storm.place.servers:
        await storm.place[name].start()
    await storm.bus_is_whole()


@kind("SIGSTOP one bus server", track="bus", clustered=True)
async def freeze_one(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice(storm.place.servers)
    await _freeze(storm, [name], storm.freeze)
    await storm.bus_is_whole()


@kind("SIGSTOP the whole bus", track="bus")
async def freeze_bus(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    await _freeze(storm, storm.place.servers, storm.freeze * chance.uniform(0.2, 1.0))
    await storm.bus_is_whole()


@kind("disk full at one bus server", track="bus", clustered=True)
async def fill_one(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    fault.detail = name = chance.choice(storm.place.servers)
    await _full(storm, [name], chance)


@kind("disk full at the whole bus", track="bus")
async def fill_bus(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    await _full(storm, storm.place.servers, chance)


async def _full(storm: "Storm", names: list[str], chance: random.Random) -> None:
    """Take the disk away for a while; then servers are started anew, as a pod's probe does it.

    A nats-server that has met a full disk takes nothing more until it is started again.
    """
    for name in names:
        place.fill(storm.place.store(name))
    await asyncio.sleep(storm.outage * chance.uniform(0.5, 1.5))
    for name in names:
        place.unfill(storm.place.store(name))
    await asyncio.gather(*(storm.place[name].terminate() for name in names))
    for name in names:
        await storm.place[name].start()
    await storm.bus_is_whole()


@kind("store of one bus server wiped", track="bus", clustered=True)
async def wipe_one(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    """Nothing may be lost: two others have it all."""
    await storm.bus_is_whole()
    fault.detail = name = chance.choice(storm.place.servers)
    await storm.place[name].kill()
    storm.place.wipe(name)
    await asyncio.sleep(chance.uniform(0.2, 2.0))
    await storm.place[name].start()
    await storm.bus_is_whole()


@kind("store of the whole bus wiped", track="bus")
async def wipe_bus(storm: "Storm", chance: random.Random, fault: Fault) -> None:
    """What nobody had acted on is gone; whatever is accepted from then on must come.

    Provided that a replica of the Sensor lives until the bus is back: to one that starts later the
    bus is new, and so is the Sensor.
    """
    async with storm.nothing_else:
        if not await storm.pairs.pause(90):
            fault.detail = "left out: the lanes did not come to rest"
            storm.pairs.resume()
            return
        await asyncio.gather(*(storm.place[n].kill() for n in storm.place.servers))
        await asyncio.sleep(3.0)  # answers that were on their way arrive
        fault.detail = f"{await storm.ledger.excuse()} excused"
        for name in storm.place.servers:
            storm.place.wipe(name)
            await storm.place[name].start()
        await storm.bus_is_whole()
        storm.pairs.wiped()
        storm.pairs.resume()
        await storm.sensors_are_known()


async def run(storm: "Storm", plan: Plan, track: str, until: float) -> None:
    """Do the faults of one track until a moment of the monotonic clock."""
    for wait, one, chance in plan.track(track):
        if time.monotonic() + wait > until or storm.over:
            return
        await asyncio.sleep(wait)
        if storm.over:
            return
        fault = Fault(one.name, track, begin=time.time())
        storm.faults.append(fault)
        storm.say(f"{one.name} …")
        if track == "bus":
            await one.do(storm, chance, fault)
        else:
            async with storm.nothing_else:
                await one.do(storm, chance, fault)
        fault.end = time.time()
        storm.say(f"  over after {fault.end - fault.begin:.1f} s: {one.name} ({fault.detail})")
        storm.watch(fault)
