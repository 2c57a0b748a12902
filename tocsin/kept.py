"""Decisions that Sensors left on the bus, as `tocsin why` shows them.

A decision is told in words, with what became of its actions below it. Where none is kept it is
told how that may be: an event that never came, a Sensor that has not read it yet, or a sample.
"""

import difflib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from delivery.dead import Entry, list_dead
from delivery.report import Decided, Report
from delivery.subjects import DECIDED, sensor_of, token
from eventbus.bus import DECISIONS, EVENTS, Bus, ReaderInfo
from spine.errors import ConfigError
from tocsin.report import plural
from tocsin.shown import one_line
from tocsin.spans import span

if TYPE_CHECKING:
    from tocsin.explaining import Stored


class Question(NamedTuple):
    """What was asked."""

    sensor: str
    since: str = "1h"
    event_id: str = ""
    trigger: str = ""
    last: int = 20
    file: str = ""
    json: bool = False


class Kept(NamedTuple):
    """A decision and what became of its actions."""

    decided: Decided
    reports: list[Report]


_decided = msgspec.json.Decoder(Decided)
_report = msgspec.json.Decoder(Report)


async def answer(bus: Bus, question: Question) -> bool:
    """Print what is kept; return whether it was anything. Raises ConfigError and BusError."""
    found = [one for one in await kept(bus, question) if _wanted(one.decided, question)]
    for one in found[-question.last :] if question.last else found:
        if question.json:
            click.echo(_json(one))
        else:
            _print(one)
    if found:
        return True
    reader = await _require_sensor(bus, question.sensor)
    if question.event_id:
        return await _of_event(bus, question, reader)
    click.echo(_nothing(question, reader), err=True)
    return False


async def kept(bus: Bus, question: Question) -> list[Kept]:
    """Return the decisions of a Sensor with what became of them, oldest first."""
    start = "all" if question.since == "all" else time.time() - span(question.since)
    subjects = [f"{DECISIONS}.{token(question.sensor)}.*"]
    decided: list[Decided] = []
    reports: dict[str, list[Report]] = {}
    async for message in bus.read(DECISIONS, subjects, start=start):
        try:
            if message.subject.endswith(f".{DECIDED}"):
                decided.append(_decided.decode(message.data))
            else:
                report = _report.decode(message.data)
                reports.setdefault(report.key, []).append(report)
        except msgspec.DecodeError:
            continue  # of another version, or a mark of the start
    return [
        Kept(one, [r for judged in one.triggers if judged.key for r in reports.get(judged.key, ())])
        for one in decided
    ]


def _wanted(one: Decided, question: Question) -> bool:
    if question.event_id and one.id != question.event_id:
        return False
    return not question.trigger or any(t.name == question.trigger for t in one.triggers)


# ---------------------------------------------------------------------------- printing


def _print(one: Kept) -> None:
    decided = one.decided
    clock = _clock(decided.decided)
    name = click.style(f"{decided.source}/{decided.event}", bold=True)
    if decided.skipped:
        more = f"{plural(decided.skipped, 'event')} of the same kinds not kept"
        click.echo(click.style(f"{clock} … {more}", dim=True))
    text = click.style(one_line(decided.text), fg="green" if decided.fired else "red")
    click.echo(f"{clock} {name} {one_line(decided.id)}  {text}")
    for report in one.reports:
        click.echo(f"{'':12} {_became(report)}")


def _became(report: Report) -> str:
    took = f" in {report.seconds * 1000:.0f} ms" if report.seconds else ""
    attempt = f", attempt {report.attempt}" if report.attempt > 1 else ""
    colour = "green" if report.result == "done" else "yellow"
    clock = _clock(report.time)
    result = click.style(report.result, fg=colour)
    return f"{clock} {report.trigger}: {result}: {one_line(report.summary)}{took}{attempt}"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _json(one: Kept) -> str:
    found = msgspec.to_builtins(one.decided)
    return json.dumps({**found, "actions": msgspec.to_builtins(one.reports)}, ensure_ascii=False)


# ---------------------------------------------------------------------------- where there is none


async def _require_sensor(bus: Bus, name: str) -> ReaderInfo:
    """Return where a Sensor stands in the stream. Raises ConfigError if nobody reads for it."""
    readers = {sensor_of(info.durable): info for info in await bus.readers(EVENTS)}
    if name in readers:
        return readers[name]
    names = [one for one in readers if one]
    near = difflib.get_close_matches(name, names, n=1)
    known = f"did you mean {near[0]}" if near else f"it has {', '.join(names) or 'none'}"
    raise ConfigError(f"asking why of Sensor {name!r}: the bus knows none of that name", hint=known)


def _nothing(question: Question, reader: ReaderInfo) -> str:
    about = f" about trigger {question.trigger}" if question.trigger else ""
    text = f"no decision of Sensor {question.sensor}{about} is kept"
    text += "" if question.since == "all" else f" since {question.since} ago"
    waiting = reader.pending + reader.in_flight
    if waiting:
        wait = "waits" if waiting == 1 else "wait"
        return f"{text}: {plural(waiting, 'event')} {wait} to be read (is it running?)"
    return f"{text}: it has read all that there is"


async def _of_event(bus: Bus, question: Question, reader: ReaderInfo) -> bool:
    """Tell what can be told of an event without a decision."""
    from tocsin.explaining import find_event

    stored = await find_event(bus, question.event_id)
    event, sequence = stored.event, stored.message.sequence
    if question.file:
        return await _again(question, stored)
    if (dead := await _dead(bus, question.sensor, sequence)) is not None:
        letter = dead.letter
        place = f" {letter.place}" if letter.place else ""
        click.echo(f"event {event.id} is dead letter {dead.sequence}:{place} {letter.message}")
        return True
    name = f"{event.source}/{event.subject}"
    text = f"event {event.id} of {name} came at {_clock(stored.message.stored)}"
    if not _reads(reader.subjects, stored.message.subject):
        text += f", and Sensor {question.sensor} does not read {name}"
    elif sequence > reader.acknowledged:
        text += ", and is not done yet"
    else:
        text += (
            ", and no decision on it is kept (TOCSIN_DECISIONS=all keeps each; see what it would be"
            " now with --file SENSOR.yaml)"
        )
    click.echo(text, err=True)
    return False


async def _dead(bus: Bus, sensor: str, sequence: int) -> Entry | None:
    """Return the dead letter that a Sensor made of an event, None if it made none."""
    async for entry in list_dead(bus, component="sensor", object=sensor):
        if entry.letter.sequence == sequence:
            return entry
    return None


def _reads(subjects: Sequence[str], subject: str) -> bool:
    parts = subject.split(".")
    return any(
        len(wanted) == len(parts) and all(w in {"*", p} for w, p in zip(wanted, parts, strict=True))
        for wanted in (one.split(".") for one in subjects)
    )


async def _again(question: Question, stored: "Stored") -> bool:
    from sensor.replay import replaying
    from sensor.wording import sentence
    from tocsin.explaining import read_sensor
    from tocsin.tree import Tree, verdict_line

    read = read_sensor([question.file], question.sensor)
    async with replaying(read.plan) as replay:
        told = await replay.take(stored.event, stored.message.stored)
    click.echo(f"no decision is kept; evaluated again, by {question.file}:")
    for line in Tree(read.plan).lines(told):
        click.echo(line)
    click.echo(verdict_line(sentence(told.decision, told.event)))
    return True
