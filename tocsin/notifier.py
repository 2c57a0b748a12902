"""`tocsin notifier`: one Notifier as a process."""

from typing import Any

import click

from controller.objects import Checked
from eventbus.bus import Bus
from notifier.metrics import NotifierMetrics
from notifier.reading import Given
from notifier.runner import Runner
from tocsin.pod_options import pod_options, run_pod
from tocsin.process import Job


class _Parts:
    """What a Notifier is made of."""

    def metrics(self, checked: Checked) -> NotifierMetrics:
        return NotifierMetrics(*checked.key)

    def runner(self, checked: Checked, job: Job, bus: Bus, metrics: Any) -> Runner:
        instead = None
        if job.dry_run:
            from eventbus.memory import MemoryBus
            from notifier.dry import Shown

            instead, bus = Shown(), MemoryBus()  # nothing is remembered of what was not told
        namespace, name = checked.key
        return Runner(
            name=name,
            namespace=namespace,
            spec=checked.spec,
            bus=bus,
            secrets=job.reader(),
            metrics=metrics,
            given=Given(job.config_maps, job.secrets),
            instead=instead,
        )


@click.command("notifier")
@pod_options
def command(**options: Any) -> None:
    """Run one Notifier: what a pod runs.

    Takes the object from --file, or from NOTIFIER_OBJECT (base64 JSON), and the bus from --bus,
    --bus-config or EVENTBUS_CONFIG. Its ConfigMap and Secret are read from the API server, and
    read again when they change. SIGTERM finishes what is being sent. Exits with 2 if the object is
    wrong.

    \b
    Examples:
      tocsin notifier                     # in a pod
      tocsin notifier -f pods.yaml --bus nats://127.0.0.1:4222 --log-format text
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    run_pod("Notifier", "NOTIFIER_OBJECT", _Parts(), options)
