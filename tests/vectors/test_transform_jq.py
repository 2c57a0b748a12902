"""jq transforms: the same body comes out."""

import json

import pytest
from vectors.corpus import Vector, event, family

from sensor.spec import Transform
from sensor.transforms import compile_transform
from spine.errors import ConfigError, TransformError
from spine.event import Event
from spine.model import load


def _after(given: Vector, before: Event) -> Event:
    compiled = compile_transform(load(Transform, given["transform"]))
    return before if compiled is None else compiled.apply(before)


@pytest.mark.parametrize("vector", family("transform_jq"))
def test_transform(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    before = event(given["event"])
    if "error" in expect:
        with pytest.raises((ConfigError, TransformError)):
            _after(given, before)
        return
    after = _after(given, before)
    if "raw" not in expect:
        assert after.data is None
        return
    assert after.data is not None
    assert json.loads(after.data) == expect["result"]
    assert after.data.decode() == expect["raw"]
