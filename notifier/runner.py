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

from delivery.action import Action, Sender
from delivery.dead import dead_letter, of_event, redriven
from delivery.lane import Route, pending_reader
from delivery.patience import surely
from delivery.queue import Dispatcher
from delivery.subjects import REDRIVE, lane_of, name_of, notifier_owner
from eventbus.bus import ACTIONS, Bus, Message
from eventbus.kept import Kept, key_token
from notifier.configurations import Configurations
from notifier.digests import Digests, together
from notifier.evaluate import Seen
from notifier.handling import Handler
from notifier.keeping import Records
from notifier.metrics import NotifierMetrics
from notifier.plan import Plan
from notifier.posting import Post
from notifier.reading import EVERY, Given, Source
from notifier.sending import Limiter, Outlet, Sent
from notifier.spec import NotifierSpec
from notifier.watching import Watching
from spine.errors import EventError
from spine.kube import Kube, open_kube
from spine.runtime import Env, Shared, cancelled_at_exit
from spine.secrets import Secrets

log = logging.getLogger(__name__)

IN_FLIGHT = 16
"""Messages that one service is given at a time."""
GRACE = 20.0
"""Seconds for messages under way to finish; a pod has 30 before it is killed."""
REDRIVES = 8
"""Retried dead letters at a time."""
TOLD = 5_000
"""Problems of objects that are kept in mind, so that each is told once."""

Instead = Callable[[Records, Configurations], Sender]
"""Makes what is used instead of sending, such as for a dry run."""


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

    @property
    def problem(self) -> str:
        """Why nobody is told just now; empty when people are. For readiness."""
        return self._problem or ("" if self._watching is None else self._watching.problem)

    async def run(self) -> None:
        """Run until cancelled; then finish what is being sent."""
        owner = notifier_owner(self.name)
        async with Shared() as shared:
            kube: Kube = await shared.get("kube", open_kube)
            records = Records(self.bus, self.name)
            await surely(records.load)
            configurations = self._configurations(kube, shared)
            configurations.adopting = records.fresh and self.spec.on_start == "adopt"
            await configurations.read()
            digests = Digests(self.bus, owner, self.clock)
            outlet = Outlet(configurations, records, Limiter(), digests, together, self._heard)
            ways = _Ways(self.bus, owner, self.metrics, self.instead or outlet, self.clock)
            ways.dispatcher.on_buried(outlet.buried)
            await surely(ways.find)
            post = Post(owner, ways.deliver, digests, self.clock)
            handler = Handler(records, post, self.metrics, self.clock)
            handler.journal = self._journal
            self._watching = Watching(kube, self.spec, configurations, records, handler)
            working = asyncio.create_task(
                self._work(configurations, ways, handler), name="notifier"
            )
            async with cancelled_at_exit(working):
                try:
                    await asyncio.wait({working})
                    working.result()
                finally:
                    self._problem = "is stopping"
                    if not await ways.dispatcher.drain(self.grace):
                        log.warning("not all was sent within %g s: it waits on the bus", self.grace)
            await configurations.close()

    def _configurations(self, kube: Kube, shared: Shared) -> Configurations:
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
        kept = f"service.{key_token(self.name)}.{key_token(place)}.{key_token(name)}"
        return Env(
            object=self.name,
            name=name,
            namespace=place or self.namespace,
            secrets=self.secrets,
            shared=shared,
            memory=Kept(self.bus, kept),
        )

    async def _work(self, configurations: Configurations, ways: "_Ways", handler: Handler) -> None:
        assert self._watching is not None
        async with asyncio.TaskGroup() as group:
            group.create_task(ways.run(), name="messages")
            group.create_task(handler.run(), name="objects")
            group.create_task(configurations.keep(self.every), name="configuration")
            group.create_task(self._watching.run(), name="watches")
            self._problem = ""

    # ------------------------------------------------------------------------ what is said

    def _heard(self, sent: Sent, taken: bool) -> None:
        self.metrics.delivered(sent.trigger, sent.service, taken)

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
            log.warning("%s", text, extra={"object": f"{plan.watch.kind} {where}"})


class _Ways:
    """The ways of messages to services: one for each, so that none holds up another."""

    def __init__(
        self,
        bus: Bus,
        owner: str,
        metrics: NotifierMetrics,
        sender: Sender,
        clock: Callable[[], float],
    ) -> None:
        self._bus, self._owner = bus, owner
        self._route = Route(sender, stored=True, in_flight=IN_FLIGHT)
        self.dispatcher = Dispatcher(bus, owner, {}, metrics, clock=clock)

    async def find(self) -> None:
        """Take up the ways on which something waits. Raises BusError."""
        for info in await self._bus.readers(ACTIONS):
            lane = lane_of(info.durable, self._owner)
            if lane is not None and lane != REDRIVE:
                self.dispatcher.add(name_of(lane), self._route)

    async def deliver(self, action: Action) -> None:
        """Store a message on the bus. Waits for it."""
        self.dispatcher.add(action.trigger, self._route)
        await surely(lambda: self.dispatcher.store(action))

    async def run(self) -> None:
        """Send what is stored, until cancelled."""
        again = pending_reader(self._owner, REDRIVE)
        retried = partial(self._bus.consume, again, self._redrive, in_flight=REDRIVES)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.dispatcher.run(), name="pending messages")
            group.create_task(surely(retried), name="retried messages")

    async def _redrive(self, message: Message) -> None:
        """Begin anew with a message that was a dead letter."""
        try:
            letter = redriven(message)
            if letter.action is not None:
                self.dispatcher.add(letter.action.trigger, self._route)
                await self.dispatcher.revive(letter.lane, letter.action, message.sequence)
        except EventError as exc:
            name = self._owner.partition("/")[2]
            letter = of_event(exc, component="notifier", object=name, place="", message=message)
            await dead_letter(self._bus, letter)
