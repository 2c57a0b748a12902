"""What a template has while it runs: a frame of variables, the text so far, a budget of work.

`MISSING` is a member that is not there; None is a null that is. Go tells them apart: a chain
goes on through the first and stops at the second.
"""

from collections.abc import Iterable
from typing import Any, Final

from typing_extensions import override

from spine.lang import EvaluationError

WORK = 200_000
"""Steps of one rendering: calls, actions in loops, and a share of what they handle."""
PARTS = 1_000_000
"""Values in a value, and letters in its texts by the dozen, that are looked at."""
LONGEST = 8_000_000
"""Letters of what is rendered, and of any text or list on the way."""
DEEPEST = 64
"""Templates within templates."""


CONTAINERS = (list, dict)
"""What has values in it."""


class Missing:
    """The type of what is not there."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False

    @override
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Run:
    """What all frames of one rendering share."""

    __slots__ = ("depth", "out", "work")

    def __init__(self) -> None:
        self.out: list[str] = []
        self.work = WORK
        self.depth = 0

    def charge(self, work: int) -> None:
        """Take work from the budget. Raises EvaluationError when it is used up."""
        self.work -= work
        if self.work < 0:
            raise EvaluationError(f"running a template: more than {WORK} steps")


class Frame:
    """The variables of a template that runs."""

    __slots__ = ("out", "run", "slots")

    def __init__(self, run: Run, root: Any, count: int) -> None:
        self.run = run
        self.out = run.out
        self.slots: list[Any] = [root] * count


def effort(values: Iterable[object], *, deep: bool) -> int:
    """Return the steps that handling values counts for, all that is in them too if `deep`.

    Raises EvaluationError where that is too much by itself.
    """
    steps = 0
    for value in values:
        if isinstance(value, str):
            steps += len(value) >> 8
        elif isinstance(value, CONTAINERS):
            steps += measured(value) >> 3 if deep else len(value) >> 2
    return steps


def bounded(length: int) -> None:
    """Raise EvaluationError where a text or a list would be too long."""
    if length > LONGEST:
        raise EvaluationError(f"{length} letters or elements are more than {LONGEST}")


def measured(value: object) -> int:
    """Return the number of values in a value.

    Raises EvaluationError where it is too large or too deep to be looked at, as a list that
    was put into itself again and again is.
    """
    count, depth, level = 0, 0, [value]
    while level:
        depth += 1
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                count += len(item)
            elif isinstance(item, list | tuple):
                below.extend(item)
            count += 1
            if isinstance(item, str):
                count += len(item) >> 4
            if count + len(below) > PARTS:
                raise EvaluationError(f"a value of more than {PARTS} parts")
        if depth > _LEVELS:
            raise EvaluationError(f"a value nested deeper than {_LEVELS} levels")
        level = below
    return count


_LEVELS = 300
