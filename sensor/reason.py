"""Why an event does not pass a filter: a code and its particulars, text only when it is read.

A Reason is the first thing that decided, and all that the running sensor makes. A Finding is what
one filter saw, whether it decided or not; findings are made for those who ask why.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from spine.event import Event
from spine.lang.gjson import Document


class Reason(NamedTuple):
    """Why an event does not pass."""

    code: str
    """Stable word, the label of metrics: Context, Time, Data, Expr, Script, PathMissing or
    NothingConfigured."""
    where: str = ""
    wanted: str = ""
    got: str = ""
    number: int = 0
    """Which of several filters of its kind, from 1; 0 where there is but one."""

    @property
    def text(self) -> str:
        """One line for people."""
        if self.code == "NothingConfigured":
            return "filtersLogicalOperator is or, and no filter is configured"
        name = f"data filter {self.number}: " if self.number else ""
        if self.code == "PathMissing":
            return f"{name}data has no {self.where}"
        return f"{name}{self.where} is {self.got}, not {self.wanted}"


Test = Callable[[Document], Reason | None]
"""Returns why data does not pass, None if it does. Raises FilterError."""


def all_of(tests: Sequence[Test]) -> Test:
    """Return a test that passes what all tests pass."""
    if len(tests) == 1:
        return tests[0]

    def test(document: Document) -> Reason | None:
        for one in tests:
            reason = one(document)
            if reason is not None:
                return reason
        return None

    return test


def any_of(tests: Sequence[Test], nothing: Reason | None = None) -> Test:
    """Return a test that passes what one test passes; `nothing` is said where there is none."""

    def test(document: Document) -> Reason | None:
        first: Reason | None = None
        for one in tests:
            reason = one(document)
            if reason is None:
                return None
            first = first or reason
        return first or nothing

    return test


Check = Callable[[Event, Document], Reason | None]
"""Returns why an event does not pass, None if it does. Raises FilterError."""


Kind = Literal["context", "time", "exprs", "data", "script"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one filter saw in an event."""

    kind: Kind
    """Key of its kind in YAML."""
    passed: bool
    number: int = 0
    """Which of those of its kind, from 1; 0 where there is but one."""
    where: str = ""
    """Path, attribute or expression that was looked at."""
    wanted: str = ""
    """Comparison, such as `>= 100 (number)`."""
    found: str = ""
    """Value that was there, as JSON; empty where there was none."""
    detail: str = ""
    """Why it does not pass; empty where it does."""
    error: bool = False
    """Whether it could not be evaluated."""
    hints: tuple[str, ...] = ()
    """What its author may have meant."""

    @property
    def title(self) -> str:
        """Its name for people, such as `data filter 2`."""
        name = {"exprs": "expr"}.get(self.kind, self.kind)
        return f"{name} filter {self.number}" if self.number else f"{name} filter"


Look = Callable[[Event, Document], Finding]
"""Asks one filter alone. Raises nothing: what cannot be evaluated is in the finding."""
