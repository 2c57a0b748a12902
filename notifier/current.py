"""The configuration in use: read, compiled for every kind that is watched, with open services.

A new text of the ConfigMap or the Secret gives a new one as a whole; messages that are on their
way with the old one finish with it.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from notifier import config, variables
from notifier.config import Configuration
from notifier.health import HealthRules
from notifier.plan import Plan
from notifier.reading import Texts
from notifier.repo import OFFLINE, Repo
from notifier.sending import Clients
from notifier.spec import NotifierSpec, Watch
from spine.runtime import Env

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Current:
    """One version of a configuration."""

    texts: Texts
    configuration: Configuration
    plans: Mapping[int, Plan]
    """Number of the watch in the spec -> how its objects are evaluated."""
    clients: Clients
    notices: tuple[str, ...] = field(default=())
    """What is wrong with it, for log and status."""


def aliases(spec: NotifierSpec) -> frozenset[str]:
    """Return the names that programs may use for objects and the rest."""
    kinds = {one.variable or variables.alias_of(one.kind) for one in spec.watches}
    return frozenset(variables.ALWAYS | kinds)


def compile_current(  # noqa: PLR0913 -- everything that a configuration hangs on
    spec: NotifierSpec,
    namespace: str,
    texts: Texts,
    env: Callable[[str], Env],
    *,
    place: str = "",
    adopting: bool = False,
    repo: Repo = OFFLINE,
) -> Current:
    """Compile the texts of a configuration; what is wrong with them is a notice."""
    configuration = config.load(
        texts.config,
        texts.secret,
        name=spec.config_map,
        namespace=place or namespace,
        variables=aliases(spec),
        own_secrets_only=bool(place),
    )
    rules = HealthRules.of_config(texts.health, generic=spec.generic_health)

    def plan(number: int, watch: Watch) -> Plan:
        return Plan(
            number=number,
            writes=spec.write_annotations,
            configuration=configuration,
            watch=watch,
            rules=rules,
            prefix=spec.annotation_prefix,
            version=texts.version,
            adopting=adopting,
            place=place,
            repo=repo,
        )

    problems = [one for one in configuration.problems if one.severity != "note"]
    return Current(
        texts=texts,
        configuration=configuration,
        plans={number: plan(number, watch) for number, watch in enumerate(spec.watches)},
        clients=Clients(configuration, env),
        notices=(*texts.missing, *map(str, problems), *map(str, rules.problems)),
    )
