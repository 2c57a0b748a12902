"""Compiled filters: closures over a value and the variables around it.

Variables have run-time keys of their own, one for each place that binds one; what a function sees
of its surroundings is therefore found in the variables of whoever calls it.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from spine.lang import EvaluationError

Variables = Mapping[str, Any]
One = Callable[[Any, Variables], Any]
"""A filter with exactly one output."""
Many = Callable[[Any, Variables], Iterator[Any]]
Paths = Callable[[Any, Any, Variables], Iterator[tuple[Any, Any]]]
"""Yields the path of each output, from where one stands, or a Stray; and the output."""


BUDGET = "#"
"""Key of the budget among the variables of a program that is not safe."""
_MOST_STEPS = 2_000_000
_MOST_PARTS = 2_000_000
_MOST_LETTERS = 64 * 1024 * 1024
"""Letters of all texts that are put into arrays."""
_LOOKED_AT = 64
"""Parts of a value that is collected whose letters are counted; many small ones are steps."""


class Budget:
    """What a program that may not end is allowed: steps, and parts of a value that grows."""

    def __init__(self) -> None:
        self.left = _MOST_STEPS
        self._room = _MOST_LETTERS

    def step(self) -> None:
        """Count a step. Raises EvaluationError, which no program can catch."""
        self.left -= 1
        if self.left < 0:
            raise EvaluationError(f"it takes more than {_MOST_STEPS} steps")

    def collect(self, value: Any) -> None:
        """Count a value that is put into an array, where it stays."""
        self.step()
        waiting, looked = [value], 0
        while waiting and looked < _LOOKED_AT:
            one = waiting.pop()
            looked += 1
            if isinstance(one, str):
                self._room -= len(one)
            elif isinstance(one, list):
                waiting += one[:_LOOKED_AT]
            elif isinstance(one, dict):
                waiting += itertools.islice(one.values(), _LOOKED_AT)
        if self._room < 0:
            raise EvaluationError(f"it collects more than {_MOST_LETTERS} letters")

    def turn(self, number: int, value: Any) -> None:
        """Count a turn of a loop, and weigh what it works on in the 1st, 2nd, 4th, 8th...

        A value can double with every turn without taking memory, as its parts are shared.
        """
        self.step()
        if number & (number - 1) == 0:
            weigh(value)


def weigh(value: Any) -> None:
    """Raise EvaluationError for a value that would be too large to be written."""
    left, waiting = _MOST_PARTS, [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            left -= len(one)
            waiting += one if left > 0 else []
        elif isinstance(one, dict):
            left -= len(one)
            waiting += one.values() if left > 0 else []
        if left < 0:
            raise EvaluationError(f"it makes a value of more than {_MOST_PARTS} parts")


class Code(NamedTuple):
    """A compiled filter; `one` is there if it always has exactly one output (or fails)."""

    one: One | None
    many: Many


def single(one: One) -> Code:
    """Return the code of a filter with one output."""

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        yield one(value, variables)

    return Code(one, many)


def several(many: Many) -> Code:
    """Return the code of a filter with any number of outputs."""
    return Code(None, many)


def constant(value: Any) -> Code:
    """Return the code of a filter that always gives the same."""
    return single(lambda _value, _variables: value)


def combined(operation: Callable[[Any, Any], Any], left: Code, right: Code) -> Code:
    """Return an operation on the outputs of two filters; the right one varies slower."""
    one, other = left.one, right.one
    if one is not None and other is not None:
        first, second = one, other

        def both(value: Any, variables: Variables) -> Any:
            after = second(value, variables)  # jq looks at the right side first
            return operation(first(value, variables), after)

        return single(both)

    def many(value: Any, variables: Variables) -> Iterator[Any]:
        for after in right.many(value, variables):
            for before in left.many(value, variables):
                yield operation(before, after)

    return several(many)


def counted(code: Code, value: Any, variables: Variables) -> Iterator[Any]:
    """Yield the outputs of a filter, each against the budget, as what becomes of them stays."""
    collect = variables[BUDGET].collect
    for item in code.many(value, variables):
        collect(item)
        yield item
