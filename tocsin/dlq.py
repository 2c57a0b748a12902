"""`tocsin dlq`: dead letters, which are what could never pass, kept until somebody decides."""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eventbus.bus import Bus
from spine.errors import BusError, ConfigError, Fault
from tocsin.bus_options import bus_options, opened, running
from tocsin.letters import Wanted, as_json, chosen, line, reason_line
from tocsin.output_option import LINES, output_option

if TYPE_CHECKING:
    from delivery.dead import Entry

NONE_LEFT, FAILED = 0, 1
F = TypeVar("F", bound=Callable[..., Any])


@click.group("dlq")
def command() -> None:
    """List, show, edit, retry and drop dead letters.

    An event that no filter or transform can take, and an action whose attempts are used up, are
    set aside with the reason. Mend the cause, then retry; or mend the letter, if it is wrong.

    \b
    Examples:
      tocsin dlq list --since 1h --count
      tocsin dlq show 3 -f orders.yaml
      tocsin dlq retry --sensor orders --code TriggerFailed --dry-run
      tocsin dlq edit 3 --set body.total=5 --retry
      tocsin dlq drop --all
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped


_FILTERS = (
    click.option("--sensor", default="", metavar="NAME", help="Only those of this Sensor."),
    click.option("--source", default="", metavar="NAME", help="Only those of this EventSource."),
    click.option("--notifier", default="", metavar="NAME",
                 help="Only those of this Notifier, [NAMESPACE/]NAME."),
    click.option("--place", default="", metavar="GLOB",
                 help="Only of such a trigger, dependency, event or service."),
    click.option("--code", default="", metavar="GLOB", help="Only with such a code."),
    click.option("--grep", default="", metavar="TEXT", help="Only where the reason says so."),
    click.option("--kind", default=None, type=click.Choice(["event", "action"]),
                 help="Only events, or only actions."),
    click.option("--since", default="", metavar="10m|24h", help="Only those of so long."),
    click.option("--older-than", default="", metavar="7d", help="Only those from before that."),
)  # fmt: skip


def _filters(function: F) -> F:
    """Give a command the options that choose letters."""
    for option in reversed(_FILTERS):
        function = option(function)
    return function


def _with_bus(given: dict[str, Any], work: Callable[[Bus], Awaitable[int]]) -> int:
    """Open the bus of the options and do something with it; the other options are left."""
    folder, bus, bus_name = (given.pop(name) for name in ("folder", "bus", "bus_name"))
    run = running(folder, bus)

    async def main() -> int:
        async with opened(run, bus, bus_name) as found:
            return await work(found)

    return asyncio.run(main())


@command.command("list")
@_filters
@click.option("--count", is_flag=True, help="How many of each place and code instead.")
@output_option(LINES)
@bus_options
@click.pass_context
def list_(ctx: click.Context, /, count: bool, output: str, **given: Any) -> None:
    """List dead letters, oldest first."""

    async def work(found: Bus) -> int:
        counted: Counter[tuple[str, ...]] = Counter()
        async for entry in chosen(found, wanted):
            letter = entry.letter
            counted[letter.component, letter.object, letter.place, letter.code] += 1
            if not count:
                click.echo(as_json(entry) if output == "json" else line(entry))
        if not counted:
            click.echo("no dead letters", err=True)
            for text in await _unknown(found, wanted):
                click.echo(f"tocsin: {text}", err=True)
        for kind, number in counted.most_common() if count else ():
            click.echo(reason_line(kind, number, as_json=output == "json"))
        return NONE_LEFT

    wanted = Wanted.of(given)
    ctx.exit(_with_bus(given, work))


async def _unknown(bus: Bus, wanted: Wanted) -> list[str]:
    """Return what to say of names that nobody has."""
    from tocsin import seen

    found = []
    if wanted.sensor:
        found += seen.unknown("Sensor", [wanted.sensor], await seen.sensors(bus, {}))
    if wanted.source:
        found += seen.unknown("EventSource", [wanted.source], await seen.sources(bus, {}))
    return found


@command.command("show")
@click.argument("number", type=int)
@click.option(
    "-f",
    "--file",
    "file",
    default="",
    metavar="SENSOR.yaml",
    help="Show what this Sensor decides on its events, as tocsin explain does.",
)
@bus_options
@click.pass_context
def show(ctx: click.Context, /, number: int, file: str, **given: Any) -> None:
    """Show one dead letter in full, as JSON."""

    async def work(found: Bus) -> int:
        from delivery.dead import show as look_up

        entry = await look_up(found, number)
        if not file:
            click.echo(as_json(entry, indent=2))
            return NONE_LEFT
        await _explain(found, entry, file)
        return NONE_LEFT

    ctx.exit(_with_bus(given, work))


async def _explain(bus: Bus, entry: "Entry", file: str) -> None:
    """Print what a Sensor of today makes of the events of a letter."""
    from delivery.dead import body
    from sensor.replay import moment, replaying
    from sensor.wording import sentence
    from spine.event import decode
    from tocsin.explaining import read_sensor
    from tocsin.tree import Tree, verdict_line

    letter = entry.letter
    events = [decode(data) for data in letter.events.values()]
    if not events and letter.kind == "event":
        events = [decode(await body(bus, letter))]
    if not events:
        raise ConfigError(f"explaining dead letter {entry.sequence}: its events were not kept")
    read = read_sensor([file], letter.object)
    async with replaying(read.plan) as replay:
        for event in events:
            told = await replay.take(event, moment(event))
            for text in Tree(read.plan).lines(told):
                click.echo(text)
            click.echo(verdict_line(sentence(told.decision, event)))


Work = Callable[[Bus, int], Awaitable[str]]
"""Does something with a letter, by its number, and returns what to tell of it."""


def _with_each(name: str, work: Work, deed: str, about: str) -> None:
    """Add a command that does something with letters, by their numbers or by what they are."""

    @command.command(name, help=about)
    @click.argument("numbers", nargs=-1, type=int, metavar="NUMBER...")
    @click.option("--all", "everything", is_flag=True, help="All of them.")
    @_filters
    @click.option("--limit", type=click.IntRange(min=1), default=None, metavar="N",
                  help="At most so many, the oldest.")  # fmt: skip
    @click.option("--dry-run", is_flag=True, help="Only list what would be done.")
    @bus_options
    @click.pass_context
    def run(
        ctx: click.Context,
        /,
        numbers: tuple[int, ...],
        everything: bool,
        limit: int | None,
        dry_run: bool,
        **given: Any,
    ) -> None:
        async def each(bus: Bus) -> int:
            found = await _numbers(bus, numbers, wanted, limit)
            if dry_run:
                return await _preview(bus, found, deed)
            return await _each(bus, found, work)

        wanted = Wanted.of(given)
        _require_choice(numbers, everything, wanted)
        ctx.exit(_with_bus(given, each))


async def _retry(found: Bus, number: int) -> str:
    from delivery.dead import retry

    return f"{number}: back to {await retry(found, number)}"


async def _drop(found: Bus, number: int) -> str:
    from delivery.dead import drop

    await drop(found, number)
    return f"{number}: dropped"


_with_each(
    "retry",
    _retry,
    "would be retried",
    "Put dead letters back on their way: an action begins anew, an event is evaluated again.",
)
_with_each("drop", _drop, "would be dropped", "Remove dead letters for good.")


def _require_choice(numbers: tuple[int, ...], everything: bool, wanted: Wanted) -> None:
    if bool(numbers) + everything + wanted.any != 1:
        raise ConfigError(
            "choosing dead letters: give their numbers, or --all, or what they are (--sensor, "
            "--code, ...)",
            hint="see the numbers with: tocsin dlq list",
        )


async def _numbers(
    bus: Bus, numbers: tuple[int, ...], wanted: Wanted, limit: int | None
) -> tuple[int, ...]:
    found = numbers or tuple([entry.sequence async for entry in chosen(bus, wanted)])
    return found[:limit]


async def _preview(bus: Bus, numbers: tuple[int, ...], deed: str) -> int:
    from delivery.dead import show as look_up

    for number in numbers:
        click.echo(line(await look_up(bus, number)))
    click.echo(f"{len(numbers)} {deed}", err=True)
    return NONE_LEFT


async def _each(bus: Bus, numbers: tuple[int, ...], work: Work) -> int:
    """Do something with each of the letters; return 1 if it failed for any.

    Raises BusError where the bus is away: it is away for the others, too.
    """
    code = NONE_LEFT
    for number in numbers:
        try:
            click.echo(await work(bus, number))
        except BusError:
            raise
        except Fault as exc:
            click.echo(f"tocsin: {exc}", err=True)
            code = FAILED
    return code


@command.command("edit")
@click.argument("number", type=int)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="PATH=VALUE",
    help="Set a value, JSON or a text, as body.total=5; may be repeated.",
)
@click.option("--file", default="", metavar="FILE", help="Take it from a file of JSON; - is stdin.")
@click.option("--retry", "again", is_flag=True, help="Put it back on its way at once.")
@click.option("--dry-run", is_flag=True, help="Only print what it would become.")
@bus_options
@click.pass_context
def edit(
    ctx: click.Context,
    /,
    number: int,
    sets: tuple[str, ...],
    file: str,
    again: bool,
    dry_run: bool,
    **given: Any,
) -> None:
    """Change what a dead letter holds: the data of an event, the content of an action.

    Without --set and --file it is opened in an editor ($VISUAL, $EDITOR). The changed letter takes
    the place of the old one, under a number of its own, and says that it was edited.
    """

    async def work(bus: Bus) -> int:
        from delivery.dead import replace, retry
        from delivery.dead import show as look_up
        from tocsin.editing import changed

        entry = await look_up(bus, number)
        letter = await changed(bus, entry, sets, _content(file))
        if letter is None:
            click.echo(f"{number}: not changed", err=True)
            return NONE_LEFT
        if dry_run:
            click.echo(as_json(type(entry)(number, letter), indent=2))
            return NONE_LEFT
        new = await replace(bus, number, letter)
        click.echo(f"{number}: edited, now {new}")
        if again:
            click.echo(f"{new}: back to {await retry(bus, new)}")
        return NONE_LEFT

    ctx.exit(_with_bus(given, work))


def _content(file: str) -> str | None:
    if not file:
        return None
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text()
    except OSError as exc:
        raise ConfigError(f"reading {file}: {exc.strerror}") from exc
