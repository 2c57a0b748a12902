"""Which Sensors and EventSources there are, as far as the bus and the run know them.

A name that nobody has is waited for in silence for ever; so whoever takes one says so at once.
"""

import difflib
from collections.abc import Iterable
from typing import Any

from delivery.subjects import NOTIFIER, name_of, sensor_of
from eventbus.bus import DECISIONS, EVENTS, Bus

SHOWN = 10
"""Names that are told."""


async def sensors(bus: Bus, run: dict[str, Any]) -> set[str]:
    """Return the Sensors that run, that read from the bus, or that left a word there."""
    told = {name_of(_second(subject)) for subject in await bus.counts(DECISIONS)}
    durable = {sensor_of(info.durable) or "" for info in await bus.readers(EVENTS)}
    return {one for one in told | durable if one and not one.startswith(f"{NOTIFIER}/")} | {
        p["name"] for p in run.get("processes", ()) if p["kind"] == "Sensor"
    }


async def sources(bus: Bus, run: dict[str, Any]) -> set[str]:
    """Return the EventSources that run, or whose events are on the bus."""
    return {_second(subject) for subject in await bus.counts(EVENTS)} | {
        p["name"] for p in run.get("processes", ()) if p["kind"] == "EventSource"
    }


def _second(subject: str) -> str:
    return subject.split(".")[1]


def unknown(kind: str, names: Iterable[str], known: set[str]) -> list[str]:
    """Return a line for each name that nobody has."""
    return [
        f"no {kind} {name!r} has been seen here ({near(name, known)})"
        for name in names
        if name not in known
    ]


def near(name: str, known: Iterable[str]) -> str:
    """Return which of the known names may be meant, else what there is."""
    names = sorted(known)
    alike = difflib.get_close_matches(name, names, n=1)
    if alike:
        return f"did you mean {alike[0]}"
    more = ", ..." if len(names) > SHOWN else ""
    return f"there are {', '.join(names[:SHOWN])}{more}" if names else "there are none yet"
