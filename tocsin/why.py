"""`tocsin why`: what a running Sensor made of its events."""

import asyncio
from pathlib import Path

import click

from tocsin.bus_options import bus_options, opened, running
from tocsin.output_option import LINES, output_option

FOUND, NOTHING = 0, 1


@click.command("why")
@click.argument("sensor")
@click.option(
    "--since",
    default="1h",
    show_default=True,
    metavar="10m|all",
    help="How far to look back; the bus keeps an hour.",
)
@click.option("--event-id", default="", metavar="ID", help="Only this event.")
@click.option("--trigger", default="", metavar="NAME", help="Only what this trigger was about.")
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="At most so many, the newest; 0 for all.",
)
@click.option(
    "-f",
    "--file",
    "file",
    default="",
    metavar="SENSOR.yaml",
    help="Evaluate the event of --event-id again where no decision is kept.",
)
@output_option(LINES)
@bus_options
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    sensor: str,
    since: str,
    event_id: str,
    trigger: str,
    last: int,
    file: str,
    output: str,
    folder: Path,
    bus: str,
    bus_name: str,
) -> None:
    """Show why a running Sensor fired, or why not: the newest decision last.

    Each line ends in words; below it is what became of its actions. Of many events with the same
    outcome a few in each second are kept: TOCSIN_DECISIONS=all in the environment of the Sensor
    keeps every one, off none, and a number so many.

    Exits with 0 if there are decisions, with 1 if there are none.

    \b
    Examples:
      tocsin why large-orders
      tocsin why large-orders --since 5m --trigger post-to-inbox
      tocsin why large-orders --event-id 5cc2f3e1 --file orders.yaml
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin.kept import Question, answer

    since = "all" if event_id else since
    question = Question(sensor, since, event_id, trigger, last, file, output == "json")
    run = running(folder, bus)

    async def main() -> bool:
        async with opened(run, bus, bus_name) as found:
            return await answer(found, question)

    ctx.exit(FOUND if asyncio.run(main()) else NOTHING)
