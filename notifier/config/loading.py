"""`load`: a ConfigMap and a Secret in, a Configuration out.

Every key is read by itself, so an error of one disables that one. What refers to others comes
after them: triggers after templates, subscriptions after triggers and services.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from notifier.config import checking, extras, legacy
from notifier.config.configuration import (
    Configuration,
    Destination,
    Digest,
    Limits,
    Problem,
    Quiet,
    Subscription,
)
from notifier.config.entry import Entry
from notifier.config.everyone import read_subscriptions, subscription_of
from notifier.config.families import Kind, kind_of
from notifier.config.known import Known
from notifier.config.references import is_reference
from notifier.config.sending import read_template, read_trigger, sendable
from notifier.config.service_keys import read_service
from notifier.config.shapes import LegacyConfig
from services.hiding import Hiding, credentials
from spine.errors import ConfigError
from spine.model import Path

if TYPE_CHECKING:
    from notifier.templates import Template
    from notifier.triggers import Trigger
    from services.service import Service


def load(
    data: Mapping[str, str],
    secret: Mapping[str, str] | None,
    *,
    name: str,
    namespace: str,
    variables: Collection[str],
    own_secrets_only: bool = False,
) -> Configuration:
    """Read and compile the data of a ConfigMap and of a Secret, the latter decoded.

    `variables` are the names that expressions may use, such as `obj` and `app`. Keys of further
    Secrets that services may use stand in `secret` as `NAME/KEY`; `own_secrets_only` refuses them.
    Without a Secret (None) everything is checked but what would be in it.
    Nothing is raised: what is wrong is in `problems`, in the order of keys.
    """
    loading = _Loading(secret, variables, own_only=own_secrets_only)
    loading.read(data)
    known = secret or {}
    hiding = Hiding([*known.values(), *loading.private])
    return Configuration(
        name=name,
        namespace=namespace,
        triggers=loading.triggers,
        templates=loading.templates,
        services=loading.services,
        default_triggers=loading.default_triggers,
        default_triggers_of=loading.default_triggers_of,
        subscriptions=tuple(loading.subscriptions),
        context=loading.context,
        directory=loading.directory,
        groups=loading.groups,
        quiet=loading.quiet,
        digests=loading.digests,
        limits=loading.limits,
        secrets={key: value for key, value in known.items() if "/" not in key},
        problems=tuple(_shown(one, hiding) for one in loading.problems()),
        broken=frozenset(loading.broken),
        private=tuple(loading.private),
    )


def _shown(problem: Problem, hiding: Hiding) -> Problem:
    path = tuple(hiding(step) if isinstance(step, str) else step for step in problem.path)
    return replace(problem, message=hiding(problem.message), path=path)


class _Key(NamedTuple):
    """A key that can be read."""

    kind: Kind
    entry: Entry


class _Loading:
    """One configuration on its way."""

    def __init__(
        self, secret: Mapping[str, str] | None, variables: Collection[str], *, own_only: bool
    ) -> None:
        self._secret, self._variables, self._own_only = secret, variables, own_only
        self._entries: list[Entry] = []
        self._keys: list[_Key] = []
        self.triggers: dict[str, Trigger] = {}
        self.templates: dict[str, Template] = {}
        self.services: dict[str, Service] = {}
        self.private: list[str] = []
        self.broken: set[str] = set()
        self.default_triggers: tuple[str, ...] = ()
        self.default_triggers_of: dict[str, tuple[str, ...]] = {}
        self.subscriptions: list[Subscription] = []
        self.context: dict[str, str] = {}
        self.directory: dict[str, str | Mapping[str, str]] = {}
        self.groups: dict[str, tuple[Destination, ...]] = {}
        self.quiet: tuple[Quiet, ...] = ()
        self.digests: tuple[Digest, ...] = ()
        self.limits: dict[str, Limits] = {}

    def problems(self) -> list[Problem]:
        """Return the problems of all keys, in their order."""
        return [problem for entry in self._entries for problem in entry.problems]

    def read(self, data: Mapping[str, str]) -> None:
        """Read everything."""
        for key, text in data.items():
            self._sort(key, text)
        old_entry, old = self._old_config()
        for kind, entry in self._of("template"):
            self._template(entry, kind.name, entry.value)
        self._services()
        self._old_services()
        self._old_templates(old_entry, old)
        for kind, entry in self._of("template"):
            if kind.name in self.templates:
                checking.check_blocks(entry, self.templates[kind.name], self._known)
        for kind, entry in self._of("trigger"):
            self._trigger(entry, kind.name, entry.value)
            checking.check_trigger(entry, kind.name, self.services)
        self._old_triggers(old_entry, old)
        self._defaults(old)
        self._whom()
        self._when()
        for _, entry in self._of("subscriptions"):
            self.subscriptions += read_subscriptions(entry, self._known)
        for index, shape in enumerate(old.subscriptions):
            path: Path = ("subscriptions", index)
            self.subscriptions += subscription_of(old_entry, path, shape, self._known)

    # ------------------------------------------------------------------------ keys

    def _sort(self, key: str, text: str) -> None:
        try:
            kind = kind_of(key)
        except ConfigError as exc:
            entry = Entry(key, "")
            self._entries.append(entry)
            entry.say("error" if exc.hint else "warning", (), str(exc))
            return
        if kind.family == "health":
            return
        entry = Entry(key, text)
        self._entries.append(entry)
        self._keys.append(_Key(kind, entry))
        if entry.failed and kind.family in {"trigger", "template", "service"}:
            self.broken.add(f"{kind.family}.{kind.name}")

    def _of(self, family: str) -> Iterator[_Key]:
        """Yield the keys of a family in which there is no error yet."""
        return (key for key in self._keys if key.kind.family == family and not key.entry.failed)

    @property
    def _known(self) -> Known:
        return Known(
            triggers=self.triggers,
            services=self.services,
            groups=self.groups,
            directory=self.directory,
            default_triggers=self.default_triggers,
            broken=self.broken,
        )

    # ------------------------------------------------------------------------ parts

    def _template(self, entry: Entry, name: str, value: Any, path: Path = ()) -> None:
        template = read_template(entry, name, value, path)
        if template is None:
            self.broken.add(f"template.{name}")
        else:
            self.templates[name] = template

    def _services(self) -> None:
        found: dict[str, list[_Key]] = {}
        for key in self._keys:
            if key.kind.family == "service":
                found.setdefault(key.kind.name, []).append(key)
        for name, keys in found.items():
            if len(keys) == 1:
                kind, entry = keys[0]
                if not entry.failed:
                    self._service(entry, kind, entry.value)
                continue
            for _, entry in keys:
                others = ", ".join(one.entry.key for one in keys if one.entry is not entry)
                why = f"{others} has the same name {name!r}, so neither is used"
                entry.error((), f"{why} (name one of them otherwise: {entry.key}-2)")
            self.broken.add(f"service.{name}")

    def _service(self, entry: Entry, kind: Kind, value: Any, path: Path = ()) -> None:
        service = read_service(entry, kind.type, value, path, self._secret, own_only=self._own_only)
        if service is None:
            self.broken.add(f"service.{kind.name}")
        else:
            self.services[kind.name] = service
            self.private += (one for one in credentials(service) if not is_reference(one))

    def _trigger(self, entry: Entry, name: str, value: Any, path: Path = ()) -> None:
        trigger = read_trigger(entry, name, value, path, self._variables)
        if trigger is None:
            self.broken.add(f"trigger.{name}")
        else:
            self.triggers[name] = sendable(entry, trigger, path, self.templates, self.broken)

    # ------------------------------------------------------------------------ bundles of old

    def _old_config(self) -> tuple[Entry, LegacyConfig]:
        """Return `config.yaml`, empty where there is none."""
        for _, entry in self._of(legacy.CONFIG):
            return entry, legacy.read_config(entry)
        return Entry(legacy.CONFIG, ""), LegacyConfig()

    def _old_services(self) -> None:
        text = (self._secret or {}).get(legacy.SERVICES, "")
        if not text.strip():
            return
        entry = Entry(legacy.SERVICES, text, secret=True)
        self._entries.append(entry)
        for part in () if entry.failed else legacy.services(entry):
            if self._new(entry, part, "service", self.services):
                self._service(entry, Kind("service", part.name, part.type), part.value, part.path)

    def _old_templates(self, entry: Entry, old: LegacyConfig) -> None:
        for part in legacy.templates(entry, old):
            if self._new(entry, part, "template", self.templates):
                self._template(entry, part.name, part.value, part.path)

    def _old_triggers(self, entry: Entry, old: LegacyConfig) -> None:
        for part in legacy.triggers(entry, old):
            if self._new(entry, part, "trigger", self.triggers):
                self._trigger(entry, part.name, part.value, part.path)
        self.context |= old.context

    def _new(self, entry: Entry, part: legacy.Part, family: str, known: Mapping[str, Any]) -> bool:
        """Return whether no key of today defines the same; warn where one does."""
        taken = part.name in known or f"{family}.{part.name}" in self.broken
        if taken:
            entry.warn(part.path, f"{part.name!r} is defined in a key of its own, which counts")
        return not taken

    # ------------------------------------------------------------------------ the rest

    def _defaults(self, old: LegacyConfig) -> None:
        names: list[str] = []
        for kind, entry in self._of("defaultTriggers"):
            found = self._names(entry)
            if not kind.name:
                names += found
                continue
            self.default_triggers_of[kind.name] = found
            problem = self._known.destination_problem(Destination(kind.name))
            if problem:
                entry.warn((), problem)
        names += (one for one in legacy.defaults(old) if one in self.triggers)
        self.default_triggers = tuple(dict.fromkeys(names))

    def _names(self, entry: Entry) -> tuple[str, ...]:
        kept = []
        for index, name in enumerate(entry.shaped(list[str], entry.value or []) or []):
            problem = self._known.trigger_problem(name)
            if problem:
                entry.error((index,), problem)
            else:
                kept.append(name)
        return tuple(dict.fromkeys(kept))

    def _whom(self) -> None:
        for _, entry in self._of("context"):
            self.context |= entry.shaped(dict[str, str], entry.value or {}) or {}
        for _, entry in self._of("directory"):
            self.directory = extras.read_directory(entry)
        for _, entry in self._of("groups"):
            self.groups = extras.read_groups(entry)
            checking.check_groups(entry, self.groups, self._known)

    def _when(self) -> None:
        for _, entry in self._of("quietHours"):
            self.quiet = extras.read_quiet(entry)
            checking.check_scopes(entry, self.quiet, self._known)
        for _, entry in self._of("digests"):
            found = extras.read_digests(entry)
            checking.check_scopes(entry, found, self._known)
            self.digests = tuple(checking.with_templates(entry, found, self.templates))
        for _, entry in self._of("limits"):
            self.limits = extras.read_limits(entry)
            for service in self.limits:
                checking.check_service(entry, (service,), service, self._known)
