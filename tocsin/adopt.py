"""`tocsin adopt`: take the place of an Argo Events installation, or forget what it left."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from spine.errors import ConfigError, Fault
from tocsin.adopting import Choice, Group, groups
from tocsin.cluster import cluster_options
from tocsin.output_option import output_option

if TYPE_CHECKING:
    from controller.adoption import Outcome, Place
    from controller.objects import Checked
    from eventbus.jetstream import JetStreamBus

DONE, FAILED, WRONG = 0, 1, 2
PATIENCE = 5.0
"""Seconds to wait for the bus."""

Work = Callable[["JetStreamBus", "Checked"], Awaitable[None]]


@click.command("adopt")
@click.argument("names", nargs=-1, metavar="[SENSOR]...")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    metavar="PATH",
    help="Manifests with the Sensors; else those of the cluster.",
)
@cluster_options
@click.option(
    "--bus",
    default="",
    metavar="URL",
    envvar="TOCSIN_BUS",
    help="nats://HOST:PORT, if the EventBus is reached there from here.",
)
@click.option("--bus-config", default="", metavar="FILE", help="JSON like that in EVENTBUS_CONFIG.")
@click.option(
    "--secrets-dir",
    default="/argo-events/secrets",
    show_default=True,
    metavar="DIR",
    help="Secrets, as DIR/NAME/KEY.",
)
@click.option("--forget", "forgets", is_flag=True, help="Remove the old durables and buckets.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--discard-ours",
    is_flag=True,
    help="Give up the place of a Sensor that has worked here already, and what it did since.",
)
@output_option("Tables for a person, or a JSON object a line for each Sensor.")
@click.pass_context
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    ctx: click.Context,
    names: tuple[str, ...],
    files: tuple[str, ...],
    namespace: str,
    kubeconfig: str,
    context: str,
    bus: str,
    bus_config: str,
    secrets_dir: str,
    forgets: bool,
    dry_run: bool,
    discard_ours: bool,
    output: str,
) -> None:
    """Take the place of Argo Events on a bus.

    Each Sensor begins where its triggers stopped there: what they had acknowledged is skipped,
    trigger by trigger, what they had not is done, and half-met conditions stay half met. Stop the
    Sensors there first. A second run changes nothing.

    What Argo Events has on the bus stays, to go back, until --forget removes it.

    \b
    Examples:
      tocsin adopt -n events --dry-run
      tocsin adopt -n events
      tocsin adopt -f sensors/ --bus nats://127.0.0.1:4222
      tocsin adopt -n events --forget
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    choice = Choice(
        names=names,
        files=files,
        namespace=namespace,
        kubeconfig=kubeconfig,
        context=context,
        bus=bus,
        bus_config=bus_config,
        secrets_dir=secrets_dir,
    )
    if forgets and discard_ours:
        raise click.UsageError("--forget and --discard-ours: give one of them.")

    async def run() -> int:
        code = DONE
        for group in await groups(choice):
            if forgets:
                work = _forgetting(group, dry_run=dry_run, output=output)
            else:
                work = _taking(dry_run=dry_run, discard_ours=discard_ours, output=output)
            code = max(code, await _each(group, work))
        return code

    ctx.exit(asyncio.run(run()))


async def _each(group: Group, work: Work) -> int:
    """Do something for each Sensor; return the exit code."""
    from eventbus.opening import open_bus

    code = DONE
    opening = open_bus(group.config, group.secrets, give_up_after=PATIENCE, name="tocsin-adopt")
    async with opening as bus:
        for sensor in group.sensors:
            try:
                await work(bus, sensor)
            except Fault as exc:
                click.echo(f"tocsin: {exc}", err=True)
                code = max(code, WRONG if isinstance(exc, ConfigError) else FAILED)
    return code


# ---------------------------------------------------------------------------- taking over


def _taking(*, dry_run: bool, discard_ours: bool, output: str) -> Work:
    async def work(bus: "JetStreamBus", sensor: "Checked") -> None:
        from controller.adoption import take_over

        plan = sensor.plan
        outcome = await take_over(bus, plan, dry_run=dry_run, discard_ours=discard_ours)
        rows = []
        if outcome.takeover is not None:
            rows = [await _row(bus, p, outcome.takeover.after) for p in outcome.takeover.places]
        if output == "json":
            click.echo(json.dumps(_json(plan.name, outcome, rows, dry_run=dry_run)))
        else:
            _print(plan.name, outcome, rows, dry_run=dry_run)

    return work


async def _row(bus: "JetStreamBus", place: "Place", after: int) -> dict[str, Any]:
    from controller.adoption.looking import count

    one = place.standing
    row = {"trigger": place.trigger, "dependency": place.dependency, "subject": place.subject}
    if one is None:
        return {**row, "durable": "", "acknowledged": 0, "pending": 0, "skipped": 0}
    found = await count(bus.api, place.subject, after, one.delivered)
    left = sum(sequence > after for sequence in one.left)
    return {
        **row,
        "durable": one.durable,
        "acknowledged": one.acknowledged,
        "pending": one.pending,
        "skipped": max(found - left, 0),
    }


def _json(
    sensor: str, outcome: "Outcome", rows: list[dict[str, Any]], *, dry_run: bool
) -> dict[str, Any]:
    takeover = outcome.takeover
    if takeover is None:
        result = "nothing" if outcome.before is None else "before"
        return {"sensor": sensor, "result": result}
    return {
        "sensor": sensor,
        "result": "dry run" if dry_run else "taken over",
        "startsAfter": takeover.after,
        "places": rows,
        "halfMet": {name: sorted(state.saved) for name, state in takeover.states.items()},
        "notes": list(takeover.notes),
    }


def _print(sensor: str, outcome: "Outcome", rows: list[dict[str, Any]], *, dry_run: bool) -> None:
    takeover, before = outcome.takeover, outcome.before
    if before is not None:
        moment = datetime.fromtimestamp(before.taken, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        left = f"; {len(before.durables)} old durables are left" if before.durables else ""
        click.echo(f"Sensor {sensor}: taken over on {moment} already{left}")
        return
    if takeover is None:
        click.echo(f"Sensor {sensor}: Argo Events has no durable of it: nothing to take over")
        return
    said = "would start" if dry_run else "taken over; starts"
    click.echo(f"Sensor {sensor}: {said} after event {takeover.after}")
    heads = ("TRIGGER", "DEPENDENCY", "OLD DURABLE", "ACKNOWLEDGED", "PENDING", "SKIPPED")
    keys = ("trigger", "dependency", "durable", "acknowledged", "pending", "skipped")
    lines = [heads, *(tuple(_cell(row, key) for key in keys) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heads))]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(("  " + "  ".join(cells)).rstrip())
    for trigger, state in takeover.states.items():
        click.echo(f"  half met: {trigger} has {', '.join(sorted(state.saved))}")
    for note in takeover.notes:
        click.echo(f"  {note}")


def _cell(row: dict[str, Any], key: str) -> str:
    if not row["durable"] and key not in {"trigger", "dependency"}:
        return "none: starts at new events" if key == "durable" else "-"
    return str(row[key])


# ---------------------------------------------------------------------------- forgetting


async def _spared(bus: "JetStreamBus", group: Group, sensor: "Checked") -> set[str]:
    """Return the old durables of other Sensors that were not taken over: names may be the same."""
    from controller.adoption.forgetting import names_of
    from sensor.adopted import adopted_of

    plans = [one.plan for one in group.sensors if one is not sensor]
    return {
        name
        for plan in plans
        if await adopted_of(plan.name, bus) is None
        for name in names_of(plan)
    }


def _forgetting(group: Group, *, dry_run: bool, output: str) -> Work:
    async def work(bus: "JetStreamBus", sensor: "Checked") -> None:
        from controller.adoption import forget

        spared = await _spared(bus, group, sensor)
        removed = await forget(bus, sensor.plan, spared=spared, dry_run=dry_run)
        if output == "json":
            shown = [one._asdict() for one in removed]
            found = {"sensor": sensor.plan.name, "dryRun": dry_run, "removed": shown}
            click.echo(json.dumps(found))
            return
        if not removed:
            click.echo(f"Sensor {sensor.plan.name}: nothing of Argo Events is left")
        for one in removed:
            verb = "would be removed" if dry_run else "removed"
            click.echo(f"Sensor {sensor.plan.name}: {one.kind} {one.name} ({one.detail}): {verb}")

    return work
