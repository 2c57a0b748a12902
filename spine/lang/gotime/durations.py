"""Durations as Go has them: nanoseconds in 64 bits, with the texts of `time.Duration`."""

import re
from collections.abc import Callable
from typing import Any

from typing_extensions import override

from spine.lang import EvaluationError

NANOSECOND = 1
MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

LARGEST = 2**63 - 1
SMALLEST = -(2**63)

_UNITS = {
    "ns": NANOSECOND,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # micro sign
    "μs": MICROSECOND,  # Greek letter
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_NOT_ONE = "not a number with a unit"
_PART = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]*)")


def clamp(nanoseconds: int) -> "Duration":
    """Return a duration, the longest or shortest there is where it does not fit 64 bits."""
    return Duration(max(SMALLEST, min(LARGEST, nanoseconds)))


def wrap(value: int) -> int:
    """Return a whole number as 64 bits hold it: it starts again at the other end."""
    return (value + 2**63) % 2**64 - 2**63


class Duration(int):
    """A length of time in nanoseconds; its text is Go's, such as `1h30m0s`."""

    __slots__ = ()

    @override
    def __str__(self) -> str:
        return _text(int(self))

    @override
    def __repr__(self) -> str:
        return f"Duration({_text(int(self))})"

    def _in(self, unit: int) -> float:
        """Return the number of units, rounded as Go does it: whole ones and the rest apart."""
        whole, rest = divmod(abs(int(self)), unit)
        number = whole + rest / unit
        return -number if self < 0 else float(number)

    def hours(self) -> float:
        """Return it in hours."""
        return self._in(HOUR)

    def minutes(self) -> float:
        """Return it in minutes."""
        return self._in(MINUTE)

    def seconds(self) -> float:
        """Return it in seconds."""
        return self._in(SECOND)

    def milliseconds(self) -> int:
        """Return its whole milliseconds."""
        return self._whole(MILLISECOND)

    def microseconds(self) -> int:
        """Return its whole microseconds."""
        return self._whole(MICROSECOND)

    def nanoseconds(self) -> int:
        """Return it in nanoseconds."""
        return int(self)

    def _whole(self, unit: int) -> int:
        return -(-int(self) // unit) if self < 0 else int(self) // unit

    def truncate(self, unit: int) -> "Duration":
        """Return it rounded towards zero to a multiple of a duration."""
        return self if unit <= 0 else Duration(self._whole(unit) * unit)

    def round(self, unit: int) -> "Duration":
        """Return it rounded to the nearest multiple of a duration, halves away from zero."""
        if unit <= 0:
            return self
        whole, rest = divmod(abs(int(self)), unit)
        size = (whole + (2 * rest >= unit)) * unit
        return clamp(-size if self < 0 else size)

    def abs(self) -> "Duration":
        """Return it without its sign."""
        return clamp(abs(int(self)))


METHODS: dict[str, Callable[..., Any]] = {
    "Hours": Duration.hours,
    "Minutes": Duration.minutes,
    "Seconds": Duration.seconds,
    "Milliseconds": Duration.milliseconds,
    "Microseconds": Duration.microseconds,
    "Nanoseconds": Duration.nanoseconds,
    "Truncate": Duration.truncate,
    "Round": Duration.round,
    "Abs": Duration.abs,
    "String": str,
}


def _text(value: int) -> str:
    sign, rest = ("-", -value) if value < 0 else ("", value)
    if rest < SECOND:
        return sign + _small(rest)
    minutes, rest = divmod(rest, MINUTE)
    seconds = _decimal(rest, SECOND) + "s"
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _small(rest: int) -> str:
    if rest == 0:
        return "0s"
    if rest < MICROSECOND:
        return f"{rest}ns"
    if rest < MILLISECOND:
        return _decimal(rest, MICROSECOND) + "µs"
    return _decimal(rest, MILLISECOND) + "ms"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{rest:0{len(str(unit)) - 1}d}".rstrip("0")


def parse_duration(text: str) -> Duration:
    """Return the duration that a text such as `1m30s` or `-1.5h` says.

    As Go's ParseDuration: units ns, us, ms, s, m and h; there are no days. Raises
    EvaluationError, also for what is longer than 292 years.
    """
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return Duration(0)
    if not body:
        raise _bad(text, _NOT_ONE)
    total, at = 0, 0
    while at < len(body):
        match = _PART.match(body, at)
        if match is None or not (match[1] or match[3]):
            raise _bad(text, _NOT_ONE)
        total += _part(text, match)
        at = match.end()
    negative = text.startswith("-")
    if total > LARGEST + negative:
        raise _bad(text, "it is longer than 292 years")
    return Duration(-total if negative else total)


def _part(text: str, match: re.Match[str]) -> int:
    whole, _, fraction, name = match.groups()
    if not name:
        raise _bad(text, _NOT_ONE)
    unit = _UNITS.get(name)
    if unit is None:
        raise _bad(text, _NOT_ONE)
    if len(whole) > 40:  # noqa: PLR2004 -- longer than any that fits, cheap to refuse
        whole = whole.lstrip("0")[:40]
    size = int(whole or "0") * unit
    if fraction:
        size += int(_fraction(fraction, unit))
    return size


def _fraction(digits: str, unit: int) -> float:
    """Return a fraction of a unit as Go does: digits that 63 bits no longer hold are dropped."""
    value, scale = 0, 1.0
    for digit in digits[:40]:
        if value > LARGEST // 10 or value * 10 + int(digit) > LARGEST + 1:
            break
        value, scale = value * 10 + int(digit), scale * 10
    return float(value) * (unit / scale)


def _bad(text: str, why: str) -> EvaluationError:
    shown = text if len(text) <= 60 else text[:60] + "…"  # noqa: PLR2004 -- one line
    return EvaluationError(f"reading duration {shown!r}: {why}")
