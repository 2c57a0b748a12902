"""Specs: what is read, what is refused, and what follows from it."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError
from vectors.corpus import SOURCE_TEMPLATES, Rule, Vector, differs, family, walk

from sensor.spec import Dependency, RetryBackoff, SensorSpec, SensorTrigger
from spine.errors import ConfigError
from spine.model import load

KINDS = {
    "backoff": RetryBackoff,
    "trigger": SensorTrigger,
    "dependency": Dependency,
    "sensor_spec": SensorSpec,
}
NOT_OURS = Rule("of another part", lambda v: v["input"]["kind"] not in KINDS)
PARTS = Rule(
    "a part that is not valid by itself: Go fills in zeros, we name what is missing",
    lambda v: (
        v["input"]["kind"] in {"trigger", "dependency", "sensor_spec"}
        and "error" not in v["expect"]
    ),
)


def _object(given: Vector) -> Vector:
    return given["object"] if "object" in given else json.loads(given["object_text"])


@pytest.mark.parametrize("vector", family("spec_normalise", SOURCE_TEMPLATES, NOT_OURS, PARTS))
def test_normalise(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    model = KINDS[given["kind"]]
    if "error" in expect:
        with pytest.raises(ConfigError):
            load(model, _object(given), lenient=True)
        return
    backoff = load(RetryBackoff, _object(given), lenient=True).runtime()
    wanted = expect["result"]
    assert backoff.duration == pytest.approx(wanted["duration_ns"] / 1e9)
    assert (backoff.factor, backoff.jitter) == (wanted["factor"], wanted["jitter"])
    assert backoff.steps == wanted["steps"]


REPLICAS = Rule(
    "no replicas in it",
    lambda v: (
        v["input"]["kind"] != "sensor_spec"
        or "error" in v["expect"]
        or not any(key == "replicas" for key, _ in walk(v["input"]))
    ),
)


@pytest.mark.parametrize("vector", family("spec_normalise", REPLICAS))
def test_replicas(vector: Vector) -> None:
    given = vector["input"]
    field = SensorSpec.model_fields["replicas"]
    try:
        replicas = TypeAdapter(field.rebuild_annotation()).validate_python(
            _object(given)["replicas"] or field.default
        )
    except ValidationError:
        raise AssertionError(given) from None
    if given["object"].get("replicas") is None:
        differs("null is absent")
    assert max(1, replicas) == vector["expect"]["derived"]["effective_replicas"]
