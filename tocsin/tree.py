"""A decision as a tree for a person: what was looked at, in the order in which it is decided.

The last line is in words. Long values are cut unless all of them are wanted.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from delivery.action import Action
from sensor.evaluate import DependencyVerdict, TriggerVerdict
from sensor.plan import Plan
from sensor.reason import Finding
from sensor.replay import Told
from sensor.trace import DependencyTrace, Mismatch, ParameterTrace, Present
from sensor.wording import clock, deed, masked, readable, sentence
from spine.event import Event

CUT = 100
"""Characters of a value that are shown."""
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "bright_black")}


class Tree:
    """Writes decisions; `whole` shows values in full."""

    def __init__(self, plan: Plan, *, whole: bool = False) -> None:
        self._plan, self._whole = plan, whole

    def lines(self, told: Told) -> Iterator[str]:
        """Yield the lines of one event, without the last one in words."""
        event, decision = told.event, told.decision
        yield from self._event(event)
        for verdict in decision.dependencies:
            yield from self._dependency(verdict)
        for other in decision.others:
            yield self._other(other)
        for trigger in decision.triggers:
            yield from self._trigger(trigger, told)
        reached = {trigger.name for trigger in decision.triggers}
        for name, planned in self._plan.triggers.items():
            if name not in reached:
                needs = planned.conditions.text.replace("&&", " && ").replace("||", " || ")
                yield f"{_mark(None)} trigger {name}  not reached: it needs {needs}"

    # ------------------------------------------------------------------------ the event

    def _event(self, event: Event) -> Iterator[str]:
        name = click.style(f"{event.source}/{event.subject}", bold=True)
        at = "" if event.time is None else f", {clock(event.time.timestamp())}"
        yield f"event {event.id} of {name} ({event.type}{at})"

    # ------------------------------------------------------------------------ dependencies

    def _dependency(self, verdict: DependencyVerdict) -> Iterator[str]:
        trace = verdict.trace
        said = "takes it" if verdict.passed else "does not take it"
        where = "" if trace is None else f" ({trace.source}/{trace.event})"
        yield f"{_mark(verdict.passed)} dependency {verdict.name}{where}  {said}"
        if trace is None:
            return
        yield f"    data       {self._cut(trace.before)}"
        if trace.transform:
            yield f"    transform  {self._cut(trace.transform)}"
        if trace.fault:
            yield f"    {_mark(False)} {trace.fault}"
            return
        if trace.transform:
            yield f"    becomes    {self._cut(trace.after)}"
        yield from self._filters(trace)

    def _filters(self, trace: DependencyTrace) -> Iterator[str]:
        kinds = {one.kind for one in trace.filters}
        if trace.operator == "or" and len(kinds) > 1:
            yield _dim("    filters: any kind will do (filtersLogicalOperator: or)")
        for kind, operator in trace.operators.items():
            if operator == "or":
                yield _dim(f"    {kind} filters: any will do")
        for finding in trace.filters:
            yield from self._finding(finding)

    def _finding(self, one: Finding) -> Iterator[str]:
        yield f"    {_mark(one.passed)} {one.title}: {self._cut(_comparison(one))}"
        for hint in one.hints:
            yield f"        {_hint(hint)}"

    def _other(self, other: Mismatch) -> str:
        wanted = f"{other.source}/{other.event}"
        differs = " and ".join(other.differs)
        return f"{_mark(None)} dependency {other.name} ({wanted})  means another {differs}"

    # ------------------------------------------------------------------------ triggers

    def _trigger(self, verdict: TriggerVerdict, told: Told) -> Iterator[str]:
        fired = verdict.code in {"Fired", "Repeated"}
        mark = _mark(None if verdict.code == "Gathered" else fired)
        yield f"{mark} trigger {verdict.name}  {_outcome(verdict)}"
        planned, trace = self._plan.triggers[verdict.name], verdict.trace
        if planned.stateful and planned.gather is None and trace is not None:
            yield f"    conditions {trace.conditions.replace('&&', ' && ').replace('||', ' || ')}"
            for present in trace.present:
                yield f"      {_mark(True)} {_present(present)}"
            for name in verdict.missing:
                yield f"      {_mark(False)} {name}  has not come"
            if verdict.reset:
                yield f"      reset at {clock(verdict.reset)}"
            yield from (f"      {_hint(hint)}" for hint in trace.hints)
        parameters = trace.parameters if trace is not None else ()
        if verdict.message and not fired and not any(one.fault for one in parameters):
            yield f"    {_mark(False)} {verdict.message}"
            if trace is not None and verdict.code == "Skipped":
                yield from (f"        {_hint(hint)}" for hint in trace.hints)
        for parameter in parameters:
            yield f"    {self._parameter(parameter)}"
            yield from (f"        {_hint(hint)}" for hint in parameter.hints)
        action = next((a for a in told.decision.actions if a.key == verdict.key), None)
        if action is not None:
            yield from self._action(action)

    def _parameter(self, one: ParameterTrace) -> str:
        into = one.place.removeprefix("template.") + (f" -> {one.dest}" if one.dest else "")
        if one.fault:
            return f"{_mark(False)} {into}: {one.fault}"
        value = one.note if one.value is None else f"= {self._cut(one.value)}"
        note = f", {one.note}" if one.note and one.value is not None else ""
        return f"{into} {value}  " + _dim(f"({one.source}{note})")

    def _action(self, action: Action) -> Iterator[str]:
        yield f"    would {deed(action)}"
        for line in content_lines(action, whole=self._whole):
            yield f"      {line}"
        if action.fallback is not None:
            yield f"    if that fails for good: would {deed(action.fallback)}"

    def _cut(self, text: str | None) -> str:
        if text is None:
            return "none"
        line = text if self._whole else " ".join(text.split())
        return line if self._whole or len(line) <= CUT else line[: CUT - 1] + "…"


def _comparison(one: Finding) -> str:
    """Return what was found beside what was wanted."""
    if not one.passed:
        return one.detail
    if one.kind == "exprs":
        return f"{one.where} is true ({one.found})"
    if one.kind == "script":
        return f"{one.where} gives true"
    return f"{one.where} is {one.found or 'absent'}, wanted {one.wanted}"


def _outcome(verdict: TriggerVerdict) -> str:
    code = verdict.code
    if code == "Gathered":
        until = f" until {clock(verdict.due)}" if verdict.due else ""
        return f"{verdict.detail}{until}"
    of = f" with {verdict.gathered} events" if verdict.gathered else ""
    words = {"Fired": f"fires{of}", "Repeated": "fires again", "Faulted": "cannot be made"}
    return words.get(code, "is skipped" if code == "Skipped" else code.lower())


def _present(one: Present) -> str:
    since = f" since {clock(one.since)}" if one.since else ""
    return f"{one.dependency}  event {one.id}{since}"


def content_lines(action: Action, *, whole: bool = False) -> Iterator[str]:
    """Yield what an action would send, with its secrets masked."""
    content = masked(action.content)
    if action.kind == "http":
        yield from _request(content, whole)
        return
    for key, value in content.items():
        yield _member(key, value, whole)


def _request(content: Mapping[str, Any], whole: bool) -> Iterator[str]:
    yield f"{content['method']} {content['url']}"
    for name, value in content.get("headers", {}).items():
        yield f"{name}: {value}"
    for header in content.get("secureHeaders", ()):
        yield f"{header['name']}: {header['valueFrom']}"
    if "allow" in content:
        yield f"success is a status of {', '.join(map(str, content['allow']))}"
    shown = {"method", "url", "headers", "secureHeaders", "body", "timeout", "allow"}
    for key, value in content.items():
        if key not in shown:
            yield _member(key, value, whole)
    if content.get("body"):
        yield _shortly(content["body"], whole)


def _member(key: str, value: Any, whole: bool) -> str:
    text = value if isinstance(value, str) else json.dumps(_opened(value), ensure_ascii=False)
    return f"{key}: {_shortly(text, whole)}"


def _opened(value: Any) -> Any:
    """Return a value with texts that hold JSON as what they say."""
    if isinstance(value, Mapping):
        return {key: _opened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_opened(item) for item in value]
    return readable(value) if isinstance(value, str) and value[:1] in {"{", "["} else value


def _shortly(text: str, whole: bool) -> str:
    return text if whole or len(text) <= 2 * CUT else text[: 2 * CUT - 1] + "…"


def _mark(passed: bool | None) -> str:
    mark, colour = _MARKS[passed]
    return click.style(mark, fg=colour)


def _hint(text: str) -> str:
    return f"{click.style('hint:', fg='yellow')} {text}"


def _dim(text: str) -> str:
    return click.style(text, dim=True)


def verdict_line(text: str) -> str:
    """Return the last line, coloured by what it says."""
    return click.style(text, fg="green" if text.startswith("fired") else "red", bold=True)


def as_json(told: Told) -> dict[str, Any]:
    """Return a decision as JSON."""
    import msgspec

    event, decision = told.event, told.decision
    found = msgspec.to_builtins(decision)
    for action in found["actions"]:
        action["content"] = masked(action["content"])
    return {
        "event": {
            "id": event.id,
            "source": event.source,
            "name": event.subject,
            "type": event.type,
            "time": None if event.time is None else event.time.isoformat(),
            "data": None if event.data is None else readable(event.data.decode(errors="replace")),
        },
        "dependencies": [
            {**one, "detail": verdict.detail}
            for one, verdict in zip(found["dependencies"], decision.dependencies, strict=True)
        ],
        "others": found["others"] if decision.others else [],
        "triggers": found["triggers"],
        "actions": found["actions"],
        "text": sentence(decision, event),
    }
