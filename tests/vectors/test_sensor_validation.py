"""Validation: what Argo Events refuses is refused; what it takes works, or we say why not."""

from collections.abc import Iterator

import pytest
from vectors.corpus import (
    DATA_TEMPLATES,
    EXPRS,
    SCRIPTS,
    SOURCE_TEMPLATES,
    Rule,
    Vector,
    differs,
    family,
    walk,
)

from sensor.plan import compile_plan
from sensor.spec import KINDS, SensorSpec
from spine.errors import ConfigError
from spine.model import load

BUILT = {"http", "log"}


def _templates(vector: Vector) -> Iterator[Vector]:
    for key, value in walk(vector["input"]["spec"]):
        if key == "template" and isinstance(value, dict):
            yield value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


WAITING = {_camel(kind) for kind in KINDS} - BUILT
OTHER_KINDS = Rule(
    "a kind of trigger that comes with a later release",
    lambda v: any(t.keys() & WAITING for t in _templates(v)),
)
RESETS = Rule(
    "conditionsReset comes with a later release",
    lambda v: any(t.get("conditionsReset") for t in _templates(v)),
)
STAN = Rule(
    "a rule for STAN only, where one event cannot feed two dependencies: we serve it by JetStream",
    lambda v: "nats" in (v["input"].get("eventBus") or {}).get("spec", {}),
)
NO_BUS = Rule("the bus is checked by tocsin lint", lambda v: v["input"].get("eventBus") is None)

STRICTER = {
    "no dependency is called": "an unknown name in conditions is refused",
    "compiling conditions": "conditions that cannot be parsed are refused",
    "this name is taken": "a name twice is refused: one would hide the other",
    "it does nothing": "a template without a kind is refused",
    "set caCertSecret": "tls that sets nothing is refused",
    "it is no name of a header": "a header without a name is refused",
    "reading http.url": "a URL that cannot be called is refused",
    "regular expression": "a bad regular expression is refused",
    "is no number": "a value that is no number is refused",
    "neither true": "a value that is no boolean is refused",
    "input should be 'string', 'number' or 'bool'": "an unknown type of data filter is refused",
    "string should have at least 1 character": "a dynamic header without a name is refused",
    "requestsPerUnit": "rateLimit without requestsPerUnit is refused (it panics there)",
    "jq program": "a jq program that does not compile is refused",
    "compiling path": "a path that can never work is refused",
    "retryStrategy.duration": "a duration that cannot be read is refused",
    "retryStrategy.factor": "a factor that is no number is refused",
}
"""What we refuse beyond Argo Events, by a piece of our message."""


@pytest.mark.parametrize(
    "vector",
    family(
        "sensor_validation",
        NO_BUS,
        STAN,
        OTHER_KINDS,
        RESETS,
        EXPRS,
        SCRIPTS,
        SOURCE_TEMPLATES,
        DATA_TEMPLATES,
    ),
)
def test_validation(vector: Vector) -> None:
    spec, expect = vector["input"]["spec"], vector["expect"]
    try:
        compile_plan("s", "ns", load(SensorSpec, spec, lenient=True))
    except ConfigError as exc:
        if "error" in expect:
            return
        for piece, reason in STRICTER.items():
            if piece in str(exc):
                differs(reason)
        raise
    if "error" in expect:
        entries = [t for t in spec["triggers"] if t.get("dlqTrigger")]
        if entries and expect.get("contains") == "atLeastOnce":
            differs("at least once is the default, so dlqTrigger need not say it")
        raise AssertionError(expect)
