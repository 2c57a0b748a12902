"""`tocsin dlq`: dead letters, which are what could never pass, kept until somebody decides."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from eventbus.bus import Bus
from spine.errors import ConfigError, Fault
from tocsin.bus_options import bus_options, opened, running

NONE_LEFT, FAILED = 0, 1


@click.group("dlq")
def command() -> None:
    """List, show, retry and drop dead letters.

    An event that no filter or transform can take, and an action whose attempts are used up, are
    set aside with the reason. Mend the cause, then retry.

    \b
    Examples:
      tocsin dlq list
      tocsin dlq show 3
      tocsin dlq retry 3 4
      tocsin dlq drop --all
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped


def _with_bus(folder: Path, bus: str, bus_name: str, work: Callable[[Bus], Awaitable[int]]) -> int:
    run = running(folder, bus)

    async def main() -> int:
        async with opened(run, bus, bus_name) as found:
            return await work(found)

    return asyncio.run(main())


@command.command("list")
@click.option("--sensor", default=None, metavar="NAME", help="Only those of this Sensor.")
@click.option("--source", default=None, metavar="NAME", help="Only those of this EventSource.")
@click.option(
    "--notifier",
    default=None,
    metavar="NAME",
    help="Only those of this Notifier, [NAMESPACE/]NAME.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for a person, or a JSON object a line.",
)
@bus_options
@click.pass_context
def list_(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    sensor: str | None,
    source: str | None,
    notifier: str | None,
    output: str,
    folder: Path,
    bus: str,
    bus_name: str,
) -> None:
    """List dead letters, oldest first."""

    async def work(found: Bus) -> int:
        from delivery.dead import list_dead

        number = 0
        chosen: dict[Any, str | None] = {
            "sensor": sensor, "eventsource": source, "notifier": notifier
        }  # fmt: skip
        component = next((kind for kind, name in chosen.items() if name), None)
        name = sensor or source or (notifier if notifier and "/" in notifier else None)
        async for entry in list_dead(found, component=component, object=name):
            if notifier and entry.letter.object.rpartition("/")[2] != notifier.rpartition("/")[2]:
                continue
            number += 1
            shown = _json(entry) if output == "json" else _line(entry)
            click.echo(shown)
        if not number:
            click.echo("no dead letters", err=True)
        return NONE_LEFT

    ctx.exit(_with_bus(folder, bus, bus_name, work))


@command.command("show")
@click.argument("number", type=int)
@bus_options
@click.pass_context
def show(ctx: click.Context, number: int, folder: Path, bus: str, bus_name: str) -> None:
    """Show one dead letter in full, as JSON."""

    async def work(found: Bus) -> int:
        from delivery.dead import show as look_up

        click.echo(_json(await look_up(found, number), indent=2))
        return NONE_LEFT

    ctx.exit(_with_bus(folder, bus, bus_name, work))


Work = Callable[[Bus, int], Awaitable[str]]
"""Does something with a letter, by its number, and returns what to tell of it."""


def _with_each(name: str, work: Work, about: str) -> None:
    """Add a command that does something with the letters of these numbers, or with all."""

    @command.command(name, help=about)
    @click.argument("numbers", nargs=-1, type=int, metavar="NUMBER...")
    @click.option("--all", "everything", is_flag=True, help="All of them.")
    @bus_options
    @click.pass_context
    def run(
        ctx: click.Context,
        numbers: tuple[int, ...],
        everything: bool,
        folder: Path,
        bus: str,
        bus_name: str,
    ) -> None:
        _require_choice(numbers, everything)
        ctx.exit(_with_bus(folder, bus, bus_name, lambda found: _each(found, numbers, work)))


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
    "Put dead letters back on their way: an action begins anew, an event is evaluated again.",
)
_with_each("drop", _drop, "Remove dead letters for good.")


def _require_choice(numbers: tuple[int, ...], everything: bool) -> None:
    if bool(numbers) == everything:
        raise ConfigError(
            "choosing dead letters: give their numbers or --all",
            hint="see the numbers with: tocsin dlq list",
        )


async def _each(bus: Bus, numbers: tuple[int, ...], work: Work) -> int:
    """Do something with each of the letters, or with all; return 1 if it failed for any."""
    from delivery.dead import list_dead

    chosen = list(numbers) or [entry.sequence async for entry in list_dead(bus)]
    code = NONE_LEFT
    for number in chosen:
        try:
            click.echo(await work(bus, number))
        except Fault as exc:
            click.echo(f"tocsin: {exc}", err=True)
            code = FAILED
    return code


def _line(entry: Any) -> str:
    letter = entry.letter
    moment = datetime.fromtimestamp(letter.time, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    where = f"{letter.component} {letter.object}" + (f"/{letter.place}" if letter.place else "")
    return (
        f"{entry.sequence:>6}  {moment}  {letter.kind:<6}  {where}  {letter.code}: {letter.message}"
    )


def _json(entry: Any, indent: int | None = None) -> str:
    """Return a letter with its event readable where it is text."""
    import msgspec

    found = msgspec.to_builtins(entry.letter)
    data = entry.letter.data
    found.pop("data", None)
    if data:
        try:
            found["event"] = json.loads(data)
        except ValueError:
            found["event"] = data.decode(errors="replace")
    return json.dumps({"number": entry.sequence, **found}, indent=indent, ensure_ascii=False)
