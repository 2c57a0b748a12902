"""`tocsin explain`: why a Sensor fires on an event, or why not."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spine.errors import ConfigError
from tocsin.bus_options import bus_options, opened, running
from tocsin.output_option import output_option

if TYPE_CHECKING:
    from sensor.replay import Told
    from sensor.state import State
    from spine.event import Event
    from tocsin.explaining import Read

FIRED, NOT_FIRED, WRONG = 0, 1, 2


@click.command("explain")
@click.argument("path", metavar="SENSOR.yaml")
@click.option("--sensor", "name", default="", metavar="NAME", help="Which Sensor of the file.")
@click.option(
    "-e",
    "--event",
    "files",
    multiple=True,
    metavar="[DEPENDENCY=]FILE",
    help="An event, or only its data; - is standard input. May be repeated: they come in order.",
)
@click.option("--source", default="", metavar="NAME", help="EventSource of data without an event.")
@click.option("--name", "event_name", default="", metavar="NAME", help="Event name of such data.")
@click.option(
    "--at", default="", metavar="TIME", help="Time of such data, as 2026-11-21T23:30:00Z; else now."
)
@click.option("--event-id", default="", metavar="ID", help="An event that the bus has.")
@click.option("--last", default=0, metavar="N", help="The last events on the bus that it reads.")
@click.option(
    "--with-state", is_flag=True, help="Begin with the half-met conditions that the bus has."
)
@click.option("--full", is_flag=True, help="Show long values in full.")
@output_option("A tree for a person, or one JSON object.", "--format")
@bus_options
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    path: str,
    name: str,
    files: tuple[str, ...],
    source: str,
    event_name: str,
    at: str,
    event_id: str,
    last: int,
    with_state: bool,
    full: bool,
    output: str,
    folder: Path,
    bus: str,
    bus_name: str,
) -> None:
    """Show why a Sensor fires on an event, or why not.

    Nothing is sent. Each dependency, filter, condition and parameter is shown with what it found,
    then the request that would be sent. The last line says in words what comes of it.

    A file holds a CloudEvent, a line of `tocsin tail -o json`, or only the data of an event (a
    webhook's is {"header": …, "body": …}). Several events are taken one after another.

    Exits with 0 if something fires, with 1 if nothing does, with 2 if the Sensor cannot run.

    \b
    Examples:
      tocsin explain orders.yaml --event event.json
      tocsin explain deploy.yaml -e build=build.json -e tests=tests.json
      tocsin explain orders.yaml --last 5 --with-state
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.explaining import Attributes, Broken, read_sensor

    _require_one(files, event_id, last)
    try:
        sensor = read_sensor([path], name)
    except Broken as exc:
        ctx.exit(_broken(exc, output))
    given = Attributes(source=source, name=event_name, time=_time(at))
    on_bus = bool(event_id or last or with_state)
    run = running(folder, bus) if on_bus else {}

    async def main() -> list["Told"]:
        if not on_bus:
            return await _replay(sensor, _read(files, sensor, given))
        async with opened(run, bus, bus_name) as found:
            from eventbus.bus import STATE
            from sensor.replay import stored_state
            from tocsin.explaining import find_event, last_events

            state = await stored_state(sensor.plan, found.store(STATE)) if with_state else None
            if event_id:
                stored = [await find_event(found, event_id)]
            else:
                stored = await last_events(found, sensor.plan, last) if last else []
        events = [(one.event, one.message.stored) for one in stored]
        return await _replay(sensor, events or _read(files, sensor, given), state)

    told = asyncio.run(main())
    ctx.exit(_show(sensor, told, output, full=full))


def _require_one(files: Sequence[str], event_id: str, last: int) -> None:
    if last < 0:
        raise ConfigError(f"reading --last {last}: below 0")
    if bool(files) + bool(event_id) + bool(last) != 1:
        raise ConfigError(
            "choosing events: give one of --event FILE, --event-id ID and --last N",
            hint="the last one and --event-id look at the bus of a tocsin run",
        )


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(
            f"reading --at {text!r}: not a time", hint="write 2026-11-21T23:30:00Z"
        ) from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _read(files: Sequence[str], sensor: "Read", given: Any) -> list[tuple["Event", float]]:
    from sensor.replay import moment
    from tocsin.explaining import read_event

    events = [read_event(file, sensor, given) for file in files]
    return [(event, moment(event)) for event in events]


async def _replay(
    sensor: "Read", events: Sequence[tuple["Event", float]], state: "State | None" = None
) -> list["Told"]:
    from sensor.replay import replaying
    from sensor.state import EMPTY

    async with replaying(sensor.plan, state or EMPTY) as replay:
        return [await replay.take(event, now) for event, now in events]


# ---------------------------------------------------------------------------- what is shown


def _broken(exc: Any, output: str) -> int:
    from tocsin import report

    if output == "json":
        found = json.loads(report.as_json(exc.findings, 1, 1))
        click.echo(json.dumps({"fired": False, "text": str(exc), **found}, indent=2))
    else:
        report.print_text(exc.findings, notes=False)
        click.echo(click.style(str(exc), fg="red", bold=True))
    return WRONG


def _show(sensor: "Read", told: Sequence["Told"], output: str, *, full: bool) -> int:
    from sensor.wording import fires
    from tocsin import report
    from tocsin.tree import Tree, as_json, verdict_line

    fired, text = any(fires(one.decision) for one in told), conclusion(told)
    if output == "json":
        shown = {
            "sensor": sensor.plan.name,
            "fired": fired,
            "text": text,
            "warnings": [str(f) for f in sensor.warnings if f.severity != "note"],
            "events": [as_json(one) for one in told],
        }
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return FIRED if fired else NOT_FIRED
    tree = Tree(sensor.plan, whole=full)
    report.print_text(sensor.warnings, notes=False)
    for one in told:
        for line in tree.lines(one):
            click.echo(line)
        click.echo()
    click.echo(verdict_line(text))
    return FIRED if fired else NOT_FIRED


def conclusion(told: Sequence["Told"]) -> str:
    """Return the last line: what came of the last event, and whether an earlier one fired."""
    from sensor.wording import fires, sentence

    if not told:
        return "did not fire: there is no event"
    last = told[-1]
    text = sentence(last.decision, last.event)
    if len(told) == 1 or fires(last.decision):
        return text
    earlier = [n for n, one in enumerate(told, 1) if fires(one.decision)]
    if not earlier:
        return text
    numbers = ", ".join(str(n) for n in earlier)
    return f"fired on event {numbers} of {len(told)}; the last {text}"
