"""`tocsin run`: run a folder of manifests on this machine."""

import asyncio
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spine import output
from spine.errors import ConfigError
from spine.http import nearby
from spine.telemetry import LEVELS, configure_logging
from tocsin import state

if TYPE_CHECKING:
    from tocsin.local import Local

_INTERRUPTED = 130


@click.command("run")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--bus",
    default="",
    metavar="URL",
    envvar="TOCSIN_BUS",
    help="Use the NATS server at nats://HOST:PORT instead of starting one.",
)
@click.option(
    "--state",
    "folder",
    default=state.DEFAULT,
    type=click.Path(path_type=Path),
    show_default=True,
    metavar="DIR",
    help="Where events and positions are kept.",
)
@click.option("--port-offset", default=0, metavar="N", help="Added to every port of a manifest.")
@click.option("--dry-run", is_flag=True, help="Do everything but the effect: tell what would be.")
@click.option("--watch", is_flag=True, help="Follow the manifests while they are edited.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME.KEY=@FILE",
    help="A value of a Secret: @FILE, or the value itself. May be repeated.",
)
@click.option(
    "--config",
    "configs",
    multiple=True,
    metavar="NAME.KEY=@FILE",
    help="A value of a ConfigMap, likewise.",
)
@click.option(
    "--kubeconfig",
    default="",
    type=click.Path(),
    metavar="FILE",
    help="Cluster that is watched and acted on; else KUBECONFIG, else ~/.kube/config.",
)
@click.option(
    "--nats-server",
    metavar="PROGRAM",
    help="The nats-server to start, 2.10 or newer; else that on PATH, else the built-in.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option("-v", "--verbose", is_flag=True, help="Show processes and their metrics ports.")
def command(  # noqa: PLR0913, PLR0917 -- one for each option
    paths: tuple[str, ...],
    bus: str,
    folder: Path,
    port_offset: int,
    dry_run: bool,
    watch: bool,
    secrets: tuple[str, ...],
    configs: tuple[str, ...],
    kubeconfig: str,
    nats_server: str | None,
    log_format: str,
    log_level: str,
    verbose: bool,
) -> None:
    """Run a folder of manifests on this machine.

    Takes EventBus, EventSource, Sensor, Secret and ConfigMap manifests from files, directories
    (read recursively) and `-` for standard input. Starts a NATS server that keeps its events in
    the state folder, and one process for each EventSource and Sensor, all on 127.0.0.1.

    With --dry-run events are taken, decided and rendered, but no action has an effect: the log says
    what would be done. It keeps its events apart; on a server of --bus it reads beside the Sensors
    that are real, and starts no event sources.

    Ctrl-C finishes what is in flight and stops everything; a second one stops at once. Where a pipe
    has nobody any more who reads the output, everything stops as after one Ctrl-C.

    \b
    Examples:
      tocsin run examples/quickstart
      tocsin run manifests/ --watch --secret hub.token=@token.txt
      tocsin run manifests/ --bus nats://127.0.0.1:4222
      tocsin run manifests/ --dry-run
      tocsin run examples/auto-ingress --kubeconfig ~/.kube/config
    """  # noqa: D301 -- \b is click's mark for a paragraph that is not wrapped
    from tocsin import spare
    from tocsin.console import Console
    from tocsin.local import Local, Options

    configure_logging(log_format, log_level if verbose else "warn")
    if kubeconfig:  # its processes look there
        if not Path(kubeconfig).is_file():
            raise ConfigError(f"reading kubeconfig {kubeconfig}: there is no such file")
        os.environ["KUBECONFIG"] = str(Path(kubeconfig).absolute())
    os.environ[nearby.VARIABLE] = str(port_offset)
    options = Options(
        paths=paths,
        bus=bus,
        state=folder,
        port_offset=port_offset,
        log_format=log_format,
        log_level=log_level,
        dry_run=dry_run,
        watch=watch,
        secrets=secrets,
        config_maps=configs,
        nats_server=nats_server,
    )
    spares = spare.fork()
    try:
        local = Local(options, Console(log_format, verbose=verbose), spares)
        asyncio.run(_until_stopped(local))
    finally:
        spares.end()


async def _until_stopped(local: "Local") -> None:
    """Run, and turn the first signal into an orderly stop, the second into a prompt one."""
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if stopping:
            local.kill()
            os._exit(_INTERRUPTED)
        stopping = True
        main.cancel()

    def stop_unread() -> None:
        if not stopping:  # by a Ctrl-C, of which the reader went away as well
            stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        with output.stopping(partial(loop.call_soon_threadsafe, stop_unread)):
            await local.run()
    except asyncio.CancelledError:
        if not stopping:
            raise
        logging.getLogger(__name__).debug("stopped")
        sys.stdout.flush()
