"""Which rule says how an object is, and what it says.

In this order: an object that is being deleted, a user's check of its very kind, a user's check of
a pattern, ours for the kind, ours for its group, and the generic rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from notifier.health.conditions import Object, Rule
from notifier.health.customizations import Customizations, customizations
from notifier.health.generic import generic as generic_rule
from notifier.health.known import GROUPS, KINDS, application, nothing
from notifier.health.kubernetes import LOOSE, STRICT
from notifier.health.problems import HealthProblem
from notifier.health.status import PROGRESSING, UNKNOWN, Health

DELETING = Health(PROGRESSING, "Pending deletion")
_HOOK = "argocd.argoproj.io/hook-finalizer"
_MOST_KINDS = 10_000
_MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What a rule raises for an object that is not shaped as its kind."""


@dataclass(frozen=True, slots=True, eq=False)
class HealthRules:
    """All rules that hold for the objects of a cluster."""

    generic: bool = True
    """Whether a kind without a rule gets one by its conditions and phase."""
    problems: tuple[HealthProblem, ...] = ()
    """What of the configuration is not in use, or doubtful."""
    _custom: Customizations = field(default_factory=Customizations)
    _rules: dict[tuple[str, str], Rule] = field(default_factory=dict)
    """Rules that were looked for, by apiVersion and kind."""

    @classmethod
    def of_config(cls, data: Mapping[str, str], *, generic: bool) -> Self:
        """Return the rules that a ConfigMap's data gives beside ours; a bad one is a problem."""
        custom = customizations(data)
        return cls(generic, tuple(custom.problems), custom)

    def check(self, obj: Object) -> Health | None:
        """Return how an object is; None where no rule says.

        The status is empty where a custom check said nothing.
        """
        meta = obj.get("metadata") or {}
        if meta.get("deletionTimestamp") and _HOOK not in (meta.get("finalizers") or ()):
            return DELETING
        key = obj.get("apiVersion", ""), obj.get("kind", "")
        rule = self._rules.get(key) or self._look_up(key)
        try:
            found = rule(obj)
        except _MISSHAPEN as exc:
            why = f"{type(exc).__name__}: {exc}"
            return Health(UNKNOWN, f"reading a {key[1]} that is not shaped as one: {why}")
        if found is not None and not isinstance(found.message, str):
            return Health(found.status, str(found.message))
        return found

    def _look_up(self, key: tuple[str, str]) -> Rule:
        if len(self._rules) >= _MOST_KINDS:  # no cluster has as many
            self._rules.clear()
        found = self._rules[key] = self._rule(*key)
        return found

    def _rule(self, api_version: str, kind: str) -> Rule:
        group = api_version.rpartition("/")[0]
        return (
            self._custom_rule(f"{group}/{kind}" if group else kind)
            or self._own_rule(group, kind, api_version)
            or (generic_rule if self.generic else nothing)
        )

    def _custom_rule(self, name: str) -> Rule | None:
        exact = self._custom.exact.get(name)
        if exact is not None:
            return exact
        return next((rule for glob, rule in self._custom.globs if glob.matches(name)), None)

    def _own_rule(self, group: str, kind: str, api_version: str) -> Rule | None:
        name = group, kind
        if self.generic and name == ("argoproj.io", "Application"):
            return application
        if name in STRICT:
            rule, versions = STRICT[name]
            return rule if api_version in versions else _wrong_version(api_version, kind, versions)
        found = LOOSE.get(name) or KINDS.get(name)
        if found is not None:
            return found
        return next((rule for end, rule in GROUPS.items() if f".{group}".endswith(end)), None)


def _wrong_version(api_version: str, kind: str, versions: frozenset[str]) -> Rule:
    said = Health(
        UNKNOWN, f"{kind} of {api_version} has no rule, only {' and '.join(sorted(versions))}"
    )

    def rule(_obj: dict[str, Any]) -> Health:
        return said

    return rule
