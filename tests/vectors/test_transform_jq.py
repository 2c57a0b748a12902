"""jq transforms: the same body comes out."""

import json
import re

import pytest
from vectors.corpus import Vector, differs, event, family

from sensor.spec import Transform
from sensor.transforms import compile_transform
from spine.errors import ConfigError, TransformError
from spine.event import Event
from spine.model import load

_MATCHING = re.compile(r"\b(test|match|capture|scan|split|splits|sub|gsub)\(")


def _after(given: Vector, before: Event) -> Event:
    compiled = compile_transform(load(Transform, given["transform"]))
    return before if compiled is None else compiled.apply(before)


@pytest.mark.parametrize("vector", family("transform_jq"))
def test_transform(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    before = event(given["event"])
    try:
        after = _after(given, before)
    except ConfigError:
        if before.data is None:
            differs("a program that does not compile is refused, with and without data")
        assert "error" in expect
        return
    except TransformError:
        assert "error" in expect
        return
    if "error" in expect:
        if _MATCHING.search(given["transform"]["jq"]):
            differs("jq's own regular expressions (Oniguruma) take more than Go's")
        raise AssertionError(after.data)
    if "raw" not in expect:
        assert after.data is None
        return
    assert after.data is not None
    _same(after.data.decode(), expect["raw"])


def _same(got: str, wanted: str) -> None:
    if got != wanted and json.loads(got, parse_int=float) == json.loads(wanted, parse_int=float):
        if re.search(r"-0\b", wanted):
            differs("some programs lose the sign of zero")
        if re.search(r"\d{17}", wanted):
            differs("integers that a program computes are doubles")
    assert got == wanted
