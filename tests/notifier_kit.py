"""A notifier without a cluster: a configuration, objects as they change, and who would be told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import orjson
import yaml

from delivery.patience import surely
from notifier import config
from notifier.current import aliases
from notifier.desk import Desk
from notifier.evaluate import Decision, Seen, evaluate
from notifier.health import HealthRules
from notifier.metrics import NotifierMetrics
from notifier.plan import Plan
from notifier.sending import Clients
from notifier.spec import NotifierSpec, Watch
from notifier.state import ObjectState, decode, encode
from services.service import Client, Message, Receipt, Service
from spine.kube.watch import Item, Meta
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

START = 1_700_000_000.0

CONFIG = """
service.webhook.hook: |
  url: http://hook.test
service.webhook.other: |
  url: http://other.test
trigger.on-failed: |
  - when: pod.status.phase == 'Failed'
    send: [failed]
template.failed: |
  message: "{{ .pod.metadata.name }} failed{{ if .resolved }} no more{{ end }}"
"""


def configuration(text: str, secret: dict[str, str] | None = None, kind: str = "Pod") -> Any:
    """Return a configuration that was read without an error."""
    spec = spec_of(kind)
    found = config.load(
        yaml.safe_load(text) or {},
        secret or {},
        name="cm",
        namespace="default",
        variables=aliases(spec),
    )
    errors = [str(problem) for problem in found.problems if problem.severity == "error"]
    assert not errors, errors
    return found


def spec_of(kind: str = "Pod", **more: Any) -> NotifierSpec:
    """Return a Notifier that watches one kind."""
    return NotifierSpec(watches=[Watch(api_version="v1", kind=kind)], **more)


def plan_of(text: str, secret: dict[str, str] | None = None, **more: Any) -> Plan:
    """Return a configuration, compiled for Pods."""
    return Plan(
        configuration=configuration(text, secret),
        watch=Watch(api_version="v1", kind="Pod"),
        rules=HealthRules.of_config({}, generic=True),
        prefix="notifications.argoproj.io",
        version=text,
        **more,
    )


def item(
    phase: str = "Running",
    *,
    version: int = 1,
    name: str = "web",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
    **status: Any,
) -> Item:
    """Return a Pod as it is watched."""
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "annotations": annotations or {},
        "labels": labels or {},
    }
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"restartPolicy": "Always"},
        "status": {"phase": phase, **status},
    }
    meta = Meta(
        uid=metadata["uid"],
        name=name,
        namespace="default",
        resource_version=str(version),
        labels=labels,
        annotations=annotations,
    )
    return Item(meta, orjson.dumps(body))


SUBSCRIBED = {"notifications.argoproj.io/subscribe.on-failed.hook": ""}


@dataclass
class Story:
    """One Pod that changes, and what its changes lead to."""

    plan: Plan
    annotations: dict[str, str] = field(default_factory=lambda: dict(SUBSCRIBED))
    labels: dict[str, str] = field(default_factory=dict)
    state: ObjectState = field(default_factory=ObjectState)
    now: float = START
    version: int = 0
    decision: Decision = field(default_factory=Decision)
    confirms: bool = True
    """Whether every message is taken by its service at once."""

    def look(self, phase: str = "Running", *, later: float = 1.0, **more: Any) -> list[str]:
        """Let time pass, change the Pod, and return the messages as `service:recipient text`."""
        self.now += later
        self.version += 1
        return self.again(phase, **more)

    def again(self, phase: str = "Running", *, type: Any = "MODIFIED", **more: Any) -> list[str]:
        """Evaluate without a change."""
        found = item(
            phase,
            version=self.version,
            annotations=self.annotations,
            labels=self.labels,
            **more,
        )
        self.state = decode(encode(self.state))  # as after a restart
        seen = Seen(type, found.meta, orjson.loads(found.raw))
        self.decision = evaluate(self.plan, seen, self.state, self.now)
        for sent in self.decision.notifications:
            phase = self.state.named(sent.trigger, sent.condition)
            assert phase is not None
            told = phase.found(sent.service, sent.recipient, sent.once)
            if self.confirms and told is not None and not sent.resolved:
                told.stage, told.confirmed = "sent", sent.key
        return [
            f"{sent.service}:{sent.recipient} {sent.message.text}".strip()
            for sent in self.decision.notifications
        ]


# ---------------------------------------------------------------------------- with a bus


class Recorder(Service):
    """A service that does as it is told, and notes what it took."""

    kind: ClassVar[str] = "webhook"
    recipients: ClassVar[str] = "anybody"
    example: ClassVar[str] = ""
    name: str

    def open(self, env: Any) -> Any:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Client]:
            yield BOOKS[self.name]

        return opened()


@dataclass
class Book(Client):
    """What one service took."""

    taken: list[tuple[str, str, str]] = field(default_factory=list)
    """Recipient, text, key."""
    tries: int = 0
    answer: Callable[[str, int], Any] = lambda _recipient, _try: None
    """What becomes of an attempt, by recipient and number: it may raise, or wait."""

    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        self.tries += 1
        answered = self.answer(recipient, self.tries)
        if answered is not None:
            await answered
        self.taken.append((recipient, message.text, key))
        return Receipt("200 OK")


BOOKS: dict[str, Book] = {}


class OnePlace:
    """The only configuration there is."""

    def __init__(self, configuration: Any, bus: Any) -> None:
        env = Env(
            object="n", name="s", namespace="default", secrets=GivenSecrets(), shared=Shared()
        )
        self._clients = Clients(configuration, lambda _: env)

    async def clients(self, place: str) -> Clients:
        return self._clients

    async def close(self) -> None:
        await self._clients.close()


def recording(plan: Plan, **books: Book) -> Plan:
    """Return a plan whose services are books, by name."""
    BOOKS.update(books)
    services = {name: Recorder(name=name) for name in books}
    changed = replace(plan.configuration, services=services)
    return replace(plan, configuration=changed)


@asynccontextmanager
async def at_work(bus: Any, plan: Plan, clock: Callable[[], float], name: str = "n") -> Any:
    """Yield a desk that works on a bus."""
    place = OnePlace(plan.configuration, bus)
    desk = Desk(name, bus, place, NotifierMetrics("default", name), clock=clock)
    await surely(desk.open)
    running = asyncio.create_task(desk.run())
    await asyncio.sleep(0)
    try:
        yield desk
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await place.close()


async def shown(desk: Desk, plan: Plan, one: Item, type: Any = "MODIFIED") -> None:
    """Hand a change to a desk and wait until it is stored."""
    await desk.handler.take(plan, desk.records.key("Pod", one.meta.uid), type, one)
    await desk.handler.idle()
