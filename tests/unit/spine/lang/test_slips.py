"""Slips in paths: what is told of them, that the guess finds it, and what is none."""

import json

import pytest

from spine.lang import gjson, jsonpath, sjson
from spine.lang.gjson import Document
from spine.lang.slips import of_destination, of_path

DATA = {
    "x": 1,
    "a.b": {"c": 2},
    "items": [{"name": "first", "on": [1, 2]}, {"name": "last", "on": [3]}],
}
GUESSED = [  # a slip, what was meant, and the same in JSONPath where that says it
    ("items[0]", "items.0", "$.items[0]"),
    ("items[0].on[1]", "items.0.on.1", "$.items[0].on[1]"),
    ("items[*].name", "items.#.name", "$.items[*].name"),
    ("items[].name", "items.#.name", "$.items[*].name"),
    ("items[*]", "items", "$.items"),
    ("items[-1].name", "items.@reverse.0.name", "$.items[1].name"),
    ('items[0]["name"]', "items.0.name", "$.items[0].name"),
    (".x", "x", "$.x"),
    ("x.", "x", "$.x"),
    (".items[0].", "items.0", "$.items[0]"),
]
NONE = [
    "", "x", "items.0", "items.#", "items.#.name", "$.items[0]", "a\\.b", "items\\[0\\]",
    'items.#(name=="[0]").on', "items.#(on.#(==1))#", "items|0", "@this", "@reverse", "..0", "..#",
    "[x,items]", "items.[0,1]", '{"y":x}', 'items.@pretty:{"indent":"[0]"}', '!"[0]"', "it*",
    "i?ems", "items[", "items]0", "items[0]x", "x..y",
]  # fmt: skip


def found(path: str) -> object:
    what = gjson.compile(path).get(Document(json.dumps(DATA).encode()))
    return None if what is None else json.loads(what.raw)


@pytest.mark.parametrize(("slip", "meant", "other"), GUESSED)
def test_what_was_meant_is_there_and_what_was_written_is_not(slip, meant, other):
    assert of_path(slip).endswith(f" (did you mean {meant})")
    assert of_path(meant) == ""
    assert found(slip) is None
    there = jsonpath.compile(other).get(Document(json.dumps(DATA).encode()))
    assert there is not None
    assert found(meant) == json.loads(there.raw)


@pytest.mark.parametrize("path", NONE)
def test_what_is_legal_and_may_be_meant_is_not_told(path):
    assert of_path(path) == ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("items[0]", "items[0] is taken for a name, with its brackets (did you mean items.0)"),
        ("items[0:1]", "items[0:1] is taken for a name, with its brackets"),
        ("items[?(@.on > 1)].name", "items[?(@.on > 1)] is taken for a name, with its brackets"),
        (".x", "the dot at the start stands behind an empty name (did you mean x)"),
        ("x.", "the dot at the end stands before an empty name (did you mean x)"),
        (".", "the dot at the start stands behind an empty name (did you mean @this)"),
        ("['a.b']", ""),
        (
            "$.x['a.b']",
            "$ is taken for a name (did you mean x.a\\.b)",
        ),
    ],
)
def test_words(path, told):
    assert (of_destination if path.startswith("$") else of_path)(path) == told


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("items[0].name", "items.0.name"),
        ("items[-1]", "items.-1"),
        ("$.x", "x"),
        ("$['a.b'].c", "a\\.b.c"),
        (".x", "x"),
        ("x.", "x"),
    ],
)
def test_places_that_are_written_to(slip, meant):
    assert of_destination(slip).endswith(f" (did you mean {meant})")
    text = json.dumps(DATA).encode()
    written, wanted = (json.loads(sjson.compile(path).set(text, b"7")) for path in (slip, meant))
    assert wanted.keys() == DATA.keys()
    assert written != wanted


@pytest.mark.parametrize(
    "path", ["x", "items.0", "items.-1", ":1", "x.:1", "a\\.b.c", "items.#.on"]
)
def test_places_that_are_no_slips(path):
    assert of_destination(path) == ""
