"""`tocsin controller`: what runs EventSources, Sensors, Notifiers and their buses in a cluster."""

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from spine import output
from spine.telemetry import LEVELS

if TYPE_CHECKING:
    from controller.admission.webhook import Webhook
    from controller.runner import Controller
    from controller.workload import Options

log = logging.getLogger(__name__)

IMAGE = "tocsin"
"""Image of the pods where none is named."""
HANDED = "TOCSIN_"
"""Variables of the controller that begin with this are those of the pods too."""
WORDS = ("privileges", "volumes", "mounts", "env", "keys")
"""What `--allow-template` takes, as in `controller.workload.limits`, whose import takes a while."""
OWN = frozenset({"TOCSIN_IMAGE", "TOCSIN_BUS"})
"""The controller's alone."""
LINGER = 5.0
"""Seconds in which all nodes learn that this replica is going, and send it no more questions."""


@click.command("controller")
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    help="Namespace to take care of; may be repeated. Without any: all.",
)
@click.option("--image", default="", envvar="TOCSIN_IMAGE", help="Image of the pods.")
@click.option(
    "--image-pull-policy",
    default="",
    envvar="IMAGE_PULL_POLICY",
    help="When pods pull it, where their template does not say.",
)
@click.option(
    "--make-service-accounts",
    is_flag=True,
    help="Make an account with the least rights in its namespace for an object that names none.",
)
@click.option(
    "--allow-template",
    "allowed",
    multiple=True,
    type=click.Choice(WORDS),
    help="What templates may ask for though it is more than a pod needs; may be repeated.",
)
@click.option(
    "--template-account",
    "accounts",
    multiple=True,
    metavar="[NAMESPACE/]NAME",
    help="Service account that templates may name, with * for any; may be repeated. Without any:"
    " all but the controller's own.",
)
@click.option("--lease", default="", metavar="NAME", help="Lease by which replicas elect a leader.")
@click.option(
    "--lease-duration",
    default="15s",
    show_default=True,
    help="After which another replica leads where the leader says nothing.",
)
@click.option(
    "--grace", default="24h", show_default=True, help="How long the bus keeps what was deleted."
)
@click.option("--kubeconfig", default="", metavar="FILE", help="Cluster; else that of the pod.")
@click.option("--own-namespace", default="", envvar="POD_NAMESPACE", help="Where the Lease is.")
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")  # noqa: S104 -- a pod is reached from outside
@click.option(
    "--metrics-port",
    default=7777,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of /metrics, /healthz and /readyz; 0 for a free one.",
)
@click.option(
    "--webhook-port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port on which the API server asks about objects; 0: it does not.",
)
@click.option(
    "--webhook-service",
    default="tocsin-webhook",
    show_default=True,
    metavar="NAME",
    help="Service by which the API server reaches that port.",
)
@click.option(
    "--webhook-secret",
    default="tocsin-webhook-tls",
    show_default=True,
    metavar="NAME",
    help="Secret with its certificate, which is made and replaced.",
)
@click.option(
    "--webhook-configuration",
    default="tocsin-webhook",
    show_default=True,
    metavar="NAME",
    help="ValidatingWebhookConfiguration that is told to trust it.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="json")
@click.option("--log-level", type=click.Choice(LEVELS), help="Else LOG_LEVEL, else info.")
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    namespaces: tuple[str, ...],
    image: str,
    image_pull_policy: str,
    make_service_accounts: bool,
    allowed: tuple[str, ...],
    accounts: tuple[str, ...],
    lease: str,
    lease_duration: str,
    grace: str,
    kubeconfig: str,
    own_namespace: str,
    host: str,
    metrics_port: int,
    webhook_port: int,
    webhook_service: str,
    webhook_secret: str,
    webhook_configuration: str,
    log_format: str,
    log_level: str | None,
) -> None:
    """Run EventBuses, EventSources, Sensors and Notifiers of a cluster.

    Of several replicas one leads; the others are ready to. Needs the CRDs, and the rights of the
    chart. SIGTERM lets another one lead at once.

    \b
    Examples:
      tocsin controller                                 # in a pod, for the whole cluster
      tocsin controller -n events -n more --make-service-accounts
      tocsin controller --kubeconfig ~/.kube/config --log-format text
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from controller.workload import Options
    from controller.workload.limits import Allowed
    from spine import __version__
    from spine.kube.credentials import own_account
    from spine.runtime import seconds
    from spine.telemetry import configure_logging
    from tocsin.process import run_loop

    configure_logging(log_format, log_level or os.environ.get("LOG_LEVEL", "info"))
    handed = {k: v for k, v in os.environ.items() if k.startswith(HANDED) and k not in OWN}
    options = Options(
        image=image or f"{IMAGE}:{__version__}",
        image_pull_policy=image_pull_policy,
        env=handed,
        make_service_accounts=make_service_accounts,
        allowed=Allowed(frozenset(allowed), accounts, own_account()),
    )
    place = _Place(
        namespaces=namespaces,
        own_namespace=own_namespace,
        kubeconfig=kubeconfig,
        lease=lease,
        lease_duration=seconds(lease_duration),
        host=host,
        port=metrics_port,
        webhook=_WebhookPlace(webhook_port, webhook_service, webhook_secret, webhook_configuration),
    )
    run_loop(_run(options, place, seconds(grace)))


@dataclass(frozen=True, slots=True)
class _WebhookPlace:
    """Where the API server asks."""

    port: int
    service: str
    secret: str
    configuration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the controller runs, and for whom."""

    namespaces: tuple[str, ...]
    own_namespace: str
    kubeconfig: str
    lease: str
    lease_duration: float
    host: str
    port: int
    webhook: _WebhookPlace


async def _run(options: "Options", place: _Place, grace: float) -> None:
    """Run until SIGTERM."""
    from controller.assembly import controller
    from controller.leader import Pace
    from spine.kube import open_kube
    from spine.runtime import cancelled_at_exit
    from spine.telemetry import StatusServer

    async with open_kube(place.kubeconfig) as kube:
        one = controller(
            kube,
            options,
            namespaces=place.namespaces,
            own_namespace=place.own_namespace or kube.namespace,
            identity=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
            lease=place.lease,
            grace=grace,
        )
        one.leader.pace = Pace.of(place.lease_duration)
        checks = {"cache": lambda: one.problem}
        webhook = _webhook(one, place, options) if place.webhook.port else None
        if webhook is not None:
            checks["webhook"] = lambda: webhook.problem
        async with StatusServer(place.host, place.port, one.metrics.registry, checks) as status:
            log.info("serving metrics and health", extra={"port": status.port})
            running = asyncio.create_task(_both(one, webhook), name="controller")
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, running.cancel)
            unread = partial(loop.call_soon_threadsafe, running.cancel)
            async with cancelled_at_exit(running):
                try:
                    with output.stopping(unread):
                        await asyncio.wait({running})
                finally:
                    for number in (signal.SIGTERM, signal.SIGINT):
                        loop.remove_signal_handler(number)
            if not running.cancelled():
                running.result()
            log.info("stopped")


def _webhook(one: "Controller", place: _Place, options: "Options") -> "Webhook":
    """Return what answers the API server. Raises ConfigError."""
    from controller.admission.checker import Checker
    from controller.admission.keeper import Keeper, Names
    from controller.admission.webhook import Known, Webhook
    from controller.leader import fenced

    given = place.webhook
    names = Names(
        namespace=one.namespace,
        service=given.service,
        secret=given.secret,
        configuration=given.configuration,
    )
    return Webhook(
        place.host,
        given.port,
        Keeper(fenced(one.kube, one.leader), names, lambda: one.leader.leading),
        Known(kube=one.kube, cache=lambda: one.cache, namespaces=one.namespaces),
        one.metrics.registry,
        Checker(allowed=options.allowed),
    )


async def _both(one: "Controller", webhook: "Webhook | None") -> None:
    """Run controller and webhook until cancelled.

    The webhook stays a little longer: until nobody sends questions here any more.
    """
    if webhook is None:
        await one.run()
        return
    from spine.runtime import cancelled_at_exit

    controlling = asyncio.create_task(one.run(), name="reconcile")
    answering = asyncio.create_task(webhook.run(), name="admission")
    async with cancelled_at_exit(answering), _lingering(), cancelled_at_exit(controlling):
        done, _ = await asyncio.wait({controlling, answering}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()


@asynccontextmanager
async def _lingering() -> AsyncIterator[None]:
    """Wait a little where the block was cancelled."""
    try:
        yield
    except asyncio.CancelledError:
        log.info("answering admission for %g s more", LINGER)
        await asyncio.sleep(LINGER)
        raise
