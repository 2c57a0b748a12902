"""Transforms by jq and by Lua."""

from vectors.corpus import event
from vectors.families.text import as_json
from vectors.outcome import Outcome, Vector

from sensor.spec import Transform
from sensor.transforms import compile_transform
from spine.model import load


def after(given: Vector) -> Outcome:
    raw = given["transform"]
    compiled = compile_transform(None if raw is None else load(Transform, raw, lenient=True))
    before = event(given["event"])
    made = before if compiled is None else compiled.apply(before)
    if made.data is None:
        return Outcome.of(None)
    text = made.data.decode("utf-8", "replace")
    return Outcome.of(as_json(text), raw=text)
