"""Values that programs compute with, where Python's own do not tell what Go's do.

    nil None · bool · int · float64 float · string str · []interface {} list · map dict
    []byte bytes

Whole numbers are 64 bits wide and wrap. A bool is never a number. Lists and maps of other element
types are subclasses, as they compare and print in their own way.
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from spine.lang import EvaluationError, govalue
from spine.lang.gotime import Duration, Month, Time, Weekday
from spine.lang.govalue import (
    AnyMap,
    Byte,
    Groups,
    Int,
    Ints,
    Pair,
    Pairs,
    Strings,
    value_of,
)

STEPS = 1_000_000
"""Elements that closures and functions may look at in one run: about a second."""
MEMORY = 1_000_000
"""Elements of lists and maps that may be made in one run, as in the peer."""
LONGEST = 4 * 1024 * 1024
"""Characters of a text that may be made."""
_PAGE = 256
"""Characters that cost a step where a text is copied or searched."""


class MissingValue(EvaluationError):
    """A program needs a value that this input does not have: a member of nil, nil + 1.

    Inputs of other shapes are an everyday matter, so callers may take it for `false`.
    """


class Namespace(Mapping[str, Any]):
    """Functions and constants by name, such as `time` or `sprig`.

    Its members are constants or Python callables, which take and give the values of this module
    and raise EvaluationError. What a program calls of it is looked up when it is compiled.
    """

    def __init__(self, name: str, members: Mapping[str, Any]) -> None:
        self.name = name
        self._members = members

    @override
    def __getitem__(self, key: str) -> Any:
        return self._members[key]

    @override
    def __iter__(self) -> Any:
        return iter(self._members)

    @override
    def __len__(self) -> int:
        return len(self._members)


class Budget:
    """What one run may still use."""

    __slots__ = ("memory", "steps")

    def __init__(self) -> None:
        self.steps, self.memory = STEPS, MEMORY

    def step(self, count: int = 1) -> None:
        """Use steps. Raises EvaluationError where none are left."""
        self.steps -= count
        if self.steps < 0:
            raise EvaluationError(f"it takes more than {STEPS} steps")

    def allocate(self, count: int) -> None:
        """Use memory for elements. Raises EvaluationError where none is left."""
        self.memory -= count
        self.steps -= count
        if self.memory <= 0:
            raise EvaluationError(f"memory budget exceeded: over {MEMORY} elements")

    def read(self, text: Any) -> None:
        """Use the steps that looking at a text takes."""
        if len(text) > _PAGE:
            self.step(len(text) // _PAGE)

    def make(self, length: int) -> None:
        """Use the steps that making a text of some length takes."""
        if length > LONGEST:
            raise EvaluationError(f"memory budget exceeded: a text of {length} characters")
        if length > _PAGE:
            self.step(length // _PAGE)

    def weigh(self, value: Any) -> int:
        """Use the steps of looking at all of a list or map, which may hold one many times."""
        before, waiting = self.steps, [value]
        while waiting:
            one = waiting.pop()
            self.step(len(one) + 1)
            inner = one.values() if isinstance(one, dict) else one
            waiting.extend(v for v in inner if isinstance(v, list | dict))
        return before - self.steps


def wrap(number: int) -> int:
    """Return a number as 64 bits hold it."""
    return number if -(2**63) <= number < 2**63 else (number + 2**63) % 2**64 - 2**63


_NAMES: dict[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    Int: "int",
    Byte: "uint",
    float: "float",
    str: "string",
    dict: "map",
    Groups: "map",
    AnyMap: "map",
    Time: "time.Time",
    Duration: "time.Duration",
    Month: "time.Month",
    Weekday: "time.Weekday",
}


def type_name(value: Any) -> str:
    """Return what `type()` calls a value."""
    found = _NAMES.get(type(value))
    if found is not None:
        return found
    if isinstance(value, list | bytes):
        return "array"
    if isinstance(value, Mapping):
        return "map"
    return "func" if callable(value) else "struct"


def shown(value: Any) -> str:
    """Return what error texts call a value's type."""
    name = type_name(value)
    return {"nil": "<nil>", "float": "float64", "uint": "uint8"}.get(name, name)


def key_of(value: Any) -> Any:
    """Return a value as a key of Groups or AnyMap. Raises EvaluationError."""
    if isinstance(value, list | dict | bytes | Mapping):
        raise EvaluationError(f"{shown(value)} cannot be a key")
    return govalue.key_of(value)


__all__ = [
    "AnyMap",
    "Byte",
    "Duration",
    "Groups",
    "Int",
    "Ints",
    "Month",
    "Pair",
    "Pairs",
    "Strings",
    "Time",
    "Weekday",
    "value_of",
]
