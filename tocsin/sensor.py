"""`tocsin sensor`: one Sensor as a process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import click

from controller.objects import Checked
from eventbus.bus import Bus
from sensor.plan import Plan
from sensor.runner import Runner
from spine.telemetry import SensorMetrics
from tocsin.pod_options import pod_options, run_pod
from tocsin.process import Job


@dataclass(frozen=True, slots=True)
class Pod:
    """What a Sensor is made of."""

    takes_over: bool = False
    """Whether it begins where Argo Events stopped, if that has a place on the bus."""

    def metrics(self, checked: Checked) -> SensorMetrics:
        """Return its metrics."""
        namespace, name = checked.key
        return SensorMetrics(namespace, name, checked.plan.triggers)

    def runner(self, checked: Checked, job: Job, bus: Bus, metrics: Any) -> Runner:
        """Return what runs it."""
        generation = job.metadata.get("generation")
        plan = checked.plan
        if job.dry_run:
            from sensor.dry import dry_plan

            plan = dry_plan(plan)
        taking = _take_over(bus, plan) if self.takes_over and not job.dry_run else None
        return Runner(
            plan=plan,
            bus=bus,
            secrets=job.reader(),
            metrics=metrics,
            generation=generation if isinstance(generation, int) else 0,
            host=job.host,
            port_offset=job.port_offset,
            take_over=taking,
        )


def _take_over(bus: Bus, plan: Plan) -> Callable[[], Awaitable[object]]:
    from controller.adoption import take_over
    from eventbus.jetstream import JetStreamBus

    assert isinstance(bus, JetStreamBus)
    return partial(take_over, bus, plan, first_only=True)


@click.command("sensor")
@pod_options
def command(**options: Any) -> None:
    """Run one Sensor: what a pod runs.

    Takes the object from --file, or from SENSOR_OBJECT as Argo Events' controller sets it (base64
    JSON), and the bus from --bus, --bus-config or EVENTBUS_CONFIG. SIGTERM finishes what is in
    flight; a second one ends at once. Exits with 2 if the object is wrong.

    \b
    Examples:
      tocsin sensor                       # in a pod
      tocsin sensor -f notify.yaml --bus nats://127.0.0.1:4222 --log-format text
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    run_pod("Sensor", "SENSOR_OBJECT", Pod(), options)
