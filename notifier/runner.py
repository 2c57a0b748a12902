"""Runs a Notifier: watches its kinds, and tells people.

Several replicas watch the same: whichever stores a transition first has it told, and all of them
share the sending. A configuration that was edited is taken without a restart; then every object is
listed and evaluated once more, so that a mended condition is noticed at once.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from delivery.action import Sender
from delivery.patience import surely
from eventbus.bus import Bus
from eventbus.kept import Kept, key_token
from notifier.configurations import Configurations
from notifier.desk import Desk
from notifier.evaluate import Seen
from notifier.keeping import name_on_bus
from notifier.marks import Marks
from notifier.metrics import NotifierMetrics
from notifier.plan import Plan
from notifier.reading import EVERY, Given, Source
from notifier.repo import Repo
from notifier.repo_server import open_repo_server
from notifier.spec import NotifierSpec
from notifier.watching import Watching
from spine.kube import Kube, open_kube
from spine.runtime import Env, Shared, cancelled_at_exit
from spine.secrets import Secrets
from spine.standing import STARTING, Part

log = logging.getLogger(__name__)

GRACE = 20.0
"""Seconds for messages under way to finish; a pod has 30 before it is killed."""
TOLD = 5_000
"""Problems of objects that are kept in mind, so that each is told once."""


@dataclass(slots=True, eq=False)
class Runner:
    """One replica of a Notifier."""

    name: str
    namespace: str
    spec: NotifierSpec
    bus: Bus
    secrets: Secrets
    metrics: NotifierMetrics
    given: Given = field(default_factory=Given)
    """ConfigMaps and Secrets that the process was handed."""
    grace: float = GRACE
    every: float = EVERY
    """Seconds between looks at the configuration."""
    clock: Callable[[], float] = time.time
    """Unix seconds."""
    instead: Sender | None = None
    """What takes messages instead of the services, for a dry run."""
    _problem: str = field(init=False, default="is starting")
    _said: dict[str, None] = field(init=False, default_factory=dict)
    _watching: Watching | None = field(init=False, default=None)
    _configurations: Configurations | None = field(init=False, default=None)

    @property
    def problem(self) -> str:
        """Why nobody is told just now; empty when people are. For readiness."""
        return self._problem or ("" if self._watching is None else self._watching.problem)

    @property
    def parts(self) -> list[Part]:
        """How each watch stands."""
        if self._watching is None or self._problem:
            why = self._problem
            return [Part(str(watch), False, STARTING, why) for watch in self.spec.watches]
        lacking = self._configurations.lacking if self._configurations is not None else ""
        if lacking:
            return [Part(str(w), False, "NotConfigured", lacking) for w in self.spec.watches]
        return self._watching.parts

    @property
    def notes(self) -> list[str]:
        """What is wrong with the configuration, and services that fail just now."""
        found = self._configurations
        notices = found.notices if found is not None and not found.lacking else ()
        failing = dict(self.metrics.failing).items()
        return [*notices, *(f"service {name}: {why}" for name, why in failing)]

    @property
    def on_bus(self) -> str:
        """Return what it is called on the bus, which Notifiers of other namespaces may share."""
        return name_on_bus(self.namespace, self.name)

    async def run(self) -> None:
        """Run until cancelled; then finish what is being sent."""
        async with Shared() as shared:
            kube: Kube = await shared.get("kube", open_kube)
            configurations = self._configurations = self._configured(kube, shared)
            if self.spec.repo_server:
                address = self.spec.repo_server
                server = await shared.get("repo-server", lambda: open_repo_server(address))
                configurations.repo = Repo(server)
            desk = Desk(
                self.on_bus,
                self.bus,
                configurations,
                self.metrics,
                clock=self.clock,
                instead=self.instead,
            )
            await surely(desk.open)
            if self.spec.write_annotations:
                marks = Marks(kube, desk.records, lambda: configurations.main)
                desk.outlet.mark = marks.write
            desk.handler.journal = self._journal
            configurations.adopting = desk.records.fresh and self.spec.on_start == "adopt"
            if configurations.adopting:
                await surely(desk.records.adopt)
            await configurations.read()
            self._watching = Watching(kube, self.spec, configurations, desk.records, desk.handler)
            working = asyncio.create_task(self._work(configurations, desk), name="notifier")
            async with cancelled_at_exit(working):
                try:
                    await asyncio.wait({working})
                    working.result()
                finally:
                    self._problem = "is stopping"
                    if not await desk.drain(self.grace):
                        log.warning("not all was sent within %g s: it waits on the bus", self.grace)
            await configurations.close()

    def _configured(self, kube: Kube, shared: Shared) -> Configurations:
        spec = self.spec
        names = spec.config_map, spec.secret, spec.health_config_map or spec.config_map
        return Configurations(
            spec=spec,
            namespace=self.namespace,
            source=Source(kube, self.given, names),
            env=partial(self._env, shared),
            metrics=self.metrics,
        )

    def _env(self, shared: Shared, place: str, name: str) -> Env:
        kept = f"service.{key_token(self.on_bus)}.{key_token(place)}.{key_token(name)}"
        return Env(
            object=self.name,
            name=name,
            namespace=place or self.namespace,
            secrets=self.secrets,
            shared=shared,
            memory=Kept(self.bus, kept),
        )

    async def _work(self, configurations: Configurations, desk: Desk) -> None:
        assert self._watching is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(desk.run(), name="desk")
            group.create_task(configurations.keep(self.every), name="configuration")
            group.create_task(self._watching.run(), name="watches")
            self._problem = ""

    # ------------------------------------------------------------------------ what is said

    def _journal(self, plan: Plan, seen: Seen, problems: Iterable[str]) -> None:
        """Say what is wrong with an object's subscriptions or conditions, each once."""
        for problem in problems:
            text = plan.configuration.redact(problem)
            if text in self._said:
                continue
            self._said[text] = None
            if len(self._said) > TOLD:
                del self._said[next(iter(self._said))]
            where = f"{seen.meta.namespace}/{seen.meta.name}".lstrip("/")
            # With self-service a namespace may well mean what only the other configuration has.
            level = logging.DEBUG if self.spec.self_service else logging.WARNING
            log.log(level, "%s", text, extra={"object": f"{plan.watch.kind} {where}"})
