"""What we add to the format: directory, groups, quiet hours, digests and limits.

All of it is optional and stands in keys of the ConfigMap that Argo's engine does not look at. A
bad item of a list is left out with a problem; the others count.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar, cast
from zoneinfo import ZoneInfo

from notifier.config import destinations
from notifier.config.configuration import Destination, Digest, Limits, Quiet, Rate
from notifier.config.entry import Entry
from notifier.config.shapes import (
    DestinationShape,
    DigestShape,
    LimitsShape,
    QuietShape,
    RateShape,
    ScopeShape,
)
from notifier.config.shaping import Shaping, near
from spine.errors import ConfigError
from spine.model import Model
from spine.runtime import seconds

M = TypeVar("M", bound=Model)
T = TypeVar("T")

LONGEST_WINDOW = 24 * 3600.0
"""Seconds of the longest window of a digest."""
MOST_MESSAGES = 1_000_000
"""Messages of the greatest rate and burst."""


def read_directory(entry: Entry) -> dict[str, str | Mapping[str, str]]:
    """Return user -> recipient, or service -> recipient."""
    return entry.shaped(dict[str, str | dict[str, str]], entry.value or {}) or {}


def read_groups(entry: Entry) -> dict[str, tuple[Destination, ...]]:
    """Return name -> members."""
    raw = entry.value or {}
    if not isinstance(raw, Mapping):
        entry.error((), "a map of names to lists of service:recipient is needed")
        return {}
    out: dict[str, tuple[Destination, ...]] = {}
    for name, members in raw.items():
        items = members if isinstance(members, list) else [members]
        out[name] = tuple(
            destination
            for index, item in enumerate(items)
            for destination in _members(entry, (name, index), item)
        )
    return out


def _members(entry: Entry, path: tuple[str | int, ...], item: Any) -> Iterator[Destination]:
    if isinstance(item, Mapping):
        shape = _model(entry, DestinationShape, item, path)
        yield from destinations.of_shape(shape) if shape is not None else ()
    else:
        text = entry.shaped(str, item, path)
        if text:
            yield destinations.split(text)


def read_quiet(entry: Entry) -> tuple[Quiet, ...]:
    """Return the quiet hours."""
    return tuple(_each(entry, QuietShape, _quiet))


def read_digests(entry: Entry) -> tuple[Digest, ...]:
    """Return the digests."""
    return tuple(_each(entry, DigestShape, _digest))


def read_limits(entry: Entry) -> dict[str, Limits]:
    """Return limits by name of a service."""
    raw = entry.value or {}
    if not isinstance(raw, Mapping):
        entry.error((), "a map of names of services, or *, is needed")
        return {}
    out: dict[str, Limits] = {}
    for name, item in raw.items():
        value = {"rate": item} if isinstance(item, str) else item
        shape = _model(entry, LimitsShape, value, (name,))
        if shape is not None:
            limits = _compiled(entry, (name,), _limits, shape)
            if limits is not None:
                out[name] = limits
    return out


def _each(entry: Entry, model: type[M], compiled: Callable[[M], T]) -> Iterator[T]:
    raw = entry.value
    if raw is None:
        return
    if isinstance(raw, Mapping):
        entry.warn((), "a list is meant here: begin it with -")
    items, single = (raw, False) if isinstance(raw, list) else ([raw], True)
    for index, item in enumerate(items):
        path = () if single else (index,)
        shape = _model(entry, model, item, path)
        made = None if shape is None else _compiled(entry, path, compiled, shape)
        if made is not None:
            yield made


def _model(entry: Entry, model: type[M], value: Any, path: tuple[str | int, ...]) -> M | None:
    shaping = Shaping()
    shape = shaping.model(model, value, path, what=entry.key)
    entry.take(shaping)
    return shape


def _compiled(
    entry: Entry, path: tuple[str | int, ...], compiled: Callable[[M], T], shape: M
) -> T | None:
    try:
        return compiled(shape)
    except ConfigError as exc:
        entry.fault(path, exc)
        return None


# ---------------------------------------------------------------------------- quiet hours


def _quiet(shape: QuietShape) -> Quiet:
    if shape.then not in {"hold", "drop"}:
        raise ConfigError(f"then: {shape.then!r} is neither hold nor drop")
    start, end = _minutes("from", shape.start), _minutes("to", shape.end)
    if start == end:
        raise ConfigError("to: it ends when it begins", hint="for a whole day: 00:00 to 24:00")
    return Quiet(
        **_scope(shape),
        start=start % _DAY,
        end=end % _DAY,
        days=frozenset(day for word in shape.days for day in _days(word)) or _WEEK,
        timezone=_zone(shape.timezone),
        then=cast("Literal['hold', 'drop']", shape.then),
    )


def _scope(shape: ScopeShape) -> dict[str, tuple[str, ...]]:
    return {
        "services": tuple(shape.services),
        "recipients": tuple(shape.recipients),
        "triggers": tuple(shape.triggers),
    }


_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")
_DAY = 24 * 60


def _minutes(key: str, text: str) -> int:
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{key}: {text!r} is no time of the day", hint='write "22:00"')
    return int(match[1]) * 60 + int(match[2]) if match[1] else _DAY


_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEK = frozenset(range(7))


def _days(text: str) -> list[int]:
    """Return the days of `Mon`, or of `Mon-Fri`; `Sat-Mon` goes over the end of the week."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    begin = _day(first)
    length = (_day(last) - begin) % 7 if dash else 0
    return [(begin + one) % 7 for one in range(length + 1)]


def _day(word: str) -> int:
    shortest = 2
    found = [n for n, name in enumerate(_NAMES) if name.startswith(word.lower())]
    if len(word) < shortest or len(found) != 1:
        hint = near(word, [name[:3].capitalize() for name in _NAMES]) or " (write Mon … Sun)"
        raise ConfigError(f"days: {word!r} is no day{hint}")
    return found[0]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ValueError, OSError, KeyError) as exc:
        raise ConfigError(f"timezone: {name!r} is not known", hint="write Europe/Vienna") from exc


# ---------------------------------------------------------------------------- digests, limits


def _digest(shape: DigestShape) -> Digest:
    if not shape.window:
        raise ConfigError("window: required field is missing", hint="write window: 10m")
    window = seconds(shape.window)
    if not 0 < window <= LONGEST_WINDOW:
        raise ConfigError(f"window: {shape.window} is not between 0 and 24h")
    return Digest(**_scope(shape), window=window, template=shape.template)


_RATE = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*(s|m|h|d)[a-z]*\s*")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _limits(shape: LimitsShape) -> Limits:
    limits = Limits(_rate(shape, ""), _rate(shape.per_recipient, "perRecipient."))
    if limits == Limits():
        raise ConfigError("rate: required field is missing", hint="write rate: 10/m")
    return limits


def _rate(shape: RateShape | None, at: str) -> Rate | None:
    if shape is None or (not shape.rate and not shape.burst):
        return None
    match = _RATE.fullmatch(shape.rate)
    count = int(match[1]) if match else 0
    length = int(match[2] or 1) * _UNITS[match[3]] if match else 0
    if not (0 < count <= MOST_MESSAGES and length):
        raise ConfigError(f"{at}rate: {shape.rate!r} is no rate", hint="write 10/m, 1/s or 100/h")
    burst = shape.burst or count
    if not 0 < burst <= MOST_MESSAGES:
        raise ConfigError(f"{at}burst: {burst} is not between 1 and {MOST_MESSAGES}")
    return Rate(count / length, burst)
