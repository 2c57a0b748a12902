"""Files of golden cases: events that go into a Sensor, and what must come out of it.

A file `orders.tocsin-test.yaml` lies beside `orders.yaml`. What is misspelt in it is told with its
line and what was meant.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from spine.errors import ConfigError
from spine.marked import Document, Malformed, documents
from spine.model import InvalidModel, Model, Problem, load
from spine.runtime import seconds
from tocsin.explaining import Read, read_sensor

SUFFIXES = (".tocsin-test.yaml", ".tocsin-test.yml")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""The clock of a case that says none: a Thursday."""


class GivenEvent(Model):
    """An event that goes in."""

    dependency: str = ""
    """Dependency whose event it is, in place of source and name."""
    source: str = ""
    """EventSource; that of the dependency where there is but one."""
    name: str = ""
    """Event name, likewise."""
    type: str = "webhook"
    """Kind of event source."""
    id: str = ""
    """Id; its number in the case where none is given."""
    time: datetime | None = None
    """When it came; else the clock of the case."""
    after: str = ""
    """Time since the event before, as a Go duration."""
    data: Any = None
    """Its data, as JSON."""
    body: Any = None
    """Body of a webhook's request: the data becomes {header, body}."""
    header: dict[str, list[str]] = {}
    """Headers of that request."""
    text: str | None = None
    """Data that is not JSON, as it is."""
    file: str = ""
    """File beside this one that holds the event, or its data."""

    @model_validator(mode="after")
    def _one_content(self) -> "GivenEvent":
        given = self.model_fields_set & {"data", "body", "text", "file"}
        if len(given) > 1:
            raise ValueError(f"{' and '.join(sorted(given))}: give one of them")
        if self.dependency and (self.source or self.name):
            raise ValueError("dependency: says source and name already")
        return self

    @field_validator("after")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        return _duration(text)


def _duration(text: str) -> str:
    try:
        length = seconds(text) if text else 0.0
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    if length < 0:
        raise ValueError("below zero")
    return text


class WantedAction(Model):
    """An action that must come out."""

    trigger: str
    """Name of its trigger."""
    content: Any = None
    """What it must hold, or a part of that; a text of JSON may be written as what it says."""
    events: dict[str, str] = {}
    """Dependency -> id of its event, of those that matter."""


class Case(Model):
    """Events in, actions or a refusal out."""

    name: Annotated[str, Field(min_length=1)]
    """What it shows."""
    now: datetime = NOON
    """The clock when the first event comes; noon of 2026-01-01 in UTC where none is given."""
    events: Annotated[list[GivenEvent], Field(min_length=1)]
    """Events in their order."""
    wait: str = ""
    """Time that passes after the last event, as a Go duration; for debounce and batch."""
    want: list[WantedAction] | None = None
    """Actions of all events, in their order; an empty list is none."""
    refused: str | None = None
    """Part of the last line of `tocsin explain`: why the last event fires nothing."""

    @field_validator("wait")
    @classmethod
    def _is_duration(cls, text: str) -> str:
        return _duration(text)


class Suite(Model):
    """A file of cases."""

    sensor: str = ""
    """File of the Sensor, from here; else the one of the same name."""
    name: str = ""
    """Which Sensor, where the file has several."""
    cases: Annotated[list[Case], Field(min_length=1)]
    """What is tried."""

    @field_validator("cases")
    @classmethod
    def _names_differ(cls, cases: list[Case]) -> list[Case]:
        names = [case.name for case in cases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two cases are called {name!r}")
        return cases


# ---------------------------------------------------------------------------- reading


@dataclass(slots=True)
class File:
    """A file of cases, read."""

    path: FilePath
    text: str
    suite: Suite
    document: Document
    sensor: Read

    def line(self, number: int) -> int:
        """Return where a case begins."""
        return self.document.positions.get(("cases", number), (1, 1))[0]


def find(paths: list[FilePath]) -> list[FilePath]:
    """Return the files of cases at or below paths. Raises ConfigError where there is none."""
    out: list[FilePath] = []
    for path in paths:
        if path.is_dir():
            out += sorted(p for s in SUFFIXES for p in path.rglob(f"*{s}") if not _hidden(p, path))
        else:
            out.append(path)
    if not out:
        raise ConfigError(
            f"looking for tests in {' '.join(str(p) for p in paths)}: there are none",
            hint=f"their names end in {SUFFIXES[0]}",
        )
    return out


def _hidden(path: FilePath, below: FilePath) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)


def read_file(path: FilePath) -> File:
    """Read a file of cases and its Sensor. Raises ConfigError, with its place, and Broken."""
    try:
        text = path.read_text()
        found = [d for d in documents(text, is_json=False) if d.value is not None]
    except OSError as exc:
        raise ConfigError(f"reading {path}: {exc.strerror}") from exc
    except (Malformed, UnicodeDecodeError) as exc:
        line = exc.line if isinstance(exc, Malformed) else 1
        raise ConfigError(f"reading {path}:{line}: {exc}") from exc
    if len(found) != 1:
        hint = "" if path.name.endswith(SUFFIXES) else f"name a file that ends in {SUFFIXES[0]}"
        raise ConfigError(f"reading {path}: it holds {len(found)} documents, not one", hint=hint)
    try:
        suite = load(Suite, found[0].value, what=str(path))
    except InvalidModel as exc:
        raise ConfigError("; ".join(_placed(path, found[0], p) for p in exc.problems)) from exc
    sensor = read_sensor([_sensor_of(path, suite)], suite.name, hint=f"write name: NAME in {path}")
    return File(path, text, suite, found[0], sensor)


def _placed(path: FilePath, document: Document, problem: Problem) -> str:
    for end in range(len(problem.path), -1, -1):
        if problem.path[:end] in document.positions:
            line, column = document.positions[problem.path[:end]]
            return f"{path}:{line}:{column}: {problem}"
    return f"{path}: {problem}"


def _sensor_of(path: FilePath, suite: Suite) -> FilePath:
    if suite.sensor:
        return path.parent / suite.sensor
    stem = path.name.partition(".tocsin-test.")[0]
    candidates = [path.parent / f"{stem}{end}" for end in (".yaml", ".yml", ".json")]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ConfigError(
        f"reading {path}: there is no {candidates[0].name} beside it",
        hint="name it as sensor: FILE",
    )
