"""Members: what stands after a point, a key of a map or a method of a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spine.lang import EvaluationError, gotime
from spine.lang.gotemplate.functions import Function, acceptor
from spine.lang.gotemplate.runtime import MISSING
from spine.lang.govalue import Int, type_name

_SIGNATURES = {
    "Format": "string",
    "Add": "duration",
    "AddDate": "int int int",
    "Sub": "time",
    "Before": "time",
    "After": "time",
    "Equal": "time",
    "Compare": "time",
    "In": "zone",
    "Truncate": "duration",
    "Round": "duration",
}
_INTS = frozenset(("Year", "Day", "Hour", "Minute", "Second", "Nanosecond", "YearDay", "Compare"))


def _method(name: str, call: Callable[..., Any]) -> Function:
    """Return a method as a function whose first parameter is the value."""
    if name in _INTS:
        return Function(name, _SIGNATURES.get(name, ""), lambda *args: Int(call(*args)))
    return Function(name, _SIGNATURES.get(name, ""), call)


_METHODS: Mapping[type, Mapping[str, Function]] = {
    kind: {name: _method(name, call) for name, call in methods.items()}
    for kind, methods in gotime.METHODS.items()
}


def _methods(value: object) -> Mapping[str, Function]:
    known = _METHODS.get(type(value))
    if known is not None:
        return known
    own: Mapping[str, Function] = getattr(type(value), "GO_METHODS", {})
    return own


def member(value: Any, name: str) -> Any:
    """Return a member of a value. Raises EvaluationError where it cannot have any."""
    if isinstance(value, dict):
        return value.get(name, MISSING)
    if value is MISSING:
        return MISSING
    if value is None:
        raise EvaluationError(f"nil pointer evaluating interface {{}}.{name}")
    method = _methods(value).get(name)
    if method is not None:
        return call_method(value, method, ())
    raise EvaluationError(f"can't evaluate field {name} in type {type_name(value)}")


def member_with(value: Any, name: str, args: Sequence[Any]) -> Any:
    """Return what a method gives for arguments. Raises EvaluationError."""
    if value is MISSING:
        return MISSING
    method = _methods(value).get(name)
    if method is not None:
        return call_method(value, method, args)
    if isinstance(value, dict):
        raise EvaluationError(f"{name} is not a method but has arguments")
    return member(value, name)


def call_method(value: Any, method: Function, args: Sequence[Any]) -> Any:
    """Call a method of a value. Raises EvaluationError."""
    why = method.takes(len(args))
    if why:
        raise EvaluationError(why)
    accepted = [acceptor(method.kind(i))(arg) for i, arg in enumerate(args)]
    return method.call(value, *accepted)
