"""Functions as templates call them: with Go's types checked before anything runs.

A signature is written as in Go: `int string`, `string ...any`. Inside a template the types are
exactly Go's; other languages that call a function pass plain Python values.
"""

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from spine.lang import EvaluationError
from spine.lang.gotemplate.runtime import MISSING, effort
from spine.lang.gotime import Duration, Time
from spine.lang.govalue import Int, type_name

_GO = {
    "map": "map[string]interface {}",
    "list": "[]interface {}",
    "time": "time.Time",
    "duration": "time.Duration",
    "zone": "*time.Location",
    "version": "*semver.Version",
    "any": "interface {}",
}
_TYPES: dict[str, type] = {
    "string": str,
    "int": Int,
    "float64": float,
    "bool": bool,
    "map": dict,
    "list": list,
    "time": Time,
    "duration": Duration,
}
_MAY_BE_NIL = frozenset(("map", "list"))

Accept = Callable[[Any], Any]


def mismatch(kind: str, value: object) -> EvaluationError:
    """Return the error of a value that a parameter does not take."""
    wanted = _GO.get(kind, kind)
    if value is MISSING:
        return EvaluationError(f"invalid value; expected {wanted}")
    got = "interface {}" if value is None else type_name(value)
    return EvaluationError(f"wrong type for value; expected {wanted}; got {got}")


def _accept(kind: str) -> Accept:
    if kind == "any":
        return lambda value: None if value is MISSING else value
    wanted, nil = _TYPES.get(kind), kind in _MAY_BE_NIL

    def accept(value: Any) -> Any:
        if type(value) is wanted:
            return value
        if nil and value is MISSING:
            return None
        raise mismatch(kind, value)

    return accept


def _accept_zone(value: Any) -> Any:
    if hasattr(value, "at"):  # whatever says what clocks show
        return value
    raise mismatch("zone", value)


_ACCEPT: dict[str, Accept] = {kind: _accept(kind) for kind in (*_TYPES, "any")}
_ACCEPT["zone"] = _accept_zone


def acceptor(kind: str) -> Accept:
    """Return the check of a value for a parameter of a type; raises EvaluationError."""
    return _ACCEPT[kind]


class Function:
    """A function, its name and the types of its parameters."""

    __slots__ = ("call", "deep", "fixed", "mutates", "name", "rest")

    def __init__(
        self,
        name: str,
        signature: str,
        call: Callable[..., Any],
        *,
        mutates: bool = False,
        deep: bool = True,
    ) -> None:
        kinds = signature.split()
        self.name = name
        self.call = call
        self.mutates = mutates
        """Whether it changes a map that it is given."""
        self.deep = deep
        """Whether it looks at all that is in a list or a map, not at one level only."""
        self.rest = kinds.pop()[3:] if kinds and kinds[-1].startswith("...") else ""
        """Type of all further arguments; empty where there are none."""
        self.fixed = tuple(kinds)

    @override
    def __repr__(self) -> str:
        return f"Function({self.name!r})"

    def takes(self, count: int) -> str:
        """Return why it does not take a number of arguments; empty if it does."""
        least = len(self.fixed)
        if count < least or (count > least and not self.rest):
            wanted = f"at least {least}" if self.rest else str(least)
            return f"wrong number of args for {self.name}: want {wanted} got {count}"
        return ""

    def kind(self, index: int) -> str:
        """Return the type of a parameter."""
        return self.fixed[index] if index < len(self.fixed) else self.rest

    def __call__(self, *args: Any) -> Any:
        """Call it with Python values. Raises EvaluationError."""
        why = self.takes(len(args))
        if why:
            raise EvaluationError(why)
        if self.deep:
            effort(args, deep=True)
        return self.call(*(_lenient(self.kind(i), arg) for i, arg in enumerate(args)))


def _lenient(kind: str, value: Any) -> Any:
    """Take a Python value for a Go type, where no more than the width of a number differs."""
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return Int(value)
    if kind == "float64" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if value is None and kind in _MAY_BE_NIL:
        return None
    return _ACCEPT[kind](value)
