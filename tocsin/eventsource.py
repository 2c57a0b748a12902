"""`tocsin eventsource`: one EventSource as a process."""

from typing import Any

import click

from controller.objects import Checked
from eventbus.bus import Bus
from eventsource.runner import Runner
from spine.telemetry import SourceMetrics
from tocsin.pod_options import pod_options, run_pod
from tocsin.process import Job


class Pod:
    """What an EventSource is made of."""

    def metrics(self, checked: Checked) -> SourceMetrics:
        """Return its metrics."""
        namespace, name = checked.key
        return SourceMetrics(namespace, name, checked.spec.sources())

    def runner(self, checked: Checked, job: Job, bus: Bus, metrics: Any) -> Runner:
        """Return what runs it."""
        namespace, name = checked.key
        return Runner(
            name=name,
            namespace=namespace,
            spec=checked.spec,
            bus=bus,
            secrets=job.reader(),
            metrics=metrics,
            host=job.host,
            port_offset=job.port_offset,
        )


@click.command("eventsource")
@pod_options
def command(**options: Any) -> None:
    """Run one EventSource: what a pod runs.

    Takes the object from --file, or from EVENTSOURCE_OBJECT as Argo Events' controller sets it
    (base64 JSON), and the bus from --bus, --bus-config or EVENTBUS_CONFIG. SIGTERM finishes what
    is in flight; a second one ends at once. Exits with 2 if the object is wrong.

    \b
    Examples:
      tocsin eventsource                       # in a pod
      tocsin eventsource -f hook.yaml --bus nats://127.0.0.1:4222 --log-format text
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    run_pod("EventSource", "EVENTSOURCE_OBJECT", Pod(), options)
