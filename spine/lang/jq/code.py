"""Compiled filters: closures over a value and the variables around it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

Variables = Mapping[str, Any]
One = Callable[[Any, Variables], Any]
"""A filter with exactly one output."""
Many = Callable[[Any, Variables], Iterator[Any]]


class NotCovered(Exception):
    """A part of the language that is left to libjq."""


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
