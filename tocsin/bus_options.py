"""How the verbs that look at a bus find it: of a run that is going on, or by address."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from eventbus.bus import Bus
from spine.errors import BusError, ConfigError
from tocsin import state

F = TypeVar("F", bound=Callable[..., Any])

PATIENCE = 5.0
"""Seconds to wait for the bus."""

_OPTIONS = (
    click.option("--state", "folder", default=state.DEFAULT, type=click.Path(path_type=Path),
                 show_default=True, metavar="DIR", help="State folder of the tocsin run."),
    click.option("--bus", default="", metavar="URL", envvar="TOCSIN_BUS",
                 help="A NATS server at nats://HOST:PORT instead."),
    click.option("--bus-name", default="", metavar="NAME",
                 help="EventBus, where the run has several."),
)  # fmt: skip


def bus_options(function: F) -> F:
    """Give a command the options that name a bus."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def running(folder: Path, bus: str) -> dict[str, Any]:
    """Return what `tocsin run` says of itself; empty where an address is given."""
    return {} if bus else state.read_run(folder)


@asynccontextmanager
async def opened(run: dict[str, Any], bus: str, name: str) -> AsyncIterator[Bus]:
    """Yield the bus. Raises ConfigError where it is not plain which, BusError if it is away."""
    from eventbus.config import BusConfig
    from eventbus.opening import open_bus
    from spine.compat import PathSecrets
    from spine.model import load
    from spine.secrets import MountedSecrets
    from tocsin.away import plain, told_once

    raw = {"jetstream": {"url": bus}} if bus else _chosen(run["buses"], name)
    config = load(BusConfig, raw, what="event bus")
    secrets = PathSecrets(MountedSecrets())
    bus_open = open_bus(config, secrets, give_up_after=PATIENCE, name="tocsin-cli")
    with told_once():
        async with AsyncExitStack() as stack:
            try:
                found = await stack.enter_async_context(bus_open)
            except BusError as exc:
                raise BusError(plain(exc.message), hint=_way_out(exc, bus)) from exc
            yield found


def _way_out(exc: BusError, bus: str) -> str:
    """Return what to do where the bus does not answer."""
    more = "give its address with --bus or TOCSIN_BUS" if bus else "see what tocsin run says of it"
    return f"{exc.hint} {more}" if exc.hint.endswith("?") else exc.hint or more


def _chosen(buses: list[dict[str, Any]], name: str) -> Any:
    found = [b for b in buses if not name or b["name"] == name]
    names = ", ".join(dict.fromkeys(b["name"] for b in buses))
    if not found:
        raise ConfigError(f"choosing EventBus {name!r}: the run has {names}")
    configs = [b["config"] for b in found]
    if any(config != configs[0] for config in configs):
        raise ConfigError(f"choosing an EventBus: the run has {names}", hint="give --bus-name")
    return configs[0]
