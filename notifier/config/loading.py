"""`load`: a ConfigMap and a Secret in, a Configuration out.

Every key is read by itself, so an error of one disables that one. What refers to others comes
after them: triggers after templates, subscriptions after triggers and services.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from notifier.config import destinations, extras, legacy
from notifier.config.configuration import (
    Configuration,
    Destination,
    Digest,
    Problem,
    Quiet,
    Scope,
    Subscription,
)
from notifier.config.entry import Entry
from notifier.config.everyone import read_subscriptions, subscription_of
from notifier.config.families import Kind, kind_of
from notifier.config.known import Known
from notifier.config.references import is_reference
from notifier.config.sending import read_template, read_trigger, sendable
from notifier.config.service_keys import read_service
from notifier.config.shaping import near
from services.hiding import Hiding, credentials
from spine.errors import ConfigError
from spine.model import Path

if TYPE_CHECKING:
    from notifier.templates import Template
    from notifier.triggers import Trigger
    from services.service import Service

LONGEST_ANNOTATION = 63
"""Letters of the part of an annotation's name behind the slash, which Kubernetes allows."""


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


class _Loading:
    """One configuration on its way."""

    def __init__(
        self, secret: Mapping[str, str] | None, variables: Collection[str], *, own_only: bool
    ) -> None:
        self._secret, self._variables, self._own_only = secret, variables, own_only
        self._entries: dict[tuple[str, bool], Entry] = {}
        self._kinds: dict[str, Kind] = {}
        self._from: dict[str, Entry] = {}
        """`trigger.NAME` and the like -> where it stands."""
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
        self.limits: dict[str, Any] = {}

    def problems(self) -> list[Problem]:
        """Return the problems of all keys, in their order."""
        return [problem for entry in self._entries.values() for problem in entry.problems]

    def read(self, data: Mapping[str, str]) -> None:
        """Read everything."""
        for key in data:
            self._sort(key, data[key])
        for key, kind in self._kinds.items():
            if kind.family == "template":
                self._template(self._entry(key), kind.name, self._entry(key).value, ())
        self._services()
        old = self._legacy()
        self._named_blocks()
        for key, kind in self._kinds.items():
            if kind.family == "trigger":
                self._trigger(self._entry(key), kind.name, self._entry(key).value, ())
        self._old_triggers(old)
        self._defaults(old)
        self._extras()
        self._everyone(old)
        self._lengths()

    # ------------------------------------------------------------------------ keys

    def _sort(self, key: str, text: str) -> None:
        try:
            kind = kind_of(key)
        except ConfigError as exc:
            entry = self._entries[key, False] = Entry(key, "")
            known = exc.hint == "" and exc.message.startswith("unknown")
            entry.say("warning" if known else "error", (), str(exc))
            return
        if kind.family == "health":
            return
        self._entries[key, False] = entry = Entry(key, text)
        self._kinds[key] = kind
        if entry.failed:
            self.broken.add(f"{kind.family}.{kind.name}")
            self._kinds.pop(key)

    def _entry(self, key: str) -> Entry:
        return self._entries[key, False]

    def _single(self, key: str) -> Entry | None:
        return self._entry(key) if key in self._kinds else None

    # ------------------------------------------------------------------------ parts

    def _template(self, entry: Entry, name: str, value: Any, path: Path) -> None:
        template = read_template(entry, name, value, path)
        if template is None:
            self.broken.add(f"template.{name}")
        else:
            self.templates[name] = template

    def _services(self) -> None:
        found: dict[str, list[str]] = {}
        for key, kind in self._kinds.items():
            if kind.family == "service":
                found.setdefault(kind.name, []).append(key)
        for name, keys in found.items():
            if len(keys) == 1:
                entry = self._entry(keys[0])
                self._service(entry, Kind("service", name, self._kinds[keys[0]].type), entry.value)
                continue
            for key in keys:
                others = ", ".join(one for one in keys if one != key)
                message = (
                    f"{others} has the same name {name!r}, so neither is used"
                    f" (name one of them otherwise: {key}-2)"
                )
                self._entry(key).error((), message)
            self.broken.add(f"service.{name}")

    def _service(self, entry: Entry, kind: Kind, value: Any, path: Path = ()) -> None:
        service = read_service(entry, kind.type, value, path, self._secret, own_only=self._own_only)
        if service is None:
            self.broken.add(f"service.{kind.name}")
        else:
            self.services[kind.name] = service
            self.private += (one for one in credentials(service) if not is_reference(one))

    def _trigger(self, entry: Entry, name: str, value: Any, path: Path) -> None:
        trigger = read_trigger(entry, name, value, path, self._variables)
        if trigger is None:
            self.broken.add(f"trigger.{name}")
            return
        self.triggers[name] = sendable(entry, trigger, path, self.templates, self.broken)

    def _named_blocks(self) -> None:
        """Say which blocks are for services that are not there."""
        for key, kind in self._kinds.items():
            template = self.templates.get(kind.name) if kind.family == "template" else None
            for type_, block in () if template is None else template.blocks.items():
                if isinstance(block, Mapping):
                    known = [name for name, one in self.services.items() if one.kind == type_]
                    for name in sorted(block.keys() - known):
                        if f"service.{name}" not in self.broken:
                            why = f"there is no service {name!r} of type {type_}"
                            self._entry(key).warn((type_, name), f"{why}{near(name, known)}")

    # ------------------------------------------------------------------------ bundles of old

    def _legacy(self) -> tuple[Entry, Any] | None:
        text = (self._secret or {}).get(legacy.SERVICES, "")
        if text.strip():
            entry = Entry(legacy.SERVICES, text, secret=True)
            self._entries[legacy.SERVICES, True] = entry
            for part in () if entry.failed else legacy.services(entry):
                if self._new(entry, part, "service", self.services):
                    self._service(
                        entry, Kind("service", part.name, part.type), part.value, part.path
                    )
        entry_of_old = self._single(legacy.CONFIG)
        if entry_of_old is None:
            return None
        config = legacy.read_config(entry_of_old)
        for part in legacy.templates(entry_of_old, config):
            if self._new(entry_of_old, part, "template", self.templates):
                self._template(entry_of_old, part.name, part.value, part.path)
        return entry_of_old, config

    def _old_triggers(self, old: tuple[Entry, Any] | None) -> None:
        if old is None:
            return
        entry, config = old
        for part in legacy.triggers(entry, config):
            if self._new(entry, part, "trigger", self.triggers):
                self._trigger(entry, part.name, part.value, part.path)
        self.context |= config.context

    def _new(self, entry: Entry, part: legacy.Part, family: str, known: Mapping[str, Any]) -> bool:
        """Return whether no key of today defines the same; warn where one does."""
        taken = part.name in known or f"{family}.{part.name}" in self.broken
        if taken:
            entry.warn(part.path, f"{part.name!r} is defined in a key of its own, which counts")
        return not taken

    # ------------------------------------------------------------------------ defaults

    def _defaults(self, old: tuple[Entry, Any] | None) -> None:
        names: tuple[str, ...] = ()
        for key, kind in self._kinds.items():
            if kind.family != "defaultTriggers":
                continue
            entry = self._entry(key)
            found = self._names(entry)
            if kind.name:
                self.default_triggers_of[kind.name] = found
                service = Destination(kind.name)
                problem = self._known.destination_problem(service)
                if problem:
                    entry.warn((), problem)
            else:
                names = found
        if old is not None:
            names += tuple(one for one in legacy.defaults(old[1]) if one in self.triggers)
        self.default_triggers = tuple(dict.fromkeys(names))

    def _names(self, entry: Entry) -> tuple[str, ...]:
        names = entry.shaped(list[str], entry.value or []) or []
        kept = []
        for index, name in enumerate(names):
            problem = self._known.trigger_problem(name)
            if problem:
                entry.error((index,), problem)
            else:
                kept.append(name)
        return tuple(dict.fromkeys(kept))

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

    # ------------------------------------------------------------------------ the rest

    def _extras(self) -> None:
        if (entry := self._single("context")) is not None:
            self.context |= entry.shaped(dict[str, str], entry.value or {}) or {}
        if (entry := self._single("directory")) is not None:
            self.directory = extras.read_directory(entry)
        if (entry := self._single("groups")) is not None:
            self.groups = extras.read_groups(entry)
            self._check_groups(entry)
        if (entry := self._single("quietHours")) is not None:
            self.quiet = extras.read_quiet(entry)
            self._check_scopes(entry, self.quiet)
        if (entry := self._single("digests")) is not None:
            found = extras.read_digests(entry)
            self._check_scopes(entry, found)
            self.digests = tuple(one for one in found if self._digestible(entry, one))
        if (entry := self._single("limits")) is not None:
            self.limits = extras.read_limits(entry)
            for service in self.limits:
                self._check_pattern(entry, (service,), "service", service)

    def _check_groups(self, entry: Entry) -> None:
        known = self._known
        for name, members in self.groups.items():
            for member in members:
                problem = known.destination_problem(member) or known.recipient_problem(member)
                if problem:
                    entry.error((name,), f"{member}: {problem}")
            if not members:
                entry.warn((name,), "nobody is in it")

    def _digestible(self, entry: Entry, digest: Digest) -> bool:
        if not digest.template or digest.template in self.templates:
            return True
        hint = near(digest.template, list(self.templates))
        entry.error((), f"there is no template {digest.template!r}{hint}")
        return False

    def _check_scopes(self, entry: Entry, scopes: Iterable[Scope]) -> None:
        for scope in scopes:
            for pattern in scope.services:
                self._check_pattern(entry, (), "service", pattern)
            for pattern in scope.triggers:
                self._check_pattern(entry, (), "trigger", pattern)

    def _check_pattern(self, entry: Entry, path: Path, what: str, pattern: str) -> None:
        if any(letter in pattern for letter in "*?["):
            return
        known = self._known
        problem = (
            known.trigger_problem(pattern)
            if what == "trigger"
            else destinations.unknown(Destination(pattern), self.services, ())
        )
        if problem and f"{what}.{pattern}" not in self.broken:
            entry.warn(path, problem)

    def _everyone(self, old: tuple[Entry, Any] | None) -> None:
        if (entry := self._single("subscriptions")) is not None:
            self.subscriptions += read_subscriptions(entry, self._known)
        if old is not None:
            entry, config = old
            for index, shape in enumerate(config.subscriptions):
                path: Path = ("subscriptions", index)
                self.subscriptions += subscription_of(entry, path, shape, self._known)

    def _lengths(self) -> None:
        """Say which triggers cannot be named in an annotation."""
        for key, kind in self._kinds.items():
            if kind.family != "trigger" or kind.name not in self.triggers:
                continue
            longest = max(
                (f"subscribe.{kind.name}.{one}" for one in self.services), key=len, default=""
            )
            if "." in kind.name:
                why = "a name with a dot cannot stand in an annotation subscribe.TRIGGER.SERVICE"
            elif len(longest) > LONGEST_ANNOTATION:
                why = f"the annotation {longest} has {len(longest)} letters, 63 are allowed"
            else:
                continue
            self._entry(key).say("note", (), f"{why}: subscribe to it in …/subscriptions")
