"""jq transforms: the same body comes out."""

import json

import pytest
from vectors.corpus import Vector, event, family

from sensor.spec import Transform
from sensor.transforms import compile_transform
from spine.errors import ConfigError, TransformError
from spine.model import load


@pytest.mark.parametrize("vector", family("transform_jq"))
def test_transform(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    before = event(given["event"])
    if "error" in expect:
        with pytest.raises((ConfigError, TransformError)):
            compiled = compile_transform(load(Transform, given["transform"]))
            assert compiled is not None
            compiled.apply(before)
        return
    compiled = compile_transform(load(Transform, given["transform"]))
    after = before if compiled is None else compiled.apply(before)
    if "raw" not in expect:
        assert after.data is None
        return
    assert after.data is not None
    assert json.loads(after.data) == expect["result"]
    assert after.data.decode() == expect["raw"]
