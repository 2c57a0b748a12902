"""What a ConfigMap and a Secret of the notifications format come to.

Everything here is compiled and frozen: triggers and templates run, services are models with their
secrets, windows are minutes and zones. What is wrong is a Problem of one key; the rest works.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from typing_extensions import override

from notifier.selectors import ALL, Selector
from notifier.templates import Template
from notifier.triggers import Trigger
from services.hiding import Hiding
from services.service import Service
from spine.manifest import Severity
from spine.model import Path, dotted

GROUP = "group"
"""The service in subscriptions that stands for a list of recipients."""


class Destination(NamedTuple):
    """Where a message goes."""

    service: str
    """Name of the service."""
    recipient: str = ""
    """Who, in the service's own words; a template still."""

    @override
    def __str__(self) -> str:
        return f"{self.service}:{self.recipient}" if self.recipient else self.service


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with one key of the configuration."""

    key: str
    """Key of the ConfigMap, such as `trigger.on-down`; of the Secret for `notifiers.yaml`."""
    message: str
    """What, why, and what to do; no secret."""
    severity: Severity = "error"
    """An error disables the key."""
    path: Path = ()
    """Where in the value."""
    line: int = 1
    """Line within the value, from 1."""
    column: int = 1
    """Column in that line, from 1."""
    secret: bool = False
    """Whether the key is one of the Secret."""

    @override
    def __str__(self) -> str:
        where = f"{self.key}: {dotted(self.path)}" if self.path else self.key
        kind = "" if self.severity == "error" else f"{self.severity}: "
        return f"{where}: {kind}{self.message}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription of every object with certain labels."""

    destinations: tuple[Destination, ...]
    """Who is told."""
    triggers: tuple[str, ...]
    """Of which triggers; the default ones are filled in already."""
    selector: Selector = ALL
    """Which objects."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which messages something is about; patterns with `*`, none of a kind is any."""

    services: tuple[str, ...] = ()
    """Names of services."""
    recipients: tuple[str, ...] = ()
    """Recipients."""
    triggers: tuple[str, ...] = ()
    """Names of triggers."""

    def covers(self, service: str, recipient: str, trigger: str) -> bool:
        """Return whether a message is meant."""
        return (
            _any(self.services, service)
            and _any(self.recipients, recipient)
            and _any(self.triggers, trigger)
        )


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


_EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Quiet(Scope):
    """Hours in which nobody is told."""

    start: int = 0
    """Minute of the day at which it begins."""
    end: int = 0
    """Minute of the day at which it is over; not after `start`: of the next day."""
    days: frozenset[int] = _EVERY_DAY
    """Days on which it begins, Monday is 0."""
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """Whose clock counts."""
    then: Literal["hold", "drop"] = "hold"
    """What becomes of a message: it waits for the end, or nobody hears of it."""

    def ends(self, now: datetime) -> datetime | None:
        """Return when the quiet hours are over that `now`, with a zone, is in; None: in none."""
        local = now.astimezone(self.timezone)
        for back in (0, 1):
            day = (local - timedelta(days=back)).date()
            if day.weekday() not in self.days:
                continue
            midnight = datetime(day.year, day.month, day.day, tzinfo=self.timezone)
            later = self.end <= self.start
            begins = midnight.replace(hour=self.start // 60, minute=self.start % 60)
            over = (midnight + timedelta(days=later)).replace(
                hour=self.end // 60, minute=self.end % 60
            )
            if begins.timestamp() <= now.timestamp() < over.timestamp():
                return over
        return None


@dataclass(frozen=True, slots=True)
class Digest(Scope):
    """Messages to one destination that become one."""

    window: float = 0.0
    """Seconds from the first message on."""
    template: str = ""
    """Name of the template, which gets `.messages`; empty: one line for each."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many messages, and how many at once after a rest."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast one service is used."""

    rate: Rate | None = None
    """For all messages together; None: without a limit."""
    per_recipient: Rate | None = None
    """For each recipient."""


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Configuration:
    """A ConfigMap and its Secret, compiled."""

    name: str
    """Name of the ConfigMap."""
    namespace: str
    triggers: Mapping[str, Trigger] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict, repr=False)
    """By name, which is the type where the key has no name."""
    default_triggers: tuple[str, ...] = ()
    """For subscriptions that name no trigger."""
    default_triggers_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The same by service name; wins for annotations only."""
    subscriptions: tuple[Subscription, ...] = ()
    context: Mapping[str, str] = field(default_factory=dict)
    """What `.context` is in templates."""
    directory: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    """User -> recipient, or type or name of a service -> recipient."""
    groups: Mapping[str, tuple[Destination, ...]] = field(default_factory=dict)
    """Name -> who is in it; a member may be a group, as `Destination("group", name)`."""
    quiet: tuple[Quiet, ...] = ()
    digests: tuple[Digest, ...] = ()
    limits: Mapping[str, Limits] = field(default_factory=dict)
    """By service name; `*` is for those that are not named."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The Secret, for `.secrets` in templates."""
    problems: tuple[Problem, ...] = ()
    broken: frozenset[str] = frozenset()
    """Keys of triggers, templates and services that are there and disabled by an error, such as
    `service.slack`; a service by its name: `service.slack` for `service.webhook.slack`, too."""
    private: tuple[str, ...] = field(default=(), repr=False)
    """Credentials that stand in the ConfigMap itself; hidden as those of the Secret are."""
    hiding: Hiding = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hiding", Hiding([*self.secrets.values(), *self.private]))

    def limits_of(self, service: str) -> Limits:
        """Return the limits of a service."""
        return self.limits.get(service) or self.limits.get("*", UNLIMITED)

    def redact(self, text: str) -> str:
        """Replace every secret of at least 4 letters, however it is quoted, by `***`."""
        return self.hiding(text)
