"""Conditions in the storm, against a model.

A lane posts the sides of an `a && b` one after another and waits for what must come of each, so
what is right does not depend on which replica was faster. In a lane with resets the model goes
by the moments at which the bus stored the events, as a Sensor does. The pairs that run free are
posted as fast as they go; of them it is known that no event is used twice, and that nothing
fires that was not sent.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from chaos.load import Line, Poster
from chaos.place import EVERY, lanes

PATIENCE = 240.0
"""Seconds after which what must come is taken for lost."""
FREE_EVERY = 0.05


class Model:
    """What a trigger `a && b` does, with or without resets every so many seconds."""

    def __init__(self, every: float = 0.0) -> None:
        self._every = every
        self.saved: dict[str, tuple[int, float]] = {}
        self.forgotten = 0
        """Events that a reset has made forgotten."""

    def add(self, side: str, number: int, stored: float = 0.0) -> tuple[int, int] | None:
        """Add an event; return the firing that it completes."""
        if self._every:
            reset = stored // self._every * self._every
            kept = {s: one for s, one in self.saved.items() if one[1] >= reset}
            self.forgotten += len(self.saved) - len(kept)
            self.saved = kept
        self.saved[side] = number, stored
        if len(self.saved) < 2:
            return None
        fired = self.saved["a"][0], self.saved["b"][0]
        self.saved.clear()
        return fired


class Pairs:
    """All lanes and the pairs that run free."""

    def __init__(
        self,
        poster: Poster,
        seed: int,
        stored: Callable[[str], Awaitable[tuple[int, float]]],
        folded: Callable[[int], Awaitable[bool]],
        note: Callable[[str], None],
    ) -> None:
        self._poster, self._stored, self._folded, self._note = poster, stored, folded, note
        self._random = random.Random(seed)
        self.fired: dict[str, list[tuple[int, int]]] = defaultdict(list)
        """Path -> different firings, in the order in which they came."""
        self.again = 0
        self.wanted: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.lost: list[str] = []
        self.accepted = 0
        self.free: dict[str, int] = {"c": 0, "d": 0}
        self._waits: dict[tuple[str, int, int], asyncio.Event] = {}
        self._known: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self.models = {n: Model(EVERY if n.startswith("r") else 0.0) for n in lanes()}
        self._run = asyncio.Event()
        self._run.set()
        self._busy: set[str] = set()
        self.ended = False

    def came(self, path: str, a: int, b: int) -> None:
        """Take note of a firing at the target."""
        name = path.rpartition("/")[2]
        if (a, b) in self._known[name]:
            self.again += 1
            return
        self._known[name].add((a, b))
        self.fired[name].append((a, b))
        if wait := self._waits.get((name, a, b)):
            wait.set()

    async def run(self) -> None:
        """Go on until `ended`."""
        async with asyncio.TaskGroup() as group:
            for name in lanes():
                group.create_task(self._lane(name))
            for side in self.free:
                group.create_task(self._free(side))

    async def pause(self, seconds: float) -> bool:
        """Let lanes come to the end of their rounds; return whether all did."""
        self._run.clear()
        try:
            async with asyncio.timeout(seconds):
                while self._busy:
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return False
        return True

    def wiped(self) -> None:
        """Forget what the bus has forgotten."""
        for model in self.models.values():
            model.saved.clear()

    def resume(self) -> None:
        self._run.set()

    async def _lane(self, name: str) -> None:
        line: Line | None = None
        number, model = 0, self.models[name]
        resets = name.startswith("r")
        while not self.ended:
            await self._run.wait()
            self._busy.add(name)
            sides = self._random.choice(("ab", "ba")) if not resets else self._random.choice("ab")
            for side in sides:
                line = await self._post(line, name, side, number)
                sequence, moment = await self._stored(name) if resets else (0, 0.0)
                fired = model.add(side, number, moment)
                if fired is not None:
                    await self._fires(name, *fired)
                elif resets:
                    await self._is_folded(name, sequence)
            number += 1
            self._busy.discard(name)
            if resets:
                await asyncio.sleep(self._random.random() * EVERY / 2)
        if line is not None and line.transport is not None:
            line.transport.abort()

    async def _post(self, line: Line | None, name: str, side: str, number: int) -> Line | None:
        body = b'{"n":%d,"s":"%b"}' % (number, side.encode())
        line = await self._poster.post(line, name, f"{name}-{side}{number}", body)
        self.accepted += 1
        return line

    async def _fires(self, name: str, a: int, b: int) -> None:
        self.wanted[name].append((a, b))
        if (a, b) in self._known[name]:
            return
        self._waits[name, a, b] = come = asyncio.Event()
        try:
            async with asyncio.timeout(PATIENCE):
                await come.wait()
        except TimeoutError:
            self.lost.append(f"{name}: a {a} and b {b} did not fire within {PATIENCE:g} s")
            self._note(self.lost[-1])
        finally:
            del self._waits[name, a, b]

    async def _is_folded(self, name: str, sequence: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._folded(sequence):
                    await asyncio.sleep(0.2)
        except TimeoutError:
            self.lost.append(f"{name}: event {sequence} was not read within {PATIENCE:g} s")
            self._note(self.lost[-1])

    async def _free(self, side: str) -> None:
        line: Line | None = None
        while not self.ended:
            await self._run.wait()
            self._busy.add(side)
            number = self.free[side]
            self.free[side] += 1
            line = await self._poster.post(line, side, f"{side}-{number}", b'{"n":%d}' % number)
            self.accepted += 1
            self._busy.discard(side)
            await asyncio.sleep(self._random.random() * 2 * FREE_EVERY)

    # ------------------------------------------------------------------------ the judgement

    def wrong(self) -> list[str]:
        """Return what is not as the model has it."""
        found = list(self.lost)
        for name in lanes():
            extra = self._known[name] - set(self.wanted[name])
            found += [f"{name}: a {a} and b {b} fired against the model" for a, b in sorted(extra)]
        for place, side in enumerate("cd"):
            used = [pair[place] for pair in self._known["free"]]
            twice = len(used) - len(set(used))
            if twice:
                found.append(f"free: {twice} events of side {side} are in several firings")
            if used and max(used) >= self.free[side]:
                found.append(f"free: side {side} has {max(used)}, which was never sent")
        return found

    @property
    def firings(self) -> dict[str, Any]:
        return {name: len(found) for name, found in self._known.items()}
