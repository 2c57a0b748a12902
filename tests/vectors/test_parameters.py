"""Values from events, where they are put, and messages built from them."""

import json

import pytest
from vectors.corpus import SOURCE_TEMPLATES, Rule, Vector, differs, events, family

from sensor.parameters import (
    Parameter,
    ParameterSource,
    PayloadEntry,
    compile_parameters,
    compile_payload,
    compile_source,
)
from sensor.spec import SensorTrigger
from sensor.templated import json_of, members
from spine.errors import ConfigError, ParameterError
from spine.model import load

K8S = Rule("changes a Kubernetes object: k8s comes later", lambda v: v["input"]["target"] == "k8s")


def _other_kind(vector: Vector) -> bool:
    template = vector["input"].get("trigger", {}).get("template", {})
    return bool(template.keys() - {"name", "conditions", "http", "log"})


OTHER_KINDS = Rule("a kind of trigger that comes with a later release", _other_kind)


@pytest.mark.parametrize("vector", family("resolve_param", SOURCE_TEMPLATES))
def test_resolve(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    resolve = compile_source(load(ParameterSource, given["src"]))
    if "error" in expect:
        with pytest.raises(ParameterError):
            resolve(events(given["events"]))
        return
    value = resolve(events(given["events"]))
    wanted = expect["result"]
    assert (None if value is None else value.text) == wanted["value"]
    if value is not None:
        assert value.kind.value == wanted["type"]


@pytest.mark.parametrize("vector", family("payload", SOURCE_TEMPLATES))
def test_payload(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    try:
        entries = [load(PayloadEntry, entry) for entry in given["payload"]]
    except ConfigError:
        operations = {entry.get("operation", "") for entry in given["payload"]}
        if operations - {"", "append", "overwrite", "prepend"}:
            differs("validation refuses the operation")
        raise
    if "error" in expect:
        with pytest.raises((ParameterError, ConfigError)):
            compile_payload(entries)(events(given["events"]))
        return
    assert compile_payload(entries)(events(given["events"])) == expect.get("raw", "")


def _parameters(raw: list[Vector]) -> list[Parameter]:
    return [load(Parameter, one) for one in raw]


@pytest.mark.parametrize("vector", family("apply_params", SOURCE_TEMPLATES, K8S, OTHER_KINDS))
def test_apply(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    if given["target"] == "trigger_template":
        _apply_to_template(given, expect)
        return
    document = (given.get("resource_text") or "").encode()
    try:
        parameters = _parameters(given["parameters"])
    except ConfigError:
        if "error" not in expect:
            differs("validation refuses the operation, whether the event came or not")
        return
    if "error" in expect:
        with pytest.raises((ParameterError, ConfigError)):
            compile_parameters(parameters)(document, events(given["events"]))
        return
    changed = compile_parameters(parameters)(document, events(given["events"]))
    if "raw" in expect:
        assert changed.decode() == expect["raw"]
    else:
        assert json.loads(changed) == expect["result"]


def _apply_to_template(given: Vector, expect: Vector) -> None:
    """The template that parameters make is the one that was recorded, read by our own model."""
    if "error" in expect:
        with pytest.raises((ParameterError, ConfigError)):
            _changed(given)
    else:
        assert _changed(given) == _read(expect["result"])


def _read(template: Vector) -> dict[str, object]:
    entry = load(SensorTrigger, {"template": template}, lenient=True)
    return entry.template.model_dump(exclude_none=True, exclude_defaults=True)


def _changed(given: Vector) -> dict[str, object]:
    entry = load(SensorTrigger, given["trigger"])
    document = json_of(entry.template)
    changed = compile_parameters(entry.parameters)(document, events(given["events"]))
    return _read(dict(members(changed)))
