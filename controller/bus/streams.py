"""Brings the streams of an installed bus to the limits that its object says.

Processes create streams and never change them, so an edit of `streamConfig` is the controller's to
carry out. A bus may be out of its reach; then nothing but the status says so.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.bus.install import Install
from controller.bus.material import CONTROLLER, Material
from controller.bus.names import Names
from eventbus.config import BusConfig, BusTls, JetStreamConfig
from eventbus.opening import open_bus
from eventbus.settings import StreamSettings
from spine.errors import Fault
from spine.secrets import GivenSecrets, SecretRef

PATIENCE = 2.0
"""Seconds to wait for a bus."""
LONGEST = 20.0
"""Seconds that all of it may take."""
AGAIN = 60.0
"""Seconds before a bus that did not answer is tried again."""


@dataclass(eq=False)
class Provisioner:
    """Remembers what was carried out, by the uid of the bus."""

    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    _done: dict[str, StreamSettings] = field(default_factory=dict)
    _silent: dict[str, tuple[float, str]] = field(default_factory=dict)

    async def provision(self, uid: str, names: Names, wanted: Install, found: Material) -> str:
        """Change the streams where that is to be; return why it was not possible."""
        if self._done.get(uid) == wanted.stream:
            return ""
        until, why = self._silent.get(uid, (0.0, ""))
        if why and self.clock() < until:
            return why
        secrets = GivenSecrets(
            {
                (names.root, CONTROLLER): found.root[CONTROLLER],
                (names.access, "ca-cert"): found.tls["ca-cert"],
            }
        )
        opening = open_bus(
            access(names), secrets, provision=wanted.stream, give_up_after=PATIENCE,
            name="tocsin-controller",
        )  # fmt: skip
        try:
            async with asyncio.timeout(LONGEST), opening:
                self._done[uid] = wanted.stream
        except (Fault, TimeoutError) as exc:
            why = f"the streams are as they were: {exc}"
            self._silent[uid] = self.clock() + AGAIN, why
            return why
        self._silent.pop(uid, None)
        return ""

    def forget(self, uid: str) -> None:
        """Forget a bus that is gone."""
        self._done.pop(uid, None)
        self._silent.pop(uid, None)


def access(names: Names) -> BusConfig:
    """Return how the controller itself reaches the bus, with all rights."""
    return BusConfig(
        jetstream=JetStreamConfig(
            url=names.url,
            access_secret=SecretRef(name=names.root, key=CONTROLLER),
            tls=BusTls(ca_cert_secret=SecretRef(name=names.access, key="ca-cert")),
        )
    )
