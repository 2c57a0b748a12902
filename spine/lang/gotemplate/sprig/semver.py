"""Semantic versions, and the constraints that are put on them."""

import re
from collections.abc import Callable
from functools import total_ordering
from typing import Any, ClassVar

from typing_extensions import override

from spine.lang import EvaluationError
from spine.lang.gotemplate.functions import Function, mismatch

_VERSION = re.compile(
    r"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_LONGEST = 256
_LARGEST = 2**64


@total_ordering
class Version:
    """A version such as `1.2.3-rc.1+build`."""

    def __init__(self, text: str) -> None:
        match = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            raise EvaluationError(f"reading version {text[:60]!r}: invalid semantic version")
        self.original = text
        self.numbers = tuple(int(part or 0) for part in match.groups()[:3])
        self.prerelease, self.metadata = match[4] or "", match[5] or ""
        parts = self.prerelease.split(".") if self.prerelease else []
        if max(self.numbers) >= _LARGEST or any(_has_leading_zero(part) for part in parts):
            raise EvaluationError(f"reading version {text[:60]!r}: a number is out of range")

    @override
    def __str__(self) -> str:
        text = ".".join(map(str, self.numbers))
        text += f"-{self.prerelease}" if self.prerelease else ""
        return text + (f"+{self.metadata}" if self.metadata else "")

    def _key(self) -> tuple[Any, ...]:
        """Return what versions are ordered by: one with a prerelease comes before its release."""
        if not self.prerelease:
            return (*self.numbers, 1, ())
        parts = self.prerelease.split(".")
        return (
            *self.numbers,
            0,
            tuple((0, int(p), "") if _is_number(p) else (1, 0, p) for p in parts),
        )

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    @override
    def __hash__(self) -> int:
        return hash(self._key())

    GO_METHODS: ClassVar[dict[str, Function]] = {}


def _is_number(part: str) -> bool:
    return part.isascii() and part.isdigit()


def _has_leading_zero(part: str) -> bool:
    return _is_number(part) and len(part) > 1 and part[0] == "0"


def _method(name: str, signature: str, call: Callable[..., Any]) -> None:
    Version.GO_METHODS[name] = Function(name, signature, call)


def _other(value: Any) -> Version:
    if isinstance(value, Version):
        return value
    raise mismatch("version", value)


_method("Major", "", lambda version: version.numbers[0])
_method("Minor", "", lambda version: version.numbers[1])
_method("Patch", "", lambda version: version.numbers[2])
_method("Prerelease", "", lambda version: version.prerelease)
_method("Metadata", "", lambda version: version.metadata)
_method("Original", "", lambda version: version.original)
_method("String", "", str)
_method("Equal", "any", lambda version, other: version == _other(other))
_method("LessThan", "any", lambda version, other: version < _other(other))
_method("GreaterThan", "any", lambda version, other: version > _other(other))
_method("LessThanEqual", "any", lambda version, other: version <= _other(other))
_method("GreaterThanEqual", "any", lambda version, other: version >= _other(other))
_method(
    "Compare",
    "any",
    lambda version, other: (version > _other(other)) - (version < _other(other)),
)

# ---------------------------------------------------------------------------- constraints

_CONSTRAINT = re.compile(
    r"(?P<operator>(?:=|!=|>=|=>|<=|=<|~>|>|<|~|\^)?)\s*"
    r"v?(?P<major>[0-9]+|[xX*])(?:\.(?P<minor>[0-9]+|[xX*]))?(?:\.(?P<patch>[0-9]+|[xX*]))?"
    r"(?P<rest>(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?)"
)
_HYPHEN = re.compile(r"\s*(\S+)\s+-\s+(\S+)\s*")
_NAMES = {"=>": ">=", "=<": "<=", "~>": "~", "": "="}
_WILD = frozenset(("x", "X", "*"))

_Holds = Callable[[Version], bool]


def _constraint(match: re.Match[str]) -> _Holds:
    """Return the check of one comparison; a prerelease passes only where it names one too."""
    operator = _NAMES.get(match["operator"], match["operator"])
    given = [match["major"], match["minor"], match["patch"]]
    known = next((i for i, part in enumerate(given) if part is None or part in _WILD), _PARTS)
    wanted = Version(".".join([*given[:known], *["0"] * (_PARTS - known)]) + match["rest"])
    holds = _HOLDS[operator](wanted, known)
    if wanted.prerelease or (operator == "!=" and known == _PARTS):
        return holds
    return lambda version: not version.prerelease and holds(version)


_PARTS = 3
"""Major, minor, patch."""


def _agrees(version: Version, wanted: Version, known: int) -> bool:
    """Say whether a version has the parts that are given."""
    return version.numbers[:known] == wanted.numbers[:known]


def _equal(wanted: Version, known: int) -> _Holds:
    if known < _PARTS:
        return _tilde(wanted, known)
    return lambda version: version == wanted


def _not_equal(wanted: Version, known: int) -> _Holds:
    if 0 < known < _PARTS:
        return lambda version: not _agrees(version, wanted, known)
    return lambda version: version != wanted


def _greater(wanted: Version, known: int) -> _Holds:
    if 0 < known < _PARTS:
        return lambda version: version.numbers[:known] > wanted.numbers[:known]
    return lambda version: version > wanted


def _at_most(wanted: Version, known: int) -> _Holds:
    if known == _PARTS:
        return lambda version: version <= wanted
    parts = known or 2
    return lambda version: version.numbers[:parts] <= wanted.numbers[:parts]


def _tilde(wanted: Version, known: int) -> _Holds:
    if known == _PARTS and not any(wanted.numbers):
        return lambda version: version >= wanted
    agree = min(known, 2)
    return lambda version: version >= wanted and _agrees(version, wanted, agree)


def _caret(wanted: Version, known: int) -> _Holds:
    """Allow what leaves the first number that is not zero."""
    given = known or _PARTS
    agree = next((i + 1 for i in range(given) if wanted.numbers[i]), given)
    return lambda version: version >= wanted and _agrees(version, wanted, agree)


_HOLDS: dict[str, Callable[[Version, int], _Holds]] = {
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    ">=": lambda wanted, _known: lambda version: version >= wanted,
    "<": lambda wanted, _known: lambda version: version < wanted,
    "<=": _at_most,
    "~": _tilde,
    "^": _caret,
}


def _compiled(text: str) -> list[list[_Holds]]:
    if len(text) > _LONGEST:
        raise EvaluationError("reading a version constraint: it is too long")
    return [_all(part, text) for part in text.split("||")]


def _all(part: str, text: str) -> list[_Holds]:
    hyphen = _HYPHEN.fullmatch(part)
    if hyphen is not None:
        part = f">={hyphen[1]} <={hyphen[2]}"
    holds: list[_Holds] = []
    rest = part.strip()
    while rest:
        match = _CONSTRAINT.match(rest)
        end = match.end() if match is not None else 0
        if match is None or (rest[end:] and rest[end] not in ", "):
            raise EvaluationError(f"reading version constraint {text[:60]!r}: it is none")
        holds.append(_constraint(match))
        rest = rest[end:].lstrip(" ").removeprefix(",").lstrip(" ")
    if not holds:
        raise EvaluationError(f"reading version constraint {text[:60]!r}: it is empty")
    return holds


def _compare(constraint: str, version: str) -> bool:
    groups = _compiled(constraint)
    seen = Version(version)
    return any(all(holds(seen) for holds in group) for group in groups)


ALL: list[tuple[str, str, Callable[..., Any]]] = [
    ("semver", "string", Version),
    ("semverCompare", "string string", _compare),
]
