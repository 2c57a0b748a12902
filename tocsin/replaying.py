"""What a Sensor would make of events that the bus has kept, and how two Sensors differ in that.

The stream is the recording: each event is evaluated as it was when the bus took it, with the time
that passed between them, by the evaluator that runs. Nothing is sent, and nothing is counted as
read. What is compared is what would be done: actions of the same trigger for the same events.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from typing_extensions import override

from delivery.action import Action
from sensor.evaluate import due
from sensor.plan import Plan
from sensor.replay import Replay, Told
from sensor.wording import MASK, masked, readable, sentence
from spine.event import Event

SAMPLES = 3
"""Events that are named in each group."""
OPEN = 100_000
"""Actions of triggers with state that wait for their like of the other Sensor."""
PATHS = 6
"""Places at which two actions differ that are told."""
KINDS = 1_000
"""Groups that are kept; what else differs is counted in the last one."""
BEFORE, NOW = 0, 1


class Place(NamedTuple):
    """Where, and by which code, an event went no further."""

    where: str
    code: str


@dataclass(slots=True)
class Group:
    """Things that are alike: how many, and the first few."""

    count: int = 0
    samples: list[Any] = field(default_factory=list)

    def add(self, sample: Any) -> None:
        """Count one more."""
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples.append(sample)


@dataclass(slots=True)
class Tally:
    """What became of all events in one Sensor."""

    fired: Counter[str] = field(default_factory=Counter)
    """Trigger -> actions."""
    firing: int = 0
    """Events, or moments, at which something fired."""
    ended: dict[Place, Group] = field(default_factory=dict)
    """Where events ended that led no further, with a few of their ids and what was said."""

    def add(self, told: Told) -> None:
        """Count what came of one event."""
        decision = told.decision
        for action in decision.actions:
            self.fired[action.trigger] += 1
        self.firing += bool(decision.actions)
        for verdict in decision.dependencies:
            if not verdict.passed:
                self._end(f"dependency {verdict.name}", verdict.code, told, verdict.detail)
        for trigger in decision.triggers:
            if trigger.code not in {"Fired", "Repeated"}:
                self._end(f"trigger {trigger.name}", trigger.code, told, trigger.detail)

    def _end(self, where: str, code: str, told: Told, text: str) -> None:
        group = self.ended.setdefault(Place(where, code), Group())
        group.add((told.event.id, text))


@dataclass(slots=True)
class Side:
    """One of the Sensors."""

    title: str
    replay: Replay
    tally: Tally = field(default_factory=Tally)

    @property
    def plan(self) -> Plan:
        """The Sensor, compiled."""
        return self.replay.plan

    async def step(self, event: Event, moment: float) -> list[Told]:
        """Return what follows from the time until an event, and from the event."""
        told = [one async for one in self._passing(moment)]
        told.append(await self.replay.take(event, moment, trace=False))
        for one in told:
            self.tally.add(one)
        return told

    async def end(self, moment: float) -> list[Told]:
        """Return what follows from the time after the last event."""
        told = [one async for one in self._passing(moment)]
        for one in told:
            self.tally.add(one)
        return told

    async def _passing(self, moment: float) -> Any:
        last = None
        while (at := due(self.plan, self.replay.state)) <= moment and at != last:
            yield await self.replay.tick(at)
            last = at


# ---------------------------------------------------------------------------- differences


class Change(NamedTuple):
    """One place at which an action is another now."""

    path: str
    before: Any
    now: Any


@dataclass(slots=True)
class Alone:
    """An action that the other Sensor does not have."""

    action: Action
    event: Event
    """The one that was looked at when it came up."""
    moment: float
    """When, in unix seconds."""
    why: str = ""
    """What the other Sensor makes of that event."""


class Changed(NamedTuple):
    """Actions of a trigger that differ at the same places."""

    trigger: str
    paths: tuple[str, ...]


@dataclass(slots=True)
class Difference:
    """How what two Sensors would do differs; actions that are alike are matched as they come."""

    loose: Collection[str] = frozenset()
    """Triggers with state: their actions may come at different moments."""
    same: int = 0
    changed: dict[Changed, Group] = field(default_factory=dict)
    """Samples are the events' ids and a list of Change."""
    only: tuple[dict[str, Group], dict[str, Group]] = field(default_factory=lambda: ({}, {}))
    """By side: trigger -> actions that the other does not have; samples are Alone."""
    _open: dict[tuple[str, tuple[str, ...]], tuple[int, Alone]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many actions are not the same."""
        return sum(
            group.count for groups in (self.changed, *self.only) for group in groups.values()
        )

    def step(self, before: Sequence[Told], now: Sequence[Told]) -> Iterator[Action]:
        """Take what both made of one event; yield actions that are new or others now."""
        for side, told in ((BEFORE, before), (NOW, now)):
            for one in told:
                for action in one.decision.actions:
                    yield from self._add(side, Alone(action, one.event, one.now))
        yield from self._settle(lambda trigger: trigger not in self.loose)
        while len(self._open) > OPEN:
            yield from self._alone(next(iter(self._open)))

    def end(self) -> Iterator[Action]:
        """Yield the new actions among those that found nothing like them."""
        yield from self._settle(lambda _: True)

    def _settle(self, is_done: Any) -> Iterator[Action]:
        for key in [key for key in self._open if is_done(key[0])]:
            yield from self._alone(key)

    def _alone(self, key: tuple[str, tuple[str, ...]]) -> Iterator[Action]:
        side, alone = self._open.pop(key)
        self.only[side].setdefault(alone.action.trigger, Group()).add(alone)
        if side == NOW:
            yield alone.action

    def _add(self, side: int, alone: Alone) -> Iterator[Action]:
        action = alone.action
        key = action.trigger, tuple(sorted(action.events.values()))
        other = self._open.get(key)
        if other is None or other[0] == side:
            self._open[key] = side, alone
            return
        del self._open[key]
        pair = (action, other[1].action)
        before, now = pair if side == BEFORE else pair[::-1]
        if before.content == now.content:
            self.same += 1
            return
        changes = differences(before.content, now.content)
        kind = Changed(action.trigger, tuple(change.path for change in changes))
        if kind not in self.changed and len(self.changed) >= KINDS:
            kind = Changed("", ())
        self.changed.setdefault(kind, Group()).add((key[1], changes))
        yield now

    async def explain(self, sides: Sequence[Side]) -> None:
        """Say of samples why the other Sensor has none, where the event alone tells."""
        for side, groups in enumerate(self.only):
            other = sides[1 - side]
            for trigger, group in groups.items():
                if trigger in self.loose or trigger not in other.plan.triggers:
                    continue
                for one in group.samples:
                    told = await other.replay.look(one.event, one.moment)
                    one.why = sentence(told.decision, told.event)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return the first places at which two contents differ, with secrets masked."""
    old, new = _leaves(masked(before)), _leaves(masked(now))
    paths = [path for path in {**old, **new} if old.get(path, _NONE) != new.get(path, _NONE)]
    if not paths:
        return [Change("(a masked value)", MASK, MASK)]
    return [Change(path, old.get(path, _NONE), new.get(path, _NONE)) for path in paths[:PATHS]]


class _Absent:
    @override
    def __repr__(self) -> str:
        return "absent"


_NONE = _Absent()


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Return path -> value of all that is in a value; texts of JSON are what they say."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        value = readable(value)
    if isinstance(value, Mapping) and value:
        items: Iterator[tuple[Any, Any]] = iter(value.items())
    elif isinstance(value, list | tuple) and value:
        items = enumerate(value)
    else:
        return {path: value}
    found: dict[str, Any] = {}
    for key, item in items:
        found.update(_leaves(item, f"{path}.{key}" if path else str(key)))
    return found


def shown(value: Any, longest: int = 60) -> str:
    """Return a value of a change, as JSON, cut where it is long."""
    if isinstance(value, _Absent):
        return "absent"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"
