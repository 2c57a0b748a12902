"""Where `tocsin explain`, `why` and `test` get a Sensor and events from: files and the bus.

An event in a file may be a CloudEvent, a line of `tocsin tail -o json`, or just the data of one.
"""

import difflib
import json
import re
import sys
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from controller.objects import Checked
from eventbus.bus import EVENTS, Bus, Message
from sensor.globs import fits
from sensor.plan import Plan
from spine.errors import ConfigError, EventError
from spine.event import Event, decode
from spine.manifest import Finding, read
from tocsin.checks import Setting, check

STDIN = "-"
_WINDOWS = (600.0, 6 * 3600.0)
"""Seconds back in which the last events are looked for, before all that is stored is read."""


class Broken(ConfigError):
    """A Sensor that cannot run; `findings` are what lint says."""

    def __init__(self, name: str, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__(f"Sensor {name} cannot run: {str(first).partition(': ')[2]}")
        self.findings = findings


class Read(NamedTuple):
    """A Sensor from a file."""

    plan: Plan
    kinds: dict[tuple[str, str], str]
    """Source and event name -> kind, of EventSources beside it."""
    warnings: list[Finding]


def read_sensor(
    paths: Sequence[str | Path], name: str = "", *, hint: str = "give --sensor NAME"
) -> Read:
    """Read a Sensor from manifests. Raises Broken if it cannot run, ConfigError if there is none.

    `name` chooses one where there are several, and `hint` says how it is given.
    """
    reading = read(paths)
    result = check(reading, Setting())
    found = [s for s in result.of("Sensor") if not name or s.object.name == name]
    if not found:
        known = [s.object.name for s in result.of("Sensor")]
        errors = [f for f in result.findings if f.severity == "error"]
        if errors and not known:
            raise Broken(name or "in there", errors)
        raise _none(paths, name, known)
    if len(found) > 1:
        names = ", ".join(s.object.name for s in found)
        raise ConfigError(f"choosing a Sensor: there are {names}", hint=hint)
    sensor = found[0]
    own = [f for f in result.findings if _is_about(f, sensor) and not _elsewhere(f)]
    errors = [f for f in own if f.severity == "error"]
    if sensor.plan is None:
        raise Broken(sensor.object.name, errors)
    return Read(sensor.plan, _kinds(result.of("EventSource")), own)


def _none(paths: Sequence[str | Path], name: str, names: list[str]) -> ConfigError:
    where = " ".join(str(path) for path in paths)
    if name and names:
        return ConfigError(
            f"reading {where}: no Sensor {name!r} in there", hint=f"it has {', '.join(names)}"
        )
    return ConfigError(f"reading {where}: no Sensor in there")


def _is_about(finding: Finding, sensor: Checked) -> bool:
    """Return whether a finding lies within the lines of an object."""
    if finding.place.file != sensor.object.file:
        return False
    base = len(sensor.object.base)
    lines = [at[0] for path, at in sensor.object.positions.items() if len(path) >= base]
    return min(lines, default=1) <= finding.place.line <= max(lines, default=1)


def _elsewhere(finding: Finding) -> bool:
    """Return whether a finding only says that something is not in the file: it need not be."""
    return finding.severity == "warning" and finding.message.endswith("in these manifests")


def _kinds(sources: Sequence[Checked]) -> dict[tuple[str, str], str]:
    return {
        (source.object.name, event): one.type
        for source in sources
        if source.spec is not None
        for event, one in source.spec.sources().items()
    }


# ---------------------------------------------------------------------------- events of files


class Attributes(NamedTuple):
    """What is said of an event whose file has only its data."""

    source: str = ""
    name: str = ""
    kind: str = ""
    id: str = ""
    time: datetime | None = None


def read_event(text: str, sensor: Read, given: Attributes) -> Event:
    """Read an event of `FILE`, `-` for standard input, or `DEPENDENCY=FILE`.

    A file that holds no event is taken for the data of one. Raises ConfigError.
    """
    dependency, equals, file = text.partition("=")
    if equals and dependency in sensor.plan.dependencies:
        topic = sensor.plan.dependencies[dependency].topic
        given = given._replace(source=concrete(topic.source), name=concrete(topic.name))
    elif equals and not Path(text).exists():
        names = list(sensor.plan.dependencies)
        close = difflib.get_close_matches(dependency, names, 1)
        raise ConfigError(
            f"reading event {text}: the Sensor has no dependency {dependency!r}",
            hint=f"did you mean {close[0]}" if close else f"it has {', '.join(names)}",
        )
    else:
        file = text
    return event_of(_content(file), sensor, given, what=file)


def event_of(content: bytes, sensor: Read, given: Attributes, *, what: str) -> Event:
    """Return the event that a text holds, or of which it is the data. Raises ConfigError."""
    try:
        document = json.loads(content)
    except ValueError:
        return _bare(content, sensor, given, what)
    if isinstance(document, dict):
        if "specversion" in document and "id" in document:
            return _cloud_event(content, what)
        if document.get("what") == "event" and "source" in document:
            return _of_tail(document)
    return _bare(content.strip(), sensor, given, what)


def _content(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise ConfigError(f"reading event {file}: {exc.strerror}") from exc


def _cloud_event(content: bytes, what: str) -> Event:
    try:
        return decode(content)
    except EventError as exc:
        raise ConfigError(f"reading event {what}: {exc}") from exc


def _of_tail(line: dict[str, Any]) -> Event:
    """Return the event of a line of `tocsin tail -o json`."""
    data = line.get("data")
    raw = data.encode() if isinstance(data, str) and not _is_json(data) else None
    return Event(
        id=str(line.get("id", "")),
        source=str(line["source"]),
        subject=str(line.get("event", "")),
        type=str(line.get("type", "")),
        time=datetime.fromtimestamp(float(line.get("time") or time.time()), UTC),
        data=json.dumps(data).encode() if raw is None else raw,
    )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _bare(data: bytes, sensor: Read, given: Attributes, what: str) -> Event:
    source, name = _topic(sensor.plan, given, what)
    return Event(
        id=given.id or ("stdin" if what == STDIN else Path(what).name),
        source=source,
        subject=name,
        type=given.kind or sensor.kinds.get((source, name), "webhook"),
        time=given.time or datetime.now(UTC),
        data=data,
    )


def _topic(plan: Plan, given: Attributes, what: str) -> tuple[str, str]:
    """Return whose event it is: as it is said, or that of the one dependency that may be meant."""
    topics = [
        (given.source or concrete(d.topic.source), given.name or concrete(d.topic.name))
        for d in plan.dependencies.values()
        if (not given.source or fits(d.topic.source, given.source))
        and (not given.name or fits(d.topic.name, given.name))
    ]
    if given.source and given.name:
        return given.source, given.name
    distinct = list(dict.fromkeys(topics))
    if len(distinct) == 1:
        return distinct[0]
    known = ", ".join(f"{d.topic.source}/{d.topic.name}" for d in plan.dependencies.values())
    raise ConfigError(
        f"reading event {what}: it is only data, and the Sensor reads {known}",
        hint="say which: --event DEPENDENCY=FILE, or --source NAME --name EVENT",
    )


def concrete(pattern: str) -> str:
    """Return a name that a pattern means: itself, where it is none."""
    name = re.sub(r"\{([^{},]*)[^{}]*\}", r"\1", pattern)
    name = re.sub(r"\[([^!\]])[^\]]*\]", r"\1", name)
    return name.replace("?", "x").replace("*", "any")


# ---------------------------------------------------------------------------- events of a bus


class Stored(NamedTuple):
    """An event of a stream."""

    event: Event
    message: Message


async def find_event(bus: Bus, identity: str) -> Stored:
    """Return the newest event of an id. Raises ConfigError where there is none, BusError."""
    found = None
    async for one in _events(bus, (), "all"):
        if one.event.id == identity:
            found = one
    if found is None:
        raise ConfigError(
            f"looking for event {identity!r}: the bus has none of that id",
            hint="see them with: tocsin tail --no-follow",
        )
    return found


async def last_events(bus: Bus, plan: Plan, number: int) -> list[Stored]:
    """Return the newest events that a Sensor reads, oldest first; of any kind if it reads none."""
    subjects = tuple(topic.subject for topic in plan.topics)
    starts: list[str | float] = [*(time.time() - window for window in _WINDOWS), "all"]
    for wanted in (subjects, ()):
        for start in starts:
            found = [one async for one in _events(bus, wanted, start)]
            if len(found) >= number or (found and start == "all"):
                return found[-number:]
    raise ConfigError("looking for the last events: the bus has none")


async def _events(bus: Bus, subjects: Sequence[str], start: str | float) -> AsyncIterator[Stored]:
    async for message in bus.read(EVENTS, subjects, start=start):
        try:
            yield Stored(decode(message.data), message)
        except EventError:
            continue  # it is a dead letter
