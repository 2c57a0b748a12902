"""What a function of the language takes, gives and does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spine.lang import EvaluationError
from spine.lang.exprlang.nodes import UNKNOWN, Kind
from spine.lang.exprlang.values import MissingValue, shown

Wanted = frozenset[str] | None
"""Names of kinds; None is any."""

LISTS = frozenset(["array"])
TEXT = frozenset(["string"])
WHOLE = frozenset(["int"])
NUMBER = frozenset(["int", "float"])
MAPS = frozenset(["map", "any-map", "groups"])


@dataclass(frozen=True, slots=True)
class Signature:
    """A function of the language."""

    run: Callable[..., Any]
    """Takes the budget, then the arguments."""
    takes: Sequence[Wanted] = (None,)
    """Kinds of its arguments that are refused before it runs unless they fit."""
    gives: Kind | Callable[[list[Kind]], Kind] = UNKNOWN
    least: int = 1
    most: int | None = 1
    """Most arguments; None is any number, of the last kind in `takes`."""
    careless: bool = False
    """Whether nobody looks at what stands behind an argument that is not known."""

    def wants(self, at: int) -> Wanted:
        """Return the kinds that fit an argument."""
        return self.takes[min(at, len(self.takes) - 1)] if self.takes else None


def function(
    run: Callable[..., Any],
    *takes: Wanted,
    gives: Kind | Callable[[list[Kind]], Kind] = UNKNOWN,
    least: int | None = None,
) -> Signature:
    """Return a function that takes as many arguments as kinds are given, or fewer."""
    return Signature(run, takes, gives, len(takes) if least is None else least, len(takes))


def unfit(name: str, value: Any) -> EvaluationError:
    """Return what is wrong with an argument."""
    fault = MissingValue if value is None else EvaluationError
    return fault(f"{name} does not take {shown(value)}")


def text(name: str, value: Any) -> str:
    """Return an argument that must be a text. Raises EvaluationError."""
    if value.__class__ is not str:
        raise unfit(name, value)
    return str(value)
