"""Golden cases, run and compared.

They go through the evaluator of the running sensor, on a clock of their own. Wanted actions are
compared by what is written of them, so a case says only what it is about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from delivery.action import Action
from sensor.evaluate import due
from sensor.replay import TIME, Replay, Told, replaying
from sensor.wording import fires, readable, sentence
from spine.errors import ConfigError
from spine.event import JSON, Event
from spine.runtime import seconds
from tocsin.cases import Case, File, GivenEvent, WantedAction
from tocsin.explaining import Attributes, concrete, event_of
from tocsin.report import plural

TICKS = 1_000
"""Firings by time in one case."""


@dataclass(slots=True)
class Outcome:
    """What came of a case."""

    case: Case
    told: list[Told] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    """Where it differs from what is wanted; none: it passed."""

    @property
    def text(self) -> str:
        """The last line of `tocsin explain`."""
        last = [one for one in self.told if one.event is not TIME]
        return sentence(last[-1].decision, last[-1].event) if last else ""


async def run_case(file: File, case: Case) -> Outcome:
    """Run one case. Raises ConfigError for an event that cannot be made."""
    outcome, clock = Outcome(case), _seconds(case.now)
    async with replaying(file.sensor.plan) as replay:
        for number, given in enumerate(case.events, 1):
            clock = _seconds(given.time) if given.time else clock + _length(given.after)
            await _pass_time(replay, outcome, clock)
            event = _event(file, given, number, clock)
            outcome.told.append(await replay.take(event, clock))
        await _pass_time(replay, outcome, clock + _length(case.wait))
    outcome.actions = [a for one in outcome.told for a in one.decision.actions]
    outcome.differences = list(_differences(outcome))
    return outcome


async def _pass_time(replay: Replay, outcome: Outcome, until: float) -> None:
    for _ in range(TICKS):
        moment = due(replay.plan, replay.state)
        if moment > until:
            return
        outcome.told.append(await replay.tick(moment))


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _length(text: str) -> float:
    return seconds(text) if text else 0.0


def _event(file: File, given: GivenEvent, number: int, clock: float) -> Event:
    time, identity = datetime.fromtimestamp(clock, UTC), given.id or str(number)
    plan = file.sensor.plan
    attributes = Attributes(given.source, given.name, given.type, identity, time)
    if given.dependency:
        dependency = plan.dependencies.get(given.dependency)
        if dependency is None:
            names = ", ".join(plan.dependencies)
            raise ConfigError(
                f"reading {file.path}: no dependency is called {given.dependency!r}",
                hint=f"there are {names}",
            )
        topic = dependency.topic
        attributes = attributes._replace(source=concrete(topic.source), name=concrete(topic.name))
    what = f"{number} of {file.path}"
    if given.file:
        try:
            content = (file.path.parent / given.file).read_bytes()
        except OSError as exc:
            raise ConfigError(f"reading event {given.file}: {exc.strerror}") from exc
        return event_of(content, file.sensor, attributes, what=what)
    event = event_of(b"0", file.sensor, attributes, what=what)  # its topic
    return Event(
        id=identity,
        source=event.source,
        subject=event.subject,
        type=given.type,
        time=time,
        datacontenttype=JSON,
        data=_data(given),
    )


def _data(given: GivenEvent) -> bytes:
    if given.text is not None:
        return given.text.encode()
    if "body" in given.model_fields_set:
        return orjson.dumps({"header": given.header, "body": given.body})
    return orjson.dumps({} if given.data is None else given.data)


# ---------------------------------------------------------------------------- comparing


def _differences(outcome: Outcome) -> Iterator[str]:
    case, text = outcome.case, outcome.text
    fired = [one for one in outcome.told if fires(one.decision)]
    if case.want is None and case.refused is None:
        yield "it says neither want nor refused (write one, or let --update do it)"
    wanted = case.want if case.want is not None else [] if case.refused is not None else None
    if wanted is not None:
        yield from _compare_actions(wanted, outcome)
    if case.refused is not None:
        if fired and fired[-1] is outcome.told[-1]:
            yield f"refused: wanted {case.refused!r}, but it {text}"
        elif case.refused not in text:
            yield f"refused: wanted {case.refused!r}, got {text!r}"


def _compare_actions(wanted: list[WantedAction], outcome: Outcome) -> Iterator[str]:
    actions = outcome.actions
    if len(wanted) != len(actions):
        names = ", ".join(a.trigger for a in actions) or "none"
        why = "" if actions else f": {outcome.text}"
        yield f"want: wanted {plural(len(wanted), 'action')}, got {len(actions)} ({names}){why}"
    for number, (one, action) in enumerate(zip(wanted, actions, strict=False)):
        place = f"want[{number}]"
        if one.trigger != action.trigger:
            yield f"{place}.trigger: wanted {one.trigger}, got {action.trigger}"
            continue
        yield from _compare(one.events, action.events, f"{place}.events")
        if one.content is not None:
            yield from _compare(one.content, action.content, f"{place}.content")


def _compare(wanted: Any, got: Any, place: str) -> Iterator[str]:
    """Yield where a value lacks what is wanted of it; members that are not named may be there."""
    if isinstance(got, str) and isinstance(wanted, dict | list):
        got = readable(got)
    if isinstance(wanted, dict) and isinstance(got, Mapping):
        for key, value in wanted.items():
            if key in got:
                yield from _compare(value, got[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}: wanted {_shown(value)}, got nothing"
    elif isinstance(wanted, list) and isinstance(got, list | tuple):
        if len(wanted) != len(got):
            yield f"{place}: wanted {len(wanted)} items, got {len(got)}: {_shown(got)}"
        for at, (one, other) in enumerate(zip(wanted, got, strict=False)):
            yield from _compare(one, other, f"{place}[{at}]")
    elif (type(wanted) is bool or type(got) is bool or wanted != got) and wanted is not got:
        yield f"{place}: wanted {_shown(wanted)}, got {_shown(got)}"


def _shown(value: Any) -> str:
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 200 else text[:199] + "…"  # noqa: PLR2004 -- a line or two


def came(outcome: Outcome) -> dict[str, Any]:
    """Return what a case says when it says what came."""
    if not outcome.actions:
        return {"refused": outcome.text.removeprefix("did not fire: ")}
    return {
        "want": [
            {"trigger": one.trigger, "content": _opened(one.content)} for one in outcome.actions
        ]
    }


def _opened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _opened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_opened(item) for item in value]
    return readable(value) if isinstance(value, str) and value[:1] in {"{", "["} else value
