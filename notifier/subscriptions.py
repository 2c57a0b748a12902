"""Subscriptions of one object: who is told, by which trigger.

They come from annotations of the object, in any of their forms, and from the global ones whose
selector its labels match. Pure: the same annotations and labels give the same, whatever stands
beside them (upstream, an annotation that has nothing to do with it could add a destination).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from notifier.config.configuration import Configuration, Destination, Problem
from notifier.config.destinations import of_shape, split
from notifier.config.entry import Entry
from notifier.config.known import Known
from notifier.config.shapes import AnnotationShape
from notifier.config.shaping import Shaping, near
from spine.manifest import Severity
from spine.model import Path

__all__ = [
    "LEGACY",
    "LONGEST_NAME",
    "Destination",
    "Subscribed",
    "problems_of",
    "subscriptions_of",
]

LEGACY = "recipients.argocd-notifications.argoproj.io"
"""What annotations of old end with; a trigger and a dot may stand in front."""
LONGEST_NAME = 63
"""Letters behind the slash that the name of an annotation may have in Kubernetes."""
MOST = 1000
"""Destinations of one object."""
_ONE, _LIST, _MUTE = "subscribe.", "subscriptions", "mute"


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Who is told about an object."""

    by_trigger: Mapping[str, tuple[Destination, ...]] = field(default_factory=dict)
    """Name of a trigger -> destinations, each once."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the annotations; the key is the annotation."""


def subscriptions_of(
    configuration: Configuration,
    annotations: Mapping[str, str],
    labels: Mapping[str, str],
    *,
    prefix: str,
    inherited: Iterable[Mapping[str, str]] = (),
) -> Subscribed:
    """Return who is told about an object with such annotations and labels.

    `inherited` are annotations of others that count as its own, such as those of an AppProject.
    A trigger or service that is not there is a problem, and no destination.
    """
    found = _Found(configuration, prefix, Known.of(configuration))
    found.everyone(labels, annotations.get(f"{prefix}/{_MUTE}"))
    for one in (annotations, *inherited):
        found.annotations(one)
    by_trigger = {trigger: tuple(places) for trigger, places in found.places.items()}
    return Subscribed(by_trigger, tuple(found.problems))


def problems_of(
    annotations: Mapping[str, str], configurations: Sequence[Configuration], *, prefix: str
) -> tuple[Problem, ...]:
    """Return what is wrong with annotations that any of several configurations may be meant by.

    Those of the one that they suit best. Without any, names are not looked up.
    """
    best: list[Problem] | None = None
    for one in configurations or (_UNSEEN,):
        known = Known.of(one)._replace(anything=one is _UNSEEN)
        found = _Found(one, prefix, known)
        found.annotations(annotations)
        if f"{prefix}/{_MUTE}" in annotations:
            found.everyone({}, annotations[f"{prefix}/{_MUTE}"])
        if best is None or _errors(found.problems) < _errors(best):
            best = found.problems
    return tuple(best or ())


_UNSEEN = Configuration(name="", namespace="", default_triggers=("",))


def _errors(problems: Iterable[Problem]) -> int:
    return sum(one.severity == "error" for one in problems)


class _Found:
    """What is found of an object's subscriptions."""

    def __init__(self, configuration: Configuration, prefix: str, known: Known) -> None:
        self._configuration, self._prefix, self._known = configuration, prefix, known
        self.places: dict[str, dict[Destination, None]] = {}
        self.problems: list[Problem] = []
        self._count = 0

    def everyone(self, labels: Mapping[str, str], mute: str | None) -> None:
        """Add global subscriptions, but for those that are muted."""
        muted = None if mute is None else self._muted(mute)
        for subscription in self._configuration.subscriptions:
            if subscription.selector.matches(labels):
                for trigger in subscription.triggers:
                    if muted is None or (muted and trigger not in muted):
                        for destination in subscription.destinations:
                            self.places.setdefault(trigger, {})[destination] = None

    def _muted(self, text: str) -> frozenset[str]:
        """Return the triggers that are muted; empty: all of them."""
        names = frozenset(name for name in re.split(r"[\s,;]+", text) if name)
        if names & {"*", "all", "true"}:
            return frozenset()
        for name in sorted(names):
            problem = self._known.trigger_problem(name)
            if problem:
                self._say(f"{self._prefix}/{_MUTE}", problem, "warning")
        return names

    def annotations(self, annotations: Mapping[str, str]) -> None:
        """Add what annotations say."""
        for key, text in annotations.items():
            if read := self._reader(key):
                read(key, text)

    def _reader(self, key: str) -> Callable[[str, str], None] | None:
        if key == LEGACY or key.endswith(f".{LEGACY}"):
            return self._old
        place, slash, name = key.partition("/")
        if not slash or place != self._prefix or name == _MUTE:
            return None
        if len(name) > LONGEST_NAME:
            why = f"the part behind / has {len(name)} letters, Kubernetes allows {LONGEST_NAME}"
            self._say(key, f"{why}: write it in {place}/{_LIST}")
        if name.startswith(_ONE):
            return self._single
        if name.startswith(_LIST):
            return self._list
        self._say(key, f"of no effect{near(name, [_LIST, _MUTE]) or _meant(name)}", "warning")
        return None

    # ------------------------------------------------------------------------ forms

    def _single(self, key: str, text: str) -> None:
        """Read `subscribe.TRIGGER.SERVICE` or `subscribe.SERVICE`: recipients between `;`."""
        parts = key.partition("/")[2].removeprefix(_ONE).split(".")
        trigger, service = ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])
        if parts[2:]:
            used = f"{trigger or 'default'} by {service!r}"
            why = f"what follows the second dot is not read, so it is trigger {used}"
            way_out = f"a trigger with a dot in its name goes into {self._prefix}/{_LIST}"
            self._say(key, f"{why} ({way_out})", "warning")
        recipients = [one.strip() for one in text.split(";")] if text.strip() else []
        kept = [one for one in recipients if one] if recipients else [""]
        triggers = (trigger,) if trigger else None
        self._add(triggers, [Destination(service, one) for one in kept], self._teller(key))

    def _list(self, key: str, text: str) -> None:
        """Read the list of `subscriptions`."""
        entry = Entry(key, text)
        value = entry.value
        if value is None and not entry.failed:
            entry.warn((), "it is empty")
        items = value if isinstance(value, list) else [] if value is None else [value]
        if value is not None and not isinstance(value, list):
            entry.warn((), "a list is meant here: begin each item with -")
        for index, item in enumerate(items):
            path: Path = (index,) if isinstance(value, list) else ()
            shaping = Shaping()
            shape = shaping.model(AnnotationShape, item, path, what=key)
            entry.take(shaping)
            if shape is not None:
                self._item(entry, path, shape)
        self.problems += entry.problems

    def _item(self, entry: Entry, path: Path, shape: AnnotationShape) -> None:
        if shape.triggers:
            entry.warn((*path, "triggers"), "write trigger: Argo's engine takes defaultTriggers")
        if shape.destination:
            entry.warn((*path, "destination"), "write destinations: Argo's engine tells nobody")
        places: list[Destination] = []
        for key in ("destinations", "destination"):
            for index, one in enumerate(getattr(shape, key)):
                if not one.all:
                    here = (*path, key, index)
                    entry.warn(here, 'write recipients: [""], without which Argo tells nobody')
                places += of_shape(one)
        if not places:
            entry.warn((*path, "destinations"), "it has no destinations, so nobody is told")

        def tell(message: str, severity: Severity = "error") -> None:
            entry.say(severity, path, message)

        triggers = (*shape.trigger, *shape.triggers)
        self._add(triggers or None, places, tell)

    def _old(self, key: str, text: str) -> None:
        """Read the form of old: `service:recipient` between commas."""
        named = key.removesuffix(LEGACY).rstrip(".")
        tell = self._teller(key)
        for part in text.split(","):
            if part.strip():
                destination = split(part)
                own = destination.service in self._configuration.default_triggers_of
                triggers = (named,) if named and not own else None
                self._add(triggers, [destination], tell)

    # ------------------------------------------------------------------------ results

    def _add(
        self,
        triggers: tuple[str, ...] | None,
        destinations: Iterable[Destination],
        tell: Callable[..., None],
    ) -> None:
        """Add destinations for triggers; None: for the default ones of their service."""
        for trigger in triggers or ():
            if problem := self._known.trigger_problem(trigger):
                tell(problem)
        for destination in dict.fromkeys(destinations):
            self._count += 1
            if self._count > MOST:
                tell(f"more than {MOST} recipients: the rest is left out")
                return
            if problem := self._known.destination_problem(destination):
                tell(problem)
                continue
            if against := self._known.recipient_problem(destination):
                tell(against)
            named = self._defaults(destination.service, tell) if triggers is None else triggers
            for trigger in named:
                if trigger in self._configuration.triggers:
                    self.places.setdefault(trigger, {})[destination] = None

    def _defaults(self, service: str, tell: Callable[..., None]) -> tuple[str, ...]:
        configuration = self._configuration
        own = configuration.default_triggers_of.get(service)
        if own is not None:
            return own
        if not configuration.default_triggers:
            tell("it names no trigger, and there are no defaultTriggers", "warning")
        return configuration.default_triggers

    def _teller(self, key: str) -> Callable[..., None]:
        return lambda message, severity="error": self._say(key, message, severity)

    def _say(self, key: str, message: str, severity: Severity = "error") -> None:
        problem = Problem(key, message, severity)
        if problem not in self.problems:
            self.problems.append(problem)


def _meant(name: str) -> str:
    """Return what is meant by the name of an annotation that is not read."""
    word, dot, rest = name.partition(".")
    if dot and near(word, [_ONE[:-1]]):
        return f" (did you mean {_ONE}{rest})"
    return " (there is subscribe.TRIGGER.SERVICE, subscriptions and mute)"
