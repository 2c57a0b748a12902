"""`maxInFlight` and `maxActive`: what is planned of them, and what counts as ended."""

import pytest
from plan_kit import dependency, plan, trigger

from sensor.kubernetes.active import ended
from spine.errors import ConfigError

WORKFLOW = {
    "source": {
        "resource": {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"name": "w", "generateName": "w-"},
            "spec": {"entrypoint": "x"},
        }
    }
}


def planned(**more):
    one = trigger("tell", log={}) | more
    return plan(dependency(), triggers=[one]).triggers["tell"]


def test_one_in_flight_keeps_the_order_of_events():
    assert planned(maxInFlight=1).order({}) == "*"
    assert planned(maxInFlight=2).order is None
    assert planned(maxInFlight=2).max_in_flight == 2


@pytest.mark.parametrize("value", [0, -1, "many"])
def test_bounds_are_above_zero(value):
    with pytest.raises(ConfigError, match="maxInFlight"):
        planned(maxInFlight=value)


def test_only_what_makes_objects_has_active_ones():
    with pytest.raises(ConfigError, match="log makes none"):
        planned(maxActive=2)
    made = trigger("run", argoWorkflow=WORKFLOW) | {"maxActive": 2}
    assert plan(dependency(), triggers=[made]).triggers["run"].max_active == 2
    ended_by = trigger("run", argoWorkflow=WORKFLOW | {"operation": "stop"}) | {"maxActive": 2}
    with pytest.raises(ConfigError, match="maxActive"):
        plan(dependency(), triggers=[ended_by])


@pytest.mark.parametrize(
    ("status", "over"),
    [
        ({}, False),
        ({"phase": "Running"}, False),
        ({"phase": "Pending"}, False),
        ({"phase": "Succeeded"}, True),
        ({"phase": "Error"}, True),
        ({"completionTime": "2026-11-21T00:00:00Z"}, True),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, True),
        ({"conditions": [{"type": "Complete", "status": "False"}]}, False),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, False),
    ],
)
def test_what_has_ended(status, over):
    assert ended({"status": status}) is over
