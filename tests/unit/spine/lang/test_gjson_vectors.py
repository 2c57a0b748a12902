"""What Argo Events' own gjson answered."""

import json
from pathlib import Path
from typing import Any

import pytest

from spine.lang import gjson

FILE = Path(__file__).parents[5] / "shared" / "vectors" / "sensor" / "gjson_path.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_bytes()) if FILE.exists() else []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_a_path_finds_what_was_recorded(vector: dict[str, Any]) -> None:
    expected = vector["expect"]["result"]
    document = gjson.Document(vector["input"]["data"].encode())
    found = gjson.compile(vector["input"]["path"]).get(document)
    if not expected["exists"]:
        assert found is None
        return
    assert found is not None
    assert (found.kind.value, found.raw) == (expected["type"], expected["raw"])
    assert (found.text, found.boolean) == (expected["string"], expected["bool"])
    assert found.number == float(expected["number"])
