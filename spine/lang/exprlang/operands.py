"""Which kinds of operands an operator takes, and what it gives: what is known before a run.

1.15 counts durations as numbers here, and fails when it runs; 1.17 refuses them at once.
"""

from collections.abc import Callable

from spine.lang.exprlang import nodes
from spine.lang.exprlang.nodes import (
    ANY_MAP,
    BOOL,
    BYTES,
    DURATION,
    FLOAT,
    INT,
    MAP,
    NIL,
    STRING,
    TIME,
    UNKNOWN,
    Kind,
    array,
)

NUMBERS = frozenset(["int", "float"])
"""Names of the kinds that are numbers."""


def _unknowns(left: Kind, right: Kind, wanted: frozenset[str]) -> bool:
    """Whether one side is unknown and the other would do."""
    return (left is UNKNOWN and (right is UNKNOWN or right.name in wanted)) or (
        right is UNKNOWN and left.name in wanted
    )


def _numeric(left: Kind, right: Kind) -> bool:
    return left.name in NUMBERS and right.name in NUMBERS


def numeric_kinds(later: bool) -> frozenset[str]:
    """Return what counts as a number."""
    return NUMBERS if later else NUMBERS | {"duration"}


def _sum(left: Kind, right: Kind, later: bool) -> Kind | None:
    names = {left.name, right.name}
    if _unknowns(left, right, NUMBERS | {"string", "time", "duration"}):
        return UNKNOWN
    if _numeric(left, right):
        return _wider(left, right)
    if names == {"string"}:
        return STRING
    if names == {"time", "duration"}:
        return TIME
    if names == {"duration"}:
        return DURATION
    return UNKNOWN if names <= numeric_kinds(later) else None


def _difference(left: Kind, right: Kind, later: bool) -> Kind | None:
    names = (left.name, right.name)
    if _unknowns(left, right, NUMBERS | {"time", "duration"}):
        return UNKNOWN
    if _numeric(left, right):
        return _wider(left, right)
    if names in {("time", "time"), ("duration", "duration")}:
        return DURATION
    if names == ("time", "duration"):
        return TIME
    return UNKNOWN if set(names) <= numeric_kinds(later) else None


def _product(left: Kind, right: Kind, later: bool) -> Kind | None:
    del later
    if _unknowns(left, right, NUMBERS | {"duration"}):
        return UNKNOWN
    if _numeric(left, right):
        return _wider(left, right)
    names = {left.name, right.name}
    if names <= NUMBERS | {"duration"}:
        return DURATION
    return None


def _quotient(left: Kind, right: Kind, later: bool) -> Kind | None:
    wanted = numeric_kinds(later)
    if _unknowns(left, right, wanted):
        return FLOAT
    return FLOAT if {left.name, right.name} <= wanted else None


def _remainder(left: Kind, right: Kind, later: bool) -> Kind | None:
    wanted = numeric_kinds(later) - {"float"}
    if _unknowns(left, right, wanted):
        return INT if later else UNKNOWN
    return INT if {left.name, right.name} <= wanted else None


def _range(left: Kind, right: Kind, later: bool) -> Kind | None:
    return None if _remainder(left, right, later) is None else array(INT)


def ordered(left: Kind, right: Kind, later: bool) -> Kind | None:
    """Return what a comparison by order gives, None where the operands never fit."""
    if _unknowns(left, right, NUMBERS | {"string", "time", "duration"}):
        return BOOL
    if left == right and left.name in {"string", "time", "duration"}:
        return BOOL
    return BOOL if {left.name, right.name} <= numeric_kinds(later) else None


def _logical(left: Kind, right: Kind, later: bool) -> Kind | None:
    del later
    return BOOL if {left.name, right.name} <= {"bool", "unknown"} else None


def _textual(left: Kind, right: Kind, later: bool) -> Kind | None:
    del later
    return BOOL if {left.name, right.name} <= {"string", "unknown"} else None


def _wider(left: Kind, right: Kind) -> Kind:
    return FLOAT if FLOAT in {left, right} else INT


FITS: dict[str, Callable[[Kind, Kind, bool], Kind | None]] = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "%": _remainder,
    "**": _quotient,
    "..": _range,
    "and": _logical,
    "or": _logical,
    **dict.fromkeys(["contains", "startsWith", "endsWith", "matches"], _textual),
}


def comparable(left: Kind, right: Kind, later: bool) -> bool:
    """Say whether kinds can be compared with `==`."""
    if {left.name, right.name} & {"unknown", "nil"} or left.name == right.name:
        return True
    numbers = NUMBERS if later else NUMBERS | {"duration", "month", "weekday"}
    maps = {"map", "any-map", "groups"}
    if not later and left.name in maps and right.name in maps:
        return True
    arrays = {"array", "bytes"}
    return (left.name in numbers and right.name in numbers) or {
        left.name,
        right.name,
    } <= arrays


def contained(left: Kind, right: Kind, node: nodes.Binary, later: bool) -> bool:
    """Say whether a value of one kind can be `in` one of another."""
    if right is UNKNOWN:
        return True
    if right is MAP:
        return left.name in {"string", "unknown"} or (left is NIL and not later)
    if right is ANY_MAP or right.name == "groups":
        return True
    if right.name not in {"array", "bytes"}:
        return False
    elem = INT if right is BYTES else right.elem or UNKNOWN
    if not later and isinstance(node.right, nodes.Array):
        elem = common([item.kind for item in node.right.items])
    return left is NIL or elem is UNKNOWN or left is UNKNOWN or comparable(left, elem, later)


def common(kinds: list[Kind]) -> Kind:
    """Return the kind that all have, unknown where they differ."""
    first = kinds[0] if kinds else UNKNOWN
    return first if all(kind == first for kind in kinds) and first is not NIL else UNKNOWN
