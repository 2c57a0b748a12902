"""Health: one word and a reason for the state of any Kubernetes object.

    rules = HealthRules.of_config(config_map["data"], generic=True)
    rules.check(deployment)  # Health("Progressing", "2 of 3 replicas are available")

The words, their order and the contract of custom checks in Lua are Argo CD's. A rule looks at one
object and at nothing else, neither at the cluster nor at a clock.
"""

from notifier.health.problems import HealthProblem
from notifier.health.rules import HealthRules
from notifier.health.status import STATUSES, Health, worst

__all__ = ["STATUSES", "Health", "HealthProblem", "HealthRules", "worst"]
