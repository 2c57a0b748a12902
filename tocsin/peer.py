"""The commands of Argo Events' image, so that its controller can start ours in its place.

Its pods say `eventsource-service` or `sensor-service` and hand over object and bus in variables.
What else they hand over (EVENTBUS_SUBJECT, LEADER_ELECTION) is for buses that ended, and for an
election that is not needed here.
"""

from typing import Any

import click

from spine.errors import ConfigError
from tocsin.pod_options import pod_options, run_pod


@click.command("eventsource-service", hidden=True)
@pod_options
def eventsource_service(**options: Any) -> None:
    """Run one EventSource in a pod of Argo Events."""
    from tocsin.eventsource import Pod

    run_pod("EventSource", "EVENTSOURCE_OBJECT", Pod(), options)


@click.command("sensor-service", hidden=True)
@pod_options
def sensor_service(**options: Any) -> None:
    """Run one Sensor in a pod of Argo Events.

    The first time it begins where Argo Events stopped, as `tocsin adopt` says it; until its pod
    there is gone, it waits.
    """
    from tocsin.sensor import Pod

    run_pod("Sensor", "SENSOR_OBJECT", Pod(takes_over=True), options)


@click.command("webhook-service", hidden=True)
def webhook_service() -> None:
    """Say that the controller checks manifests here."""
    raise ConfigError(
        "starting webhook-service: manifests are checked by the controller itself",
        hint="tocsin controller --webhook-port 8443",
    )


COMMANDS = {one.name: one for one in (eventsource_service, sensor_service, webhook_service)}
