"""What Argo Events' own sjson wrote, for the recorded parameters that need nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, gjson, sjson

FILE = Path(__file__).parents[5] / "shared" / "vectors" / "sensor" / "apply_params.json"


def is_plain(vector: dict[str, Any]) -> bool:
    parameters = vector["input"].get("parameters", [])
    wanted = {"dependencyName", "dataKey", "useRawData"}
    return vector["input"]["target"] == "json" and all(
        not parameter.get("operation")
        and set(parameter["src"]) <= wanted
        and "dataKey" in parameter["src"]
        for parameter in parameters
    )


VECTORS = [v for v in json.loads(FILE.read_bytes()) if is_plain(v)] if FILE.exists() else []


def apply(text: bytes, parameter: dict[str, Any], events: dict[str, Any]) -> bytes:
    source = parameter["src"]
    if source["dependencyName"] not in events:
        return text
    event = events[source["dependencyName"]]
    found = gjson.compile(source["dataKey"]).get(gjson.Document(event["data"].encode()))
    if found is None:
        raise EvaluationError("missing")
    setter = sjson.compile(parameter["dest"])
    value = "null" if found.kind is gjson.Kind.NULL else found.text
    if source.get("useRawData") and found.kind is not gjson.Kind.STRING:
        return setter.set(text, value.encode())
    return setter.set_text(text, value)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_parameters_are_written_as_was_recorded(vector: dict[str, Any]) -> None:
    given, expected = vector["input"], vector["expect"]
    text = given["resource_text"].encode()
    try:
        for parameter in given["parameters"]:
            text = apply(text, parameter, given["events"])
    except (ConfigError, EvaluationError, KeyError):
        assert expected.get("error")
        return
    assert text.decode() == expected["raw"]
