"""Gives Sensors their places on the bus before what they wait for is sent.

A Sensor begins with what comes after its durable was made. Where EventSource and Sensor are
created together, the pod of the one may send before the pod of the other has started; so the
controller makes first durables itself. It is only ever the first: an edit is the affair of the
pods, which step back for each other in their own time.

The bus may be out of the controller's reach, behind a network policy for example. Then nobody
waits for long, a Kubernetes Event says so, and each Sensor makes its place when it starts.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from controller.adoption import asked, take_over
from controller.cluster import Cluster
from controller.objects import Checked
from controller.reconciler import Manifest
from controller.workload.limits import takes_keys
from controller.workload.references import references
from controller.workload.values import texts
from eventbus.config import BusConfig, servers, shown
from eventbus.opening import open_bus
from sensor.globs import fits
from sensor.plan import compile_plan
from sensor.start import durable_of, prepare
from spine.errors import ConfigError, Fault
from spine.http.egress import check_host
from spine.manifest import ARGO
from spine.model import load
from spine.secrets import GivenSecrets

PATIENCE = 2.0
"""Seconds to wait for a bus."""
AGAIN = 60.0
"""Seconds before a bus that did not answer is tried again."""


@dataclass(frozen=True, slots=True)
class First:
    """A Sensor that has no pods yet."""

    checked: Checked
    generation: int
    adopt: bool = False
    """Whether it begins where Argo Events stopped."""


@dataclass(eq=False)
class Durables:
    """Makes first durables, one bus at a time."""

    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    _locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary
    )
    _silent: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    """Until when buses are left alone that did not answer, and what went wrong."""

    async def prepare(self, cluster: Cluster, bus: Manifest, firsts: Iterable[First]) -> str:
        """Make the durables that are not there; return why that was not possible, if it was not."""
        todo = list(firsts)
        if not todo:
            return ""
        key = todo[0].checked.bus
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            until, why = self._silent.pop(key, (0.0, ""))
            if self.clock() < until:
                self._silent[key] = until, why
                return why
            try:
                await self._make(cluster, key[0], bus, todo)
            except Fault as exc:
                if any(first.adopt for first in todo):
                    return f"what Argo Events left is not taken over yet: {exc}"
                why = f"its durable is made by its pods, as the controller has no access: {exc}"
                self._silent[key] = self.clock() + AGAIN, why
                return why
        return ""

    async def _make(
        self, cluster: Cluster, namespace: str, bus: Manifest, todo: list[First]
    ) -> None:
        config = load(BusConfig, bus, what="event bus", lenient=True)
        secrets = await secrets_of(cluster, namespace, config)
        opening = open_bus(config, secrets, give_up_after=PATIENCE, name="tocsin-controller")
        async with opening as connected:
            for first in sorted(todo, key=lambda one: one.adopt):  # those may have to wait
                found = first.checked
                plan = await asyncio.to_thread(
                    compile_plan, found.object.name, namespace, found.spec
                )
                if first.adopt:
                    await take_over(connected, plan, first.generation, first_only=True)
                if await durable_of(plan, connected) is None:
                    await prepare(plan, connected, first.generation)


def adopts(cluster: Cluster, sensor: Checked) -> bool:
    """Return whether an annotation of a Sensor or its bus says that it takes over."""
    return asked(sensor.object.raw, cluster.get(ARGO, "EventBus", *sensor.bus))


async def secrets_of(cluster: Cluster, namespace: str, config: BusConfig) -> GivenSecrets:
    """Return the Secrets that are needed to reach a bus.

    Raises KubeError, and ConfigError for a bus that the controller must not connect to.
    """
    check_bus(config)
    values: dict[tuple[str, str], str] = {}
    for ref in references([config]):
        found = await cluster.read("v1", ref.kind, namespace, ref.name)
        for key, text in texts(found).items() if found is not None else ():
            values[ref.name, key] = text
    return GivenSecrets(values)


def check_bus(config: BusConfig) -> None:
    """Raise ConfigError for a bus that is for its pods alone.

    Who may write an EventBus must not get to see files of the controller, such as the token of its
    account, by naming one as a credential; nor may it be sent to addresses that pods must not ask.
    """
    jetstream = config.require_jetstream()
    for file in (jetstream.token_file, jetstream.creds_file, jetstream.nkey_file):
        if file:
            raise ConfigError(
                f"reading {file} for the bus: it is a file of the pods, not of the controller",
                hint="with accessSecret the controller can connect, too",
            )
    if secret := takes_keys(one.name for one in references([config])):
        raise ConfigError(f"reading Secret {secret!r} for the bus: it is for its servers only")
    for url in servers(jetstream.url):
        check_host(urlsplit(url).hostname or "", f"connecting to {shown(url)}")


def reads_from(sensor: Checked, source: str) -> bool:
    """Return whether a Sensor waits for events of an EventSource."""
    return any(fits(d.event_source_name, source) for d in sensor.spec.dependencies)
