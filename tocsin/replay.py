"""`tocsin replay`: what a Sensor would do, or would do otherwise, with events that came before."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import click

from eventbus.bus import EVENTS, Bus
from spine.errors import ConfigError
from tocsin.asking import agreed
from tocsin.bus_options import bus_options, opened, running
from tocsin.output_option import ONE_OBJECT, output_option
from tocsin.report import plural
from tocsin.spans import span

if TYPE_CHECKING:
    from delivery.action import Action
    from tocsin.explaining import Read
    from tocsin.replaying import Difference, Side

SAME, DIFFERS, WRONG = 0, 1, 2
AT_ONCE = 64
"""Actions that are put on the bus at a time."""
EACH = 500
"""Events between two lines of progress."""
_NAME = "give --name NAME"


class Asked(NamedTuple):
    """What was asked."""

    before: str
    now: str
    name: str
    since: str
    diff: bool
    fire: bool
    anew: bool
    yes: bool
    output: str


@click.command("replay")
@click.argument("path", metavar="[SENSOR.yaml]", default="")
@click.option(
    "--since",
    default="24h",
    show_default=True,
    metavar="10m|24h|7d|all",
    help="How far to look back; the bus keeps seven days.",
)
@click.option(
    "--sensor",
    "edited",
    default="",
    metavar="NEW.yaml",
    help="The Sensor as it is to be; without it, the one that is given or that runs.",
)
@click.option("--name", default="", metavar="NAME", help="Which Sensor, where there are several.")
@click.option("--diff", is_flag=True, help="Show what --sensor does otherwise than the one before.")
@click.option(
    "--fire",
    is_flag=True,
    help="Do it: all actions; with --diff those that are new or others now.",
)
@click.option(
    "--anew",
    is_flag=True,
    help="With --fire, do what was done before once more, under another idempotency key.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before --fire.")
@output_option(ONE_OBJECT)
@bus_options
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    path: str,
    since: str,
    edited: str,
    name: str,
    diff: bool,
    fire: bool,
    anew: bool,
    yes: bool,
    output: str,
    folder: Path,
    bus: str,
    bus_name: str,
) -> None:
    """Show what a Sensor would do with the events that the bus has kept.

    Without --fire nothing is done. With --diff two Sensors are held against each other:
    SENSOR.yaml, or the one that `tocsin run` runs, and --sensor. Counts come first, then each kind
    of difference with a few events of it. Conditions begin empty, and time passes as it did.

    With --fire the Sensor that runs on the bus does the actions, with its retries and bounds, and
    under the same idempotency keys as before: whoever knows a key, as objects of Kubernetes do,
    does nothing twice.

    Exits with 0; with 1 if --diff finds a difference, with 2 if a Sensor cannot run.

    \b
    Examples:
      tocsin replay orders.yaml --since 1h
      tocsin replay --sensor new.yaml --diff
      tocsin replay orders.yaml --sensor new.yaml --diff --since 7d -o json
      tocsin replay --since 2h --fire
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    asked = Asked(path, edited, name, since, diff, fire, anew, yes, output)
    if diff and not edited:
        raise ConfigError("comparing Sensors: --diff needs --sensor NEW.yaml")
    if anew and not fire:
        raise ConfigError("reading options: --anew is about --fire, which is not given")
    run = running(folder, bus)
    reads = _sensors(asked, run)

    async def main() -> int:
        async with opened(run, bus, bus_name) as found:
            with tempfile.TemporaryFile() as kept:
                replayed = await _replayed(found, asked, reads, kept if fire else None)
                _show(asked, replayed)
                if fire:
                    await _fire(found, asked, reads[-1], kept, replayed.to_do)
                return DIFFERS if diff and replayed.difference.count else SAME

    ctx.exit(asyncio.run(main()))


def _sensors(asked: Asked, run: dict[str, Any]) -> list["Read"]:
    """Return the Sensor before, where two are compared, and the one of now."""
    from tocsin.explaining import read_sensor

    found = []
    if asked.diff or not asked.now:
        paths = [asked.before] if asked.before else run.get("manifests", [])
        if not paths:
            raise ConfigError(
                "choosing a Sensor: none is given, and there is no tocsin run to take it from",
                hint="give SENSOR.yaml",
            )
        name = asked.name
        if asked.now and not name:
            name = read_sensor([asked.now], hint=_NAME).plan.name
        found.append(read_sensor(paths, name, hint=_NAME))
    if asked.now:
        found.append(read_sensor([asked.now], asked.name, hint=_NAME))
    return found


# ---------------------------------------------------------------------------- replaying


class Replayed(NamedTuple):
    """What came of it."""

    events: dict[str, int]
    """Source and event name -> how many."""
    first: float
    """When the first of them came, in unix seconds; 0 where there is none."""
    unreadable: int
    sides: "list[Side]"
    difference: "Difference"
    to_do: int
    """Actions that were kept to be done."""


async def _replayed(
    bus: Bus, asked: Asked, reads: Sequence["Read"], kept: BinaryIO | None
) -> Replayed:
    from sensor.replay import replaying
    from spine.errors import EventError
    from spine.event import decode
    from tocsin.replaying import Difference, Side

    now = time.time()
    loose = {n for one in reads for n, t in one.plan.triggers.items() if t.stateful}
    difference, events, first = Difference(loose), dict[str, int](), 0.0
    unreadable = to_do = 0
    async with AsyncExitStack() as stack:
        sides = [
            Side(title, await stack.enter_async_context(replaying(one.plan)))
            for title, one in zip(_titles(asked, reads), reads, strict=True)
        ]

        def keep(actions: Any) -> int:
            number = 0
            for action in actions:
                number += 1
                if kept is not None:
                    _write(kept, action)
            return number

        async for message in _messages(bus, asked.since, reads, now):
            try:
                event = decode(message.data)
            except EventError:
                unreadable += 1
                continue
            first = first or message.stored
            topic = f"{event.source}/{event.subject}"
            events[topic] = events.get(topic, 0) + 1
            told = [await side.step(event, message.stored) for side in sides]
            if len(told) > 1:
                to_do += keep(difference.step(told[0], told[1]))
            else:
                to_do += keep(a for one in told[0] for a in one.decision.actions)
            _progress(sum(events.values()))
        told = [await side.end(now) for side in sides]
        if len(told) > 1:
            to_do += keep(difference.step(told[0], told[1])) + keep(difference.end())
            await difference.explain(sides)
        else:
            to_do += keep(a for one in told[0] for a in one.decision.actions)
    _progress(0)
    return Replayed(events, first, unreadable, sides, difference, to_do)


def _titles(asked: Asked, reads: Sequence["Read"]) -> list[str]:
    before = asked.before or "as it runs"
    return [before, asked.now] if len(reads) > 1 else [asked.now or before]


async def _messages(
    bus: Bus, since: str, reads: Sequence["Read"], now: float
) -> AsyncIterator[Any]:
    """Yield what the bus has of what the Sensors read, up to now."""
    start = "all" if since == "all" else now - span(since)
    subjects = list(dict.fromkeys(t.subject for one in reads for t in one.plan.topics))
    async for message in bus.read(EVENTS, subjects, start=start):
        if message.stored > now:
            return
        yield message


def _progress(number: int) -> None:
    """Say how far it is, to a terminal; 0: it is done."""
    if sys.stderr.isatty() and number % EACH == 0:
        click.echo(f"\r{number:,} events" if number else "\r\033[K", err=True, nl=False)


# ---------------------------------------------------------------------------- doing


def _write(file: BinaryIO, action: "Action") -> None:
    import msgspec

    file.write(msgspec.json.encode(action) + b"\n")


async def _fire(bus: Bus, asked: Asked, read: "Read", kept: BinaryIO, number: int) -> None:
    """Have the Sensor that runs do what was kept. Raises ConfigError where none does."""
    import msgspec

    from delivery.action import Action, action_key
    from delivery.dead import do_again
    from delivery.subjects import sensor_durable

    name = read.plan.name
    if not number:
        click.echo("there is nothing to do", err=True)
        return
    if sensor_durable(name) not in {info.durable for info in await bus.readers(EVENTS)}:
        raise ConfigError(
            f"doing the actions of Sensor {name!r}: the bus knows no Sensor of that name",
            hint="start it: it does them",
        )
    if not asked.yes and not agreed(f"Do {plural(number, 'action')}?"):
        click.echo("nothing was done", err=True)
        return
    said, mark = f"replayed by tocsin replay --since {asked.since}", str(time.time_ns())
    kept.seek(0)
    waiting = []
    for line in kept:
        action = msgspec.json.decode(line, type=Action)
        if asked.anew:
            key = action_key(action.key, mark, {})
            action = msgspec.structs.replace(action, key=key, claim="")
        waiting.append(do_again(bus, action, said=said))
        if len(waiting) == AT_ONCE:
            await asyncio.gather(*waiting)
            waiting = []
    await asyncio.gather(*waiting)
    are = "is on its" if number == 1 else "are on their"
    click.echo(f"{plural(number, 'action')} {are} way (see: tocsin tail)", err=True)


# ---------------------------------------------------------------------------- showing


def _show(asked: Asked, replayed: Replayed) -> None:
    from tocsin import replayed as shown

    if asked.output == "json":
        found = shown.as_json(asked, replayed)
        click.echo(json.dumps(found, indent=2, ensure_ascii=False, default=str))
        return
    for line in shown.lines(asked, replayed):
        click.echo(line)
