"""`tocsin tail`: events and actions, live."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from eventbus.bus import DECISIONS, EVENTS, Bus, Message
from spine.errors import ConfigError, EventError
from tocsin.bus_options import bus_options, opened, running
from tocsin.output_option import LINES, output_option
from tocsin.shown import one_line, value_of
from tocsin.spans import span

AHEAD = 1_000
"""Messages that are read before they are printed; beyond that, reading waits."""
_WIDTH = 120
_COLOURS = {"done": "green", "failed": "yellow", "stored": "yellow", "duplicate": "blue",
            "gave up": "red", "dead letter": "red", "event": "cyan"}  # fmt: skip


@click.command("tail")
@click.option("--source", "sources", multiple=True, metavar="NAME", help="Only events of this one.")
@click.option(
    "--sensor", "sensors", multiple=True, metavar="NAME", help="Only actions of this one."
)
@click.option("--since", default="", metavar="10m|all", help="Begin with what is stored.")
@click.option("--no-follow", is_flag=True, help="Stop at the present end.")
@click.option("--data", "whole", is_flag=True, help="Print the data of events in full.")
@output_option(LINES)
@bus_options
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    sources: tuple[str, ...],
    sensors: tuple[str, ...],
    since: str,
    no_follow: bool,
    whole: bool,
    output: str,
    folder: Path,
    bus: str,
    bus_name: str,
) -> None:
    """Show events and the actions that they caused, live.

    Finds the bus of the `tocsin run` in this folder. Ctrl-C ends it.

    \b
    Examples:
      tocsin tail
      tocsin tail --sensor notify --since 10m
      tocsin tail -o json | jq .
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    for name in sources:
        if name != "*" and (not name or set(name) & set(" .*>\t\r\n")):
            raise ConfigError(
                f"reading --source {name!r}: no EventSource is called so",
                hint="its name has no dot, space, * or >",
            )
    run = running(folder, bus)
    start = _start(since, no_follow)

    async def main() -> None:
        async with opened(run, bus, bus_name) as found:
            for text in await _unknown(found, run, sources, sensors):
                click.echo(f"tocsin: {text}", err=True)
            both = _both(found, sources, sensors, start, not no_follow)
            async with aclosing(both):
                async for kind, message in both:
                    line = _record(kind, message)
                    if line is not None:
                        shown = json.dumps(line) if output == "json" else _text(line, whole=whole)
                        click.echo(shown)

    asyncio.run(main())


def _start(since: str, no_follow: bool) -> str | float:
    if since == "all" or (no_follow and not since):
        return "all"
    return time.time() - span(since) if since else "new"


async def _unknown(
    bus: Bus, run: dict[str, Any], sources: tuple[str, ...], sensors: tuple[str, ...]
) -> list[str]:
    """Return what to say of names that nobody has: nothing may ever come of them."""
    from tocsin import seen

    found = []
    if sources:
        known = await seen.sources(bus, run)
        found += seen.unknown("EventSource", (s for s in sources if s != "*"), known)
    if sensors:
        found += seen.unknown("Sensor", sensors, await seen.sensors(bus, run))
    return found


async def _both(
    bus: Bus,
    sources: tuple[str, ...],
    sensors: tuple[str, ...],
    start: str | float,
    follow: bool,
) -> AsyncGenerator[tuple[str, Message], None]:
    """Yield events and decisions as they come, or up to the present end in order of time."""
    from delivery.subjects import token

    wanted: list[tuple[str, str, list[str]]] = []
    if sources or not sensors:
        wanted.append(("event", EVENTS, [f"{EVENTS}.{s}.*" for s in sources]))
    if sensors or not sources:
        wanted.append(("action", DECISIONS, [f"{DECISIONS}.{token(s)}.*" for s in sensors]))
    if not follow:
        streams = [(kind, aiter(bus.read(name, s, start=start))) for kind, name, s in wanted]
        heads = [(kind, await anext(one, None), one) for kind, one in streams]
        while left := [(m.stored, n) for n, (_, m, _) in enumerate(heads) if m is not None]:
            _, first = min(left)
            kind, message, reading = heads[first]
            assert message is not None
            yield kind, message
            heads[first] = kind, await anext(reading, None), reading
        return
    queue: asyncio.Queue[tuple[str, Message]] = asyncio.Queue(maxsize=AHEAD)

    async def pump(kind: str, stream: str, subjects: list[str]) -> None:
        async for message in bus.read(stream, subjects, start=start, follow=True):
            await queue.put((kind, message))

    async with asyncio.TaskGroup() as tasks:
        pumps = [tasks.create_task(pump(*one)) for one in wanted]
        try:
            while True:
                yield await queue.get()
        except GeneratorExit:  # nobody takes more; the group would make a fault of it
            for task in pumps:
                task.cancel()


def _record(kind: str, message: Message) -> dict[str, Any] | None:
    """Return a message as JSON; None for those that are not of interest."""
    if kind == "action":
        with suppress(ValueError):
            found = json.loads(message.data)
            if "result" in found:
                return {"what": "action", **found}
        return None
    from spine.event import decode

    try:
        event = decode(message.data)
    except EventError as exc:
        found = {"what": "event", "time": message.stored, "subject": message.subject}
        return {**found, "problem": str(exc)}
    return {
        "what": "event",
        "time": message.stored,
        "sequence": message.sequence,
        "source": event.source,
        "event": event.subject,
        "type": event.type,
        "id": event.id,
        "data": None if event.data is None else value_of(event.data),
    }


def _text(line: dict[str, Any], *, whole: bool) -> str:
    clock = datetime.fromtimestamp(line["time"], UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    if line["what"] == "event":
        name = f"{line['source']}/{line['event']}" if "source" in line else line["subject"]
        told = line.get("problem") or json.dumps(line["data"], ensure_ascii=False)
        what = f"{line.get('type', '')} {line.get('id', '')} {told}"
        result = "event"
    else:
        result = line.get("result", "action")
        name = f"{line.get('sensor', '')}/{line.get('trigger', '')}"
        took = f" in {line['seconds'] * 1000:.0f} ms" if line.get("seconds") else ""
        attempt = f", attempt {line['attempt']}" if line.get("attempt", 1) > 1 else ""
        causes = " ".join(f"{d}={i}" for d, i in (line.get("events") or {}).items())
        more = f" ({line['skipped']} more not shown)" if line.get("skipped") else ""
        what = f"{line.get('summary', '')}{took}{attempt} <- {causes}{more}"
    name, what = one_line(name), one_line(what)
    if not whole and len(what) > _WIDTH:
        what = what[: _WIDTH - 1] + "…"
    return f"{clock} {click.style(f'{result:<11}', fg=_COLOURS.get(result))} {name}  {what}"
