"""What a Sensor is once it is compiled: its triggers, its dependencies, and how they are found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from delivery.action import Action
from delivery.policy import RateLimit
from eventbus.bus import Topic
from sensor.conditions import Conditions
from sensor.dependencies import ANY, PlannedDependency
from sensor.gather import ROOM, Gather
from sensor.keys import Key, claim_of
from sensor.resets import Resets
from sensor.spec import Policy, SensorSpec
from sensor.trigger import Events, Render, Trigger
from sensor.when import Declines
from spine.model import Problem
from spine.runtime import Backoff, seconds

if TYPE_CHECKING:
    from sensor.refusing import Known

_KNOWN_TOPICS = 4096
"""Names of events for which it is remembered what wildcards make of them."""


@dataclass(frozen=True, slots=True)
class PlannedTrigger:
    """A compiled trigger."""

    name: str
    sensor: str
    trigger: Trigger
    """Its configuration as it is written; `open` gives its sender."""
    conditions: Conditions
    retry: Backoff | None
    """What `retryStrategy` says; None where there is none."""
    rate_limit: RateLimit | None
    at_least_once: bool | None
    policy: Policy | None
    fallback: "PlannedTrigger | None"
    """What `dlqTrigger` says."""
    content: Render
    """Makes the content of its actions."""
    declines: Declines | None = None
    """What `if` says: why a firing is not acted on."""
    order: Key | None = None
    """What `orderBy` says: actions of equal texts are done one after another."""
    claim: Key | None = None
    """What `idempotencyKey` says: of actions of equal texts only the first is done."""
    claimed_for: float = 0.0
    """Seconds for which that is remembered."""
    max_in_flight: int | None = None
    """What `maxInFlight` says."""
    max_active: int | None = None
    """What `maxActive` says."""
    gather: Gather | None = None
    """What `debounce` or `batch` says: events are held together before it acts."""
    resets: Resets | None = None
    """When `conditionsReset` makes half-met conditions forgotten."""

    @property
    def kind(self) -> str:
        """Key of its kind in YAML."""
        return self.trigger.kind

    @property
    def stateful(self) -> bool:
        """Whether it waits for several events; its actions are stored before they are tried."""
        return self.gather is not None or self.conditions.stateful

    def render(self, events: Events, key: str, at: dict[str, int] | None = None) -> Action:
        """Return the action of a firing; `at` says where its events are. Raises ParameterError."""
        ids, newest = {}, None
        for name, event in events.items():
            ids[name] = event.id
            if event.time is not None:
                moment = event.time.timestamp()
                newest = moment if newest is None or moment > newest else newest
        return Action(
            key=key,
            sensor=self.sensor,
            trigger=self.name,
            kind=self.trigger.kind,
            content=self.content(events),
            events=ids,
            at=at or {},
            event_time=newest or 0.0,
            order="" if self.order is None else self.order(events),
            claim="" if self.claim is None else claim_of(self.claim(events)),
            claimed_for=self.claimed_for,
        )


@dataclass(slots=True)
class Plan:
    """A compiled Sensor."""

    name: str
    namespace: str
    spec: SensorSpec
    dependencies: Mapping[str, PlannedDependency]
    """Those that a trigger waits for, in the order of the Sensor."""
    triggers: Mapping[str, PlannedTrigger]
    safe: bool
    """Whether all programs are known to end; else it is evaluated under guard."""
    warnings: tuple[Problem, ...]
    """What works, but hardly as it is meant; paths are within the spec."""
    fingerprint: str
    """Changes when anything of the Sensor is edited."""
    topics: tuple[Topic, ...]
    """Events to read, none twice. Wildcards that cross, such as `*.b` and `a.*`, make it all."""
    room: int = ROOM
    """Bytes of data that one batch may have: an action is stored on the bus. Set by the runner."""
    compares_content: bool = False
    """Whether a filter looks at the content type of events."""
    known: "dict[tuple[str, str, str, str], Known]" = field(default_factory=dict)
    """Source, name, type and content type, if it is compared -> what they say (`refusing`)."""
    verdicts: int = 0
    """How many are kept in it."""
    _known: dict[tuple[str, str], tuple[PlannedDependency, ...]] = field(default_factory=dict)

    def dependencies_of(self, source: str, name: str) -> tuple[PlannedDependency, ...]:
        """Return the dependencies that mean events of a source and name; none: nobody does."""
        found = self._known.get((source, name))
        if found is None:
            found = tuple(d for d in self.dependencies.values() if d.takes(source, name))
            if len(self._known) >= _KNOWN_TOPICS:
                self._known.clear()
            self._known[source, name] = found
        return found

    def expects(self, source: str, name: str) -> bool:
        """Return whether events of a source and name are among those that are read."""
        return any(covers(topic, Topic(source, name)) for topic in self.topics)

    @property
    def ordered(self) -> bool:
        """Whether a trigger has an `orderBy`: then one replica at a time takes events."""
        return any(trigger.order is not None for trigger in self.triggers.values())

    def start(self, now: float) -> str | float:
        """Return where a new durable begins: `new`, `all`, or a moment in unix seconds."""
        text = self.spec.start_from
        return text if text in {"new", "all"} else now - seconds(text)


def covers(wide: Topic, narrow: Topic) -> bool:
    """Return whether a topic means all that another one means."""
    return wide.source in {ANY, narrow.source} and wide.name in {ANY, narrow.name}
