"""The options that `tocsin eventsource` and `tocsin sensor` share."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from spine.telemetry import LEVELS
from tocsin.handed import bus_from_options, object_from_environment, object_from_file
from tocsin.parent import Parent
from tocsin.process import METRICS_PORT, Job, Parts, serve

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("-f", "--file", metavar="FILE", help="Manifest of the object, - for stdin."),
    click.option("--bus", default="", metavar="URL", help="nats://HOST:PORT of the event bus."),
    click.option(
        "--bus-config", default="", metavar="FILE", help="JSON like that in EVENTBUS_CONFIG."
    ),
    click.option("-n", "--namespace", default="", help="Namespace, if the object names none."),
    click.option(
        "--host", default="0.0.0.0", show_default=True, help="Address to listen on."  # noqa: S104 -- a pod is reached from outside
    ),
    click.option("--port-offset", default=0, help="Added to every port of the manifest."),
    click.option(
        "--metrics-port", default=METRICS_PORT, show_default=True, type=click.IntRange(0, 65535),
        help="Port of /metrics, /healthz, /readyz and /status; 0 for a free one.",
    ),
    click.option(
        "--stop-delay", default=0.0, type=click.FloatRange(0, 30), metavar="SECONDS",
        help="From SIGTERM on, not ready any more, until it stops to listen.",
    ),
    click.option("--secrets-dir", default="/argo-events/secrets", show_default=True,
                 metavar="DIR", help="Secrets, as DIR/NAME/KEY."),
    click.option("--config-dir", default="/argo-events/config", show_default=True,
                 metavar="DIR", help="ConfigMaps, as DIR/NAME/KEY."),
    click.option("--log-format", type=click.Choice(["text", "json"]), default="json",
                 show_default=True),
    click.option("--log-level", type=click.Choice(LEVELS),
                 help="Else LOG_LEVEL, else info."),
    click.option("--supervised", is_flag=True, hidden=True),
)  # fmt: skip


def pod_options(function: F) -> F:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def run_pod(kind: str, variable: str, parts: Parts, options: dict[str, Any]) -> None:
    """Run the object that options, environment or the parent name."""
    if options["supervised"]:
        parent = Parent()
        serve(Job(**parent.job(), supervised=True), parts, parent)
        return
    file = options["file"]
    raw = object_from_file(file, kind) if file else object_from_environment(variable)
    if options["namespace"] and isinstance(raw.get("metadata"), dict):
        raw["metadata"].setdefault("namespace", options["namespace"])
    job = Job(
        kind=kind,
        object=raw,
        bus=bus_from_options(options["bus"], options["bus_config"]),
        secrets_dir=options["secrets_dir"],
        config_dir=options["config_dir"],
        host=options["host"],
        port_offset=options["port_offset"],
        metrics_port=options["metrics_port"],
        stop_delay=options["stop_delay"],
        log_format=options["log_format"],
        log_level=options["log_level"] or os.environ.get("LOG_LEVEL", "info"),
    )
    serve(job, parts)
