"""Removes what Argo Events left on a bus of a Sensor whose place was taken."""

from collections.abc import Collection
from typing import NamedTuple

from controller.adoption.looking import durables, quiet, read_bucket
from controller.adoption.names import durable_name, places
from delivery.subjects import sensor_durable
from eventbus.bus import EVENTS
from eventbus.jetstream import JetStreamBus
from eventbus.jetstream.api import NO_STREAM, ApiError
from sensor.adopted import adopted_of, change_adopted
from sensor.plan import Plan
from spine.errors import ConfigError


class Removed(NamedTuple):
    """Something that was removed, or would be."""

    kind: str
    """durable or bucket."""
    name: str
    detail: str


def names_of(plan: Plan) -> set[str]:
    """Return the old durables that a Sensor may have, as it is written now."""
    return {durable_name(plan.name, *place) for place in places(plan)}


async def forget(
    bus: JetStreamBus, plan: Plan, *, spared: Collection[str] = (), dry_run: bool = False
) -> list[Removed]:
    """Remove the old durables and the old bucket of a Sensor; return what that is.

    `spared` durables may be of another Sensor, too. Raises ConfigError where the Sensor has no
    place of its own yet, and BusError, also while somebody still reads.
    """
    before = await adopted_of(plan.name, bus)
    if before is None and await bus.api.consumer(EVENTS, sensor_durable(plan.name)) is None:
        raise ConfigError(
            f"forgetting what Argo Events has of Sensor {plan.name}: nothing was taken over yet, "
            "so its backlog would be lost",
            hint=f"run: tocsin adopt {plan.name}",
        )
    bucket = await read_bucket(bus.api, plan.name)
    names = names_of(plan) | set(before.durables if before is not None else ())
    if bucket is not None:
        names |= {
            durable_name(plan.name, trigger, dependency)
            for trigger in (*bucket.triggers, *plan.triggers)
            for dependency in (*bucket.dependencies, *plan.dependencies)
        }
    there = sorted(names - set(spared))
    await quiet(bus.api, there)
    removed = []
    for info in await durables(bus.api, there):
        subject = info["config"].get("filter_subject", "")
        unread = info["num_pending"] + info["num_ack_pending"]
        removed.append(Removed("durable", info["name"], f"of {subject}, {unread} not acknowledged"))
        if not dry_run:
            await bus.remove_reader(EVENTS, info["name"])
    if bucket is not None:
        waiting = f"{len(bucket.saved)} events that wait for others"
        removed.append(Removed("bucket", plan.name, f"stream {bucket.stream}, {waiting}"))
        if not dry_run:
            await _delete(bus, bucket.stream)
    if not dry_run:
        await change_adopted(plan.name, bus, durables=(), buckets=())
    return removed


async def _delete(bus: JetStreamBus, stream: str) -> None:
    try:
        await bus.api.call(f"STREAM.DELETE.{stream}", what=f"deleting stream {stream}")
    except ApiError as exc:
        if exc.reason != NO_STREAM:
            raise
