"""A configuration that a command looks at, with the Notifier that it belongs to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase

from typing_extensions import override

from notifier.config import Configuration, Problem
from notifier.config.shaping import near
from notifier.current import Current
from notifier.plan import Plan
from notifier.selectors import compile_selector
from notifier.spec import NotifierSpec, Watch
from notifier.subscriptions import Subscribed
from notifier.templates import Template
from notifier.triggers import Trigger
from spine.errors import ConfigError
from spine.kube.watch import Meta
from spine.runtime import Env
from tocsin.notifying.subject import Subject


@dataclass(frozen=True, slots=True)
class Found:
    """A configuration."""

    name: str
    """Name of the Notifier."""
    spec: NotifierSpec
    current: Current
    env: Callable[[str], Env]
    """Makes the surroundings of a service."""
    namespace: str
    guessed: bool = False
    """Whether nobody says which kinds are watched."""
    notes: tuple[str, ...] = ()
    place: str = ""
    """Namespace of a configuration of its own; empty for the main one."""

    @property
    def configuration(self) -> Configuration:
        """Return what it says."""
        return self.current.configuration

    @property
    def triggers(self) -> Mapping[str, Trigger]:
        """Return its triggers by name."""
        return self.configuration.triggers

    @property
    def templates(self) -> Mapping[str, Template]:
        """Return its templates by name."""
        return self.configuration.templates

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with it."""
        return self.configuration.problems

    @property
    def title(self) -> str:
        """Return what it is, for people."""
        return f"{self.name}, of namespace {self.place}" if self.place else self.name

    def plan(self, subject: Subject) -> Plan | None:
        """Return how an object is evaluated, None where no watch takes it."""
        for number, watch in enumerate(self.spec.watches):
            if not against(watch, subject):
                return self.current.plans[number]
        return None

    def plan_anyway(self, subject: Subject) -> tuple[Plan, str]:
        """Return how an object is evaluated, as if it were watched, and why it is not."""
        found = self.plan(subject)
        if found is not None:
            return found, ""
        watch = Watch(api_version=subject.api_version, kind=subject.kind)
        why = "; ".join(against(one, subject) for one in self.spec.watches)
        note = f"Notifier {self.name} does not take this object ({why}); shown as if it did"
        return replace(self.current.plans[0], watch=watch), "" if self.guessed else note


def against(watch: Watch, subject: Subject) -> str:
    """Return why a watch does not take an object, empty where it does."""
    meta = subject.seen.meta
    if (watch.api_version, watch.kind) != (subject.api_version, subject.kind):
        return f"it watches {watch}, this is {subject.kind} of {subject.api_version}"
    space = meta.namespace or "default"
    if watch.namespaces and not any(fnmatchcase(space, one) for one in watch.namespaces):
        return f"it watches namespaces {', '.join(watch.namespaces)}, this is in {space}"
    selector = compile_selector(watch.label_selector)
    if not selector.matches(meta.labels or {}):
        return f"its labels are not {watch.label_selector}"
    return ""


@dataclass(eq=False)
class Alone(Plan):
    """A plan that looks at one trigger only, be the object subscribed to it or not."""

    only: str = ""

    @classmethod
    def of(cls, plan: Plan, trigger: str) -> "Alone":
        """Return a plan for one trigger."""
        same = {one.name: getattr(plan, one.name) for one in fields(plan)}
        return cls(**same, only=trigger)

    @override
    def subscribed(self, meta: Meta) -> Subscribed:
        found = super().subscribed(meta)
        return Subscribed({self.only: found.by_trigger.get(self.only, ())})


# ---------------------------------------------------------------------------- choosing one


def having(found: list[Found], subject: Subject, families: str, names: Iterable[str]) -> Found:
    """Return the configuration that has all of these `triggers` or `templates`.

    Those that take the object count first. Raises ConfigError where none has them, or several do.
    """
    names = tuple(names)
    taking = [one for one in found if one.plan(subject) is not None]
    for some in (taking, found):
        able = [one for one in some if all(name in getattr(one, families) for name in names)]
        if len(able) == 1:
            return able[0]
        if able:
            listed = ", ".join(one.title for one in able)
            raise ConfigError(
                f"choosing a configuration: several have {', '.join(names)}: {listed}",
                hint="give --notifier NAME",
            )
    raise unknown(found, families, names)


def unknown(found: Iterable[Found], families: str, names: Iterable[str]) -> ConfigError:
    """Return the complaint about names that no configuration has."""
    family = families.removesuffix("s")
    known = sorted({name for one in found for name in getattr(one, families)})
    name = next((one for one in names if one not in known), "")
    for one in found:
        if f"{family}.{name}" in one.configuration.broken:
            why = next(str(p) for p in one.problems if p.severity == "error")
            own = [p for p in one.problems if p.key == f"{family}.{name}"]
            return ConfigError(f"using {family} {name!r}: it is disabled: {own[0] if own else why}")
    meant = near(name, known) or f" (there is {', '.join(known) or 'none'})"
    return ConfigError(f"using {family} {name!r}: there is none of that name{meant}")
