"""Opening a bus from its configuration."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from eventbus.config import (
    BusConfig,
    JetStreamConfig,
    credentials,
    servers,
    tls_context,
    without_user,
)
from eventbus.settings import StreamSettings
from spine.secrets import Secrets

if TYPE_CHECKING:
    from eventbus.jetstream import JetStreamBus, Options

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_bus(
    config: BusConfig,
    secrets: Secrets,
    *,
    provision: StreamSettings | None = None,
    give_up_after: float | None = None,
    name: str = "tocsin",
) -> AsyncIterator["JetStreamBus"]:
    """Connect to a bus and yield it; see `eventbus.bus.Bus`.

    Missing streams are created, with the limits of `streamConfig` or ours; streams that exist are
    changed only where `provision` says to what. Waits for the server for ever, with a log line for
    each attempt, or raises BusError after `give_up_after` seconds. Raises ConfigError for what no
    waiting mends. `name` shows in the server's list of connections.
    """
    from eventbus.jetstream import connect

    jetstream = config.require_jetstream()
    options_of(jetstream, secrets, name)  # what is wrong with it is told now, not while connecting
    settings = provision or config.settings()
    async with connect(
        lambda: options_of(jetstream, secrets, name),
        settings=settings,
        provision=provision is not None,
        give_up_after=give_up_after,
    ) as bus:
        yield bus


def options_of(config: JetStreamConfig, secrets: Secrets, name: str) -> "Options":
    """Read credentials and certificates for one connection. Raises ConfigError."""
    from eventbus.jetstream import Options

    context, demanded = tls_context(config, secrets)
    return Options(
        servers=tuple(without_user(one) for one in servers(config.url)),
        name=name,
        tls=context,
        tls_demanded=demanded,
        **credentials(config, secrets),
    )
