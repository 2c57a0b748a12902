"""Parts of expressions, written: as their author would, and parsed to the same tree."""

from dataclasses import fields
from typing import Any

import pytest

from spine.lang.exprlang import part
from spine.lang.exprlang.builtins import SIGNATURES
from spine.lang.exprlang.nodes import Node
from spine.lang.exprlang.parser import parse
from spine.lang.exprlang.writing import written


def tree(text: str) -> Node:
    return parse(text, "1.17", SIGNATURES["1.17"])


def shape(value: Any) -> Any:
    """Return a tree without the places in its text."""
    if isinstance(value, Node):
        inner = {f.name: shape(getattr(value, f.name)) for f in fields(value)}
        return type(value).__name__, {k: v for k, v in inner.items() if k not in {"at", "kind"}}
    if isinstance(value, list | tuple):
        return [shape(one) for one in value]
    return type(value).__name__, value


SAME = [
    "obj.status?.phase in ['Failed', 'Error'] and not obj.spec.paused",
    "any(obj.status?.conditions ?? [], {.type == 'Ready' and .status not in ['True']})",
    "(a or b) and c",
    "a or b and c",
    "a - (b - c) - d",
    "2 ** 3 ** 2",
    "(2 ** 3) ** 2",
    "-a.b * 2",
    "(a ?? b) == c",
    "a ?? b ?? c",
    "a ? b : c",
    "let x = a.b; x > 1 and x < 5",
    "reduce(list, {#acc + #}, 0)",
    "items[1:] == x[:2]",
    "a?.[0].b[key]",
    "{'a b': 1, (c): 2}",
    "time.Now().Sub(time.Parse(obj.at)).Hours() >= 2.5",
    "name matches '^x' and 1..3 == y",
    '"it\'s" == x',
]


@pytest.mark.parametrize("text", SAME)
def test_what_is_written_tidily_stays_as_it_is(text):
    assert written(tree(text)) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a&&b||!c", "a and b or not c"),
        ('x=="1"', "x == '1'"),
        ("a < b < c", "a < b and b < c"),
        ("(a == b) == c", "(a == b) == c"),
        ("list | filter(# > 1) | len()", "len(filter(list, {# > 1}))"),
        ("a not in b", "a not in b"),
        ("if a { b } else { c }", "a ? b : c"),
    ],
)
def test_other_ways_to_write_it_mean_the_same(text, wanted):
    assert written(tree(text)) == wanted
    assert shape(tree(wanted)) == shape(tree(text))


def test_a_part_is_a_program_of_its_own():
    assert part(tree("obj.n + 1"), "1.17", {}).run({"obj": {"n": 2}}) == 3
