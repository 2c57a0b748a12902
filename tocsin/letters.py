"""Dead letters on the command line: which are meant, and how they are shown."""

import base64
import json
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from eventbus.bus import Bus
from tocsin.shown import one_line, value_of
from tocsin.spans import span

if TYPE_CHECKING:
    from delivery.dead import Entry
    from delivery.subjects import Component


class Wanted(NamedTuple):
    """Which letters are meant; empty: any."""

    sensor: str = ""
    source: str = ""
    notifier: str = ""
    place: str = ""
    code: str = ""
    grep: str = ""
    kind: str = ""
    since: str = ""
    older_than: str = ""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Wanted":
        """Return what the options of a command say. Raises ConfigError where a time is none."""
        for name in ("since", "older_than"):
            if given.get(name):
                span(given[name])
        return cls(**{name: given.get(name) or "" for name in cls._fields})

    @property
    def any(self) -> bool:
        """Whether anything is said."""
        return any(self)

    def fits(self, entry: "Entry", now: float) -> bool:
        """Return whether a letter is meant, `now` in unix seconds."""
        letter = entry.letter
        name = letter.object.rpartition("/")[2] if self.notifier else ""
        return (
            (not self.notifier or name == self.notifier.rpartition("/")[2])
            and (not self.place or _is_place(letter.place, self.place))
            and (not self.code or fnmatchcase(letter.code, self.code))
            and self.grep.lower() in letter.message.lower()
            and (not self.kind or letter.kind == self.kind)
            and (not self.since or letter.time >= now - span(self.since))
            and (not self.older_than or letter.time < now - span(self.older_than))
        )


def _is_place(place: str, pattern: str) -> bool:
    """Return whether a place is meant: `triggers.x` is also `x`."""
    return fnmatchcase(place, pattern) or fnmatchcase(place.partition(".")[2], pattern)


async def chosen(bus: Bus, wanted: Wanted) -> AsyncIterator["Entry"]:
    """Yield the letters that are meant, oldest first."""
    from delivery.dead import list_dead

    of: dict[Component, str] = {
        "sensor": wanted.sensor, "eventsource": wanted.source, "notifier": wanted.notifier
    }  # fmt: skip
    component = next((kind for kind, name in of.items() if name), None)
    name = of[component] if component else None
    if component == "notifier" and name and "/" not in name:
        name = None  # of any namespace
    now = time.time()
    async for entry in list_dead(bus, component=component, object=name):
        if wanted.fits(entry, now):
            yield entry


# ---------------------------------------------------------------------------- showing


def line(entry: "Entry") -> str:
    """Return a letter as a line for a person."""
    letter = entry.letter
    moment = datetime.fromtimestamp(letter.time, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    where = f"{letter.component} {letter.object}" + (f"/{letter.place}" if letter.place else "")
    edited = f" (edited, was {letter.edited})" if letter.edited else ""
    return one_line(
        f"{entry.sequence:>6}  {moment}  {letter.kind:<6}  {where}  {letter.code}: "
        f"{letter.message}{edited}"
    )


def reason_line(kind: tuple[str, ...], number: int, *, as_json: bool) -> str:
    """Return how many letters there are of a component, object, place and code."""
    component, name, place, code = kind
    if as_json:
        found = {"component": component, "object": name, "place": place, "code": code}
        return json.dumps({**found, "count": number}, ensure_ascii=False)
    where = f"{component} {name}" + (f"/{place}" if place else "")
    return f"{number:>9,}  {where}  {code}"


def as_json(entry: "Entry", indent: int | None = None) -> str:
    """Return a letter with its events readable where they are text."""
    import msgspec

    letter = entry.letter
    found = msgspec.to_builtins(msgspec.structs.replace(letter, data=b"", events={}))
    if letter.data:
        found["event"] = _readable(letter.data)
    if letter.events:
        found["events"] = {name: _readable(data) for name, data in letter.events.items()}
    return json.dumps({"number": entry.sequence, **found}, indent=indent, ensure_ascii=False)


def _readable(data: bytes) -> Any:
    """Return an event as JSON, with its data as what it says."""
    found = value_of(data)
    if isinstance(found, dict) and isinstance(found.get("data_base64"), str):
        found["data"] = value_of(base64.b64decode(found.pop("data_base64")))
    return found
