"""One configuration applied to one kind of object: everything that an evaluation needs, compiled.

A plan is made when the configuration is read and when it changes, never for an object.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from notifier import recipients, subscriptions, templates, variables
from notifier.config import Configuration
from notifier.health import Health, HealthRules
from notifier.repo import OFFLINE, Repo
from notifier.spec import Watch
from notifier.subscriptions import Destination, Subscribed
from notifier.triggers import Condition
from services.service import Message
from spine.errors import ConfigError
from spine.kube.watch import Meta

_LEGACY = "recipients.argocd-notifications.argoproj.io"
"""How annotations of old end."""
SHARED = 4096
"""Sets of annotations and labels whose subscriptions are kept."""


@dataclass(eq=False)
class Plan:
    """How objects of one kind are evaluated."""

    configuration: Configuration
    watch: Watch
    rules: HealthRules
    prefix: str
    version: str = ""
    """What is equal for equal texts of the configuration."""
    repo: Repo = OFFLINE
    """What `.repo` asks."""
    adopting: bool = False
    """Whether conditions that hold at first sight count as told."""
    number: int = 0
    """Number of the watch in the Notifier."""
    writes: bool = False
    """Whether objects are to bear what was told."""
    place: str = ""
    """Namespace of a configuration of its own, for self-service; empty for the main one."""

    def __post_init__(self) -> None:
        self._by_labels = any(one.selector for one in self.configuration.subscriptions)
        self._subscribed = lru_cache(SHARED)(self._find)
        self._reads_health = _read(self.configuration, "health")
        self.asks = self.repo.asks and _read(self.configuration, "repo")
        """Whether what it evaluates may ask a repo-server, and has to wait for its answers."""

    # ------------------------------------------------------------------------ whom

    def subscribed(self, meta: Meta) -> Subscribed:
        """Return which triggers an object is subscribed to, and who is told of each."""
        own = tuple(
            sorted(
                (key, value)
                for key, value in (meta.annotations or {}).items()
                if self.prefix in key or key.endswith(_LEGACY)
            )
        )
        labels = tuple(sorted((meta.labels or {}).items())) if self._by_labels else ()
        return self._subscribed(own, labels)

    def _find(
        self, annotations: tuple[tuple[str, str], ...], labels: tuple[tuple[str, str], ...]
    ) -> Subscribed:
        return subscriptions.subscriptions_of(
            self.configuration, dict(annotations), dict(labels), prefix=self.prefix
        )

    def recipients(
        self, destination: Destination, values: Mapping[str, Any]
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """Return service and recipient of everybody that a destination stands for, and problems."""
        return recipients.resolve(destination, values, self.configuration)

    # ------------------------------------------------------------------------ what

    def variables(self, seen: Any, health: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the variables of conditions and templates for an object."""
        return variables.variables(
            seen.body,
            alias=self.watch.variable or variables.alias_of(self.watch.kind),
            context=self.configuration.context,
            health=health,
            extra={"event": {"type": seen.type}},
            repo=self.repo,
        )

    def health(self, body: Mapping[str, Any]) -> Health | None:
        """Return the health of an object; None where there is no rule for it, or nobody asks."""
        return self.rules.check(dict(body)) if self._reads_health else None

    def message(
        self,
        names: tuple[str, ...],
        service: str,
        values: Mapping[str, Any],
        recipient: str,
    ) -> Message:
        """Render templates for a service. Raises ConfigError and EvaluationError."""
        configuration = self.configuration
        found = configuration.services.get(service)
        if found is None:
            raise ConfigError(f"telling {service!r}: there is no service of that name")
        missing = [name for name in names if name not in configuration.templates]
        if missing:
            raise ConfigError(f"using template {missing[0]!r}: there is none of that name")
        given = {**values, "recipient": recipient}
        if not self.place:  # a namespace's own configuration has no .secrets in templates
            given["secrets"] = configuration.secrets.keys()
        chosen = [configuration.templates[name] for name in names]
        return templates.render(chosen, service, type(found), given)

    # ------------------------------------------------------------------------ moving over

    def imported(
        self, meta: Meta, trigger: str, condition: Condition, place: tuple[str, str, str]
    ) -> bool:
        """Return whether Argo's own annotation says that a destination was told."""
        text = (meta.annotations or {}).get(f"notified.{self.prefix}")
        return bool(text) and self.item(trigger, condition, place) in _items(text)

    def item(self, trigger: str, condition: Condition, place: tuple[str, str, str]) -> str:
        """Return the key under which Argo remembers that a destination was told."""
        service, recipient, once = place
        parts = [once] if once else []
        parts += [self.place] if self.place else []
        return ":".join([*parts, trigger, condition.legacy_key, service, recipient])


def _read(configuration: Configuration, name: str) -> bool:
    """Return whether a condition or a template reads a variable."""
    conditions = [one for trigger in configuration.triggers.values() for one in trigger.conditions]
    roots = [one.reads.roots for one in conditions]
    roots += [template.reads for template in configuration.templates.values()]
    return any(some is None or name in some for some in roots)


@lru_cache(SHARED)
def _items(text: str) -> frozenset[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return frozenset()
    return frozenset(found) if isinstance(found, dict) else frozenset()
