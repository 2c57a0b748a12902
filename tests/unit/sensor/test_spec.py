"""The spec of a Sensor: what is taken, what is refused, and with which words."""

import pytest
from plan_kit import dependency, spec, trigger

from delivery.policy import RateLimit
from sensor.spec import RateLimitConfig, RetryBackoff, SensorSpec, Transform
from spine.errors import ConfigError
from spine.model import InvalidModel, load
from spine.runtime import Backoff


def test_what_is_left_out_has_a_meaning() -> None:
    read = load(SensorSpec, spec())
    assert (read.event_bus_name, read.replicas, read.start_from) == ("default", 1, "new")
    assert read.triggers[0].at_least_once is None
    assert read.triggers[0].retry_strategy is None


def test_null_is_absent() -> None:
    nulls = {
        "template": None,
        "eventBusName": None,
        "dependencies": [dependency(filters=None, transform=None)],
        "triggers": [trigger() | {"policy": None, "parameters": None, "atLeastOnce": None}],
    }
    assert load(SensorSpec, nulls).event_bus_name == "default"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dependencies": []}, "dependencies: list should have at least 1 item"),
        ({"triggers": None}, "triggers: required field is missing"),
        ({"dependencies": "x"}, "dependencies: 'x': input should be a valid list"),
        ({"dependencies": [{"name": "a"}]}, "dependencies[0].eventSourceName: required field"),
        ({"dependencies": [dependency("")]}, "dependencies[0].name: '': string should have"),
        (
            {"dependencies": [dependency(eventName="a.b")]},
            "dependencies[0].eventName: 'a.b': names hold no dots",
        ),
        ({"dependencies": [dependency(eventName="a[")]}, "a bracket has no partner"),
        (
            {"dependencies": [dependency(filtersLogicalOperator="xor")]},
            "filtersLogicalOperator: 'xor': input should be '', 'and' or 'or'",
        ),
        (
            {"dependencies": [dependency(evntName="x")]},
            "evntName: unknown field (did you mean eventName)",
        ),
        ({"triggers": [{}]}, "triggers[0].template: required field is missing"),
        ({"triggers": [{"template": {"log": {}}}]}, "triggers[0].template.name: required field"),
        ({"triggers": [{"template": {"name": "t"}}]}, "it does nothing: set a kind, such as http"),
        (
            {"triggers": [trigger(k8s={"operation": "create"})]},
            "triggers[0].template.k8s.source: required field is missing",
        ),
        ({"triggers": [trigger(kafka={})]}, "template.kafka.url: required field is missing"),
        ({"triggers": [trigger(htpp={})]}, "template.htpp: unknown field (did you mean http)"),
        (
            {"triggers": [trigger(log={}, conditionsReset=[{}])]},
            "conditionsReset[0].byTime: required field is missing",
        ),
        (
            {"triggers": [trigger() | {"atLeastOnce": "true"}]},
            "atLeastOnce: 'true': input should be",
        ),
        (
            {"triggers": [trigger() | {"dlqTrigger": trigger("d"), "atLeastOnce": False}]},
            "triggers[0]: dlqTrigger needs atLeastOnce: true",
        ),
        (
            {"triggers": [trigger() | {"dlqTrigger": trigger("d") | {"atLeastOnce": False}}]},
            "atLeastOnce of dlqTrigger must be true",
        ),
        ({"triggers": [trigger() | {"policy": {"status": {}}}]}, "status.allow: required field"),
        (
            {"triggers": [trigger() | {"rateLimit": {}}]},
            "requestsPerUnit: required field is missing",
        ),
        (
            {"triggers": [trigger() | {"rateLimit": {"requestsPerUnit": 0}}]},
            "requestsPerUnit: 0: input should be greater than 0",
        ),
        (
            {"triggers": [trigger() | {"rateLimit": {"unit": "Day", "requestsPerUnit": 1}}]},
            "unit: 'Day': input should be 'Second', 'Minute' or 'Hour'",
        ),
        (
            {"triggers": [trigger() | {"retryStrategy": {"duration": "5"}}]},
            "retryStrategy.duration: reading duration '5': not a number with a unit",
        ),
        (
            {"triggers": [trigger() | {"retryStrategy": {"factor": "2"}}]},
            "retryStrategy.factor: '2': input should be a valid number",
        ),
        ({"replicas": "2"}, "replicas: '2': input should be a valid integer"),
        ({"startFrom": "yesterday"}, "startFrom: 'yesterday': write new, all, or a duration"),
        ({"triger": []}, "triger: unknown field (did you mean triggers)"),
    ],
)
def test_refused(change: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(SensorSpec, spec() | change)
    assert problem in str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    broken = spec(dependency(""), triggers=[{}, trigger(http={})])
    with pytest.raises(InvalidModel) as caught:
        load(SensorSpec, broken)
    assert len(caught.value.problems) == 4


def test_unknown_fields_of_a_stored_object_warn() -> None:
    warnings: list[str] = []
    odd = spec() | {"flavour": 1}
    load(SensorSpec, odd, lenient=True, on_warning=warnings.append)
    assert warnings == ["flavour: unknown field ignored"]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        (
            {"triggers": [trigger(log={}, http={"url": "http://x"})]},
            "log: ignored: only http counts",
        ),
        ({"errorOnFailedRound": True}, "errorOnFailedRound: of no effect"),
        (
            {"triggers": [trigger() | {"rateLimit": {"unit": "minute", "requestsPerUnit": 1}}]},
            "unit: write Minute: Argo Events takes minute for Second",
        ),
        (
            {"triggers": [trigger() | {"retryStrategy": {"duration": 5}}]},
            "duration: 5 means 5 nanoseconds",
        ),
        (
            {"dependencies": [dependency(transform={"jq": ".", "script": "x"})]},
            "script: ignored: jq is set too",
        ),
    ],
)
def test_what_works_otherwise_than_meant_warns(change: dict, warning: str) -> None:
    warnings: list[str] = []
    load(SensorSpec, spec() | change, on_warning=warnings.append)
    assert any(w.startswith(warning) for w in warnings), warnings


@pytest.mark.parametrize(
    ("raw", "backoff"),
    [
        ({}, Backoff(1.0, 1.0, 1.0, 5)),
        ({"duration": "2s", "factor": 2, "jitter": 0.5, "steps": 3}, Backoff(2.0, 2.0, 0.5, 3)),
        ({"duration": 1_500_000_000, "steps": 0}, Backoff(1.5, 1.0, 1.0, 5)),
        ({"duration": "1h30m", "steps": -1}, Backoff(5400.0, 1.0, 1.0, 5)),
    ],
)
def test_backoff(raw: dict, backoff: Backoff) -> None:
    assert load(RetryBackoff, raw).runtime() == backoff


@pytest.mark.parametrize("duration", [True, 1.5, "1d", "5 s", "", 2**63, None])
def test_bad_durations(duration: object) -> None:
    if duration is None:  # absent
        assert load(RetryBackoff, {"duration": None}).runtime().duration == 1.0
        return
    with pytest.raises(ConfigError, match="duration"):
        load(RetryBackoff, {"duration": duration})


def test_rate_limit() -> None:
    limit = load(RateLimitConfig, {"unit": "Minute", "requestsPerUnit": 6}).runtime()
    assert limit == RateLimit(6, 60.0)
    assert limit.spacing == 10.0


def test_empty_transform_is_none() -> None:
    assert load(Transform, {}) == Transform()
