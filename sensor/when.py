"""`if` on a trigger: whether a firing is acted on. Ours; Argo Events has nothing like it.

    if: data.action == "opened" && events["deploys"].data.env in ["stage", "prod"]

An expr-lang expression (1.17) that gives a bool. `data` and `context` are those of the event that
completed the firing, `events` has both for each dependency that took part. Data is decoded when
the expression asks for it, and only that.

Events of several shapes may meet one trigger, so an expression that needs what an event does not
have says no, and the reason is told; any other failure is a fault of the firing. There is no clock:
the same events lead to the same decision whenever one asks, so the time is `context.time`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from typing_extensions import override

from sensor.firing import context_json, data_document
from sensor.trigger import Events
from spine.errors import ConfigError, ParameterError
from spine.event import Event
from spine.lang import EvaluationError, exprlang, gojson
from spine.lang.exprlang.nodes import Builtin, Const, Member, Name, walk

Declines = Callable[[Events, str], str]
"""Returns why a firing is not acted on, empty where it is; of the dependency that completed it.
Raises ParameterError."""

_NAMES = ("data", "context", "events")
_PARTS = ("data", "context")


def compile_when(text: str, dependencies: Sequence[str]) -> Declines:
    """Compile what `if` says. Raises ConfigError for what can never work."""
    program = exprlang.compile(text, "1.17", names=_NAMES)
    _look_at(program, dependencies)

    def declines(events: Events, dependency: str) -> str:
        try:
            value = program.run(_Firing(events, dependency))
        except exprlang.MissingValue as exc:
            return f"its if, {text!r}, finds that {exc}"
        except EvaluationError as exc:
            raise _fault(text, str(exc)) from exc
        if value is True:
            return ""
        if value is False:
            return f"its if is false: {text}"
        if value is None:
            return f"its if gives nil: {text}"
        raise _fault(text, "it does not give true or false")

    return declines


def _fault(text: str, why: str) -> ParameterError:
    return ParameterError(f"evaluating if {text!r:.200}: {why}", hint="try it with: tocsin explain")


def _look_at(program: exprlang.Program, dependencies: Sequence[str]) -> None:
    """Refuse what compiles and yet cannot work. Raises ConfigError."""
    for node in walk(program.tree):
        if isinstance(node, Builtin) and node.name == "now":
            raise ConfigError(
                f"compiling if {program.text!r}: a decision has no clock, so there is no now()",
                hint="take the time of the event: date(context.time)",
            )
        if not isinstance(node, Member) or not isinstance(node.key, Const):
            continue
        key, base = node.key.value, node.base
        if isinstance(base, Name) and base.name == "events":
            _known(program, key, dependencies, "dependency of this trigger")
        elif _is_event(base):
            _known(program, key, _PARTS, "part of an event")


def _is_event(node: object) -> bool:
    base = node.base if isinstance(node, Member) else None
    return isinstance(base, Name) and base.name == "events"


def _known(program: exprlang.Program, key: object, known: Sequence[str], what: str) -> None:
    if key not in known:
        raise ConfigError(
            f"compiling if {program.text!r}: {key!r} is no {what}",
            hint=f"it has {', '.join(known)}",
        )


# ---------------------------------------------------------------------------- what it sees


class _Seen(Mapping[str, Any]):
    """Members that are made when they are asked for."""

    _members: Sequence[str]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    @override
    def __len__(self) -> int:
        return len(self._members)


class _OfEvent(_Seen):
    """`data` and `context` of an event."""

    def __init__(self, events: Events, dependency: str) -> None:
        self._members = _PARTS
        self._events, self._dependency = events, dependency
        self._made: dict[str, Any] = {}

    @override
    def __getitem__(self, key: str) -> Any:
        if key not in _PARTS:
            raise KeyError(key)
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]

    def _make(self, key: str) -> Any:
        if key == "data":
            return _decoded(self._events, self._dependency)
        return _context(self._events[self._dependency])


class _OfEvents(_Seen):
    """Events of a firing by dependency."""

    def __init__(self, events: Events) -> None:
        self._members = list(events)
        self._made = {name: _OfEvent(events, name) for name in events}

    @override
    def __getitem__(self, key: str) -> Any:
        return self._made[key]


class _Firing(_Seen):
    """The variables of `if`."""

    def __init__(self, events: Events, dependency: str) -> None:
        self._members = _NAMES
        self._events, self._last = events, _OfEvent(events, dependency)

    @override
    def __getitem__(self, key: str) -> Any:
        return _OfEvents(self._events) if key == "events" else self._last[key]


def _decoded(events: Events, dependency: str) -> Any:
    """Return the data of an event. Raises ParameterError where it is neither JSON nor YAML."""
    data = data_document(events, dependency).data
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return orjson.loads(gojson.without_lone_surrogates(data) or data)


def _context(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(context_json(event))
    return found
