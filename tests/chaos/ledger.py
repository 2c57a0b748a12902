"""The account of a storm: what was accepted, what became of it, and what came twice, and why.

Accepted minus effects minus dead letters must be nothing. What a wipe of the whole bus has taken
is excused, but only what had been accepted and had no effect by then.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chaos.faults import Fault
from chaos.load import Load
from chaos.place import Asking
from chaos.target import RETRY_EVERY, vain
from delivery.dead import Entry

AFTER = 45.0
"""Seconds for which a fault may bring things back: what a dead process held is handed out again
30 s after its last sign of life."""
BEFORE = 1.5
"""Seconds by which an effect may precede the fault that made it come again."""
MOST, AT_ONCE = 2_000_000, 2_000
"""Numbers that are asked for at the end, and under way."""
PATHS = ("/each", "/queue", "/retry")


class Ledger:
    """What was accepted, and what is known of it."""

    def __init__(self, load: Load, target: Asking) -> None:
        self._load, self._target = load, target
        self.excused: dict[str, set[int]] = {path: set() for path in PATHS}
        self.dead: dict[str, dict[int, str]] = {path: {} for path in PATHS}
        """Path -> number -> why."""
        self.other_dead: list[str] = []
        self.dead_pairs: list[str] = []
        self._seen: set[tuple[float, int, str]] = set()
        self._floors = dict.fromkeys(PATHS, 0)
        """Path -> number below which all has come to its end."""

    # ------------------------------------------------------------------------ dead letters

    def buried(self, entry: Entry) -> None:
        """Take note of a dead letter."""
        letter = entry.letter
        same = (letter.time, entry.sequence, letter.place)
        if same in self._seen:
            return
        self._seen.add(same)
        path, number = _of(letter)
        why = f"{letter.code}: {letter.message.partition(chr(10))[0][:80]}"
        if path in self.dead and number is not None:
            self.dead[path][number] = letter.code
        elif path.startswith("/pair"):
            self.dead_pairs.append(f"{path}: {why}")
        else:
            self.other_dead.append(f"{letter.place or letter.kind}: {why}")

    # ------------------------------------------------------------------------ what is missing

    def accepted(self, path: str) -> Any:
        return self._load.queue if path == "/queue" else self._load.each

    def _step(self, path: str) -> int:
        return RETRY_EVERY if path == "/retry" else 1

    async def missing(self, path: str) -> list[int]:
        """Return the numbers that were accepted and of which nothing is known."""
        marks = self.accepted(path).marks
        found = await self._target.ask(
            "missing", path=path, since=0, upto=len(marks), step=self._step(path), most=MOST
        )
        return [n for n in found if marks[n] and not self._known(path, n)]

    def _known(self, path: str, number: int) -> bool:
        return number in self.dead[path] or number in self.excused[path]

    async def floor(self, path: str) -> int:
        """Return the number below which all has come to its end; cheap, as it never sinks."""
        step = self._step(path)
        while True:
            since, upto = self._floors[path], self.accepted(path).upto
            found = await self._target.ask(
                "missing", path=path, since=since, upto=upto, step=step, most=AT_ONCE
            )
            first = next((n for n in found if not self._known(path, n)), None)
            if first is not None:
                self._floors[path] = first
                return first
            if len(found) < AT_ONCE:
                self._floors[path] = len(range(0, upto, step)) * step
                return upto
            self._floors[path] = found[-1] + step

    async def floors(self) -> tuple[int, int]:
        """Return the floor of the webhook's events and their retries, and the queue's."""
        each, retry = await self.floor("/each"), await self.floor("/retry")
        return min(each, retry), await self.floor("/queue")

    def ends(self) -> tuple[int, int]:
        """Return up to where all is accepted: the webhook's events, and the queue's."""
        return self._load.each.upto, self._load.queue.upto

    async def excuse(self) -> int:
        """Excuse what had no effect by now: the bus is wiped."""
        count = 0
        for path in PATHS:
            gone = await self.missing(path)
            self.excused[path].update(gone)
            count += len(gone)
        return count

    # ------------------------------------------------------------------------ the account

    async def account(self) -> dict[str, dict[str, int]]:
        """Return the figures of each path."""
        rows = {}
        for path in PATHS:
            accepted, step = self.accepted(path), self._step(path)
            numbers = range(0, len(accepted.marks), step)
            count = sum(accepted.marks[n] for n in numbers) if step > 1 else accepted.count
            lost = await self.missing(path)
            have = await self._target.ask(
                "have",
                path=path,
                numbers=sorted(self.dead[path] | dict.fromkeys(self.excused[path])),
            )
            both = set(have)
            dead = self.dead[path].keys()
            rows[path] = {
                "accepted": count,
                "dead letters only": len(dead - both),
                "dead letters and an effect": len(dead & both),
                "taken by a wipe": len(self.excused[path] - both - dead),
                "lost": len(lost),
            }
            rows[path]["effects"] = (
                count - len(lost) - rows[path]["dead letters only"] - rows[path]["taken by a wipe"]
            )
        return rows

    async def against_the_model(self) -> list[str]:
        """Return what a `retryStrategy` did that it should not have done."""
        found = []
        never = [n for n in range(0, self._load.each_events, RETRY_EVERY) if vain(n) is None]
        if done := await self._target.ask("have", path="/retry", numbers=never):
            found.append(f"retry: {len(done)} effects where every attempt fails")
        return found

    def by_reason(self) -> Counter[str]:
        """Return the dead letters by path and code."""
        counts = Counter(
            f"{path[1:]}: {code}" for path, dead in self.dead.items() for code in dead.values()
        )
        counts.update(f"pairs: {why}" for why in self.dead_pairs)
        counts.update(self.other_dead)
        return counts


def _of(letter: Any) -> tuple[str, int | None]:
    """Return path and number of what a dead letter is about."""
    import json

    try:
        if letter.action is not None:
            content = letter.action.content
            body = content["body"]
            data = json.loads(body if isinstance(body, str | bytes) else json.dumps(body))
            path = "/" + letter.action.trigger
            if "n" not in data:
                return f"/pair{path}", None
            return path, int(data["n"])
        event = json.loads(letter.data)
        if letter.events:
            return "/pair/event", None
        text = event.get("data_base64")
        if text is not None:
            import base64

            data = json.loads(base64.b64decode(text))
        else:
            data = event["data"]
        if event["source"] == "queue":
            return "/queue", int(data["values"]["n"])
        return ("/each" if event["subject"] == "each" else "/pair/event"), int(data["body"]["n"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return "?", None


def concerns(fault: Fault, path: str) -> bool:
    """Whether a fault may have to do with what comes at a path."""
    theirs = {
        "/pair": ("sensor-events", "queue"),
        "/queue": ("sensor-pairs", "hooks"),
    }.get(path, ("sensor-pairs", "queue"))
    names = fault.detail.split()
    return not names or not names[0].startswith(theirs)


def causes(
    again: Sequence[Sequence[Any]], faults: Sequence[Fault], path: str = "/each"
) -> Counter[str]:
    """Return duplicates by the kind of fault that made them."""
    faults = [fault for fault in faults if concerns(fault, path)]
    counts: Counter[str] = Counter()
    for _, first, second, unanswered in again:
        counts[_cause(first, second, unanswered=unanswered, faults=faults)] += 1
    return counts


def _cause(first: float, second: float, *, unanswered: bool, faults: Sequence[Fault]) -> str:
    if unanswered:
        return "the target did it, and cut the line before it answered"
    near = [f for f in faults if f.begin - BEFORE <= first <= (f.end or second) + AFTER]
    near = [f for f in near if f.begin <= second]
    if not near:
        return "no fault was near"
    # the answer was lost by what began next after the effect, or went on then
    after = [f for f in near if f.begin >= first - BEFORE]
    found = min(after or near, key=lambda f: abs(f.begin - first))
    return found.kind
