import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, jsonpath, paths
from spine.lang.gjson import Document

DATA = (
    b'{"a":{"b":[{"n":1.50,"k":"x"},{"n":2,"k":"y"}],"c-d":3,"e f":4},"big":12345678901234567890}'
)

FOUND = {
    "$.a.b[0].k": '"x"',
    "$.a.b[0].n": "1.50",
    "$['a']['e f']": "4",
    "$.a.c-d": "3",
    "$.big": "12345678901234567890",
    "$.a.b[*].k": '["x","y"]',
    "$..n": "[1.5,2]",
    "$.a.b[?(@.n > 1.7)].k": '"y"',
    "$.a.b[-1].k": '"y"',
    "$.a.b[9]": None,
    "$.a.nope": None,
    "$.a.b.k": None,
    "$..nope": None,
}


@pytest.mark.parametrize("path", FOUND)
def test_a_path_finds(path: str) -> None:
    found = jsonpath.compile(path).get(Document(DATA))
    assert (None if found is None else found.raw) == FOUND[path]


def test_the_whole_document() -> None:
    found = jsonpath.compile("$").get(Document(DATA))
    assert found is not None
    assert found.data == DATA


@pytest.mark.parametrize("path", ["$.", "$.a[", "$.a b", "$[?(", "$.é[]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="compiling JSONPath"):
        jsonpath.compile(path)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("$.a[", "compiling JSONPath '$.a[': unexpected end ("),
        ("$['a", "unexpected end ("),
        ("$.a.b c", "column 7: unexpected 'c' ("),
        ("$a", "column 2: unexpected 'a' ("),
    ],
)
def test_what_is_wrong_with_a_path_is_told(path: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        paths.compile(path)
    assert why in str(caught.value)


def test_a_search_in_text_that_is_not_json_fails() -> None:
    with pytest.raises(EvaluationError, match="looking up"):
        jsonpath.compile("$..a").get(Document(b"{"))


def test_a_walk_in_text_that_is_not_json_finds_nothing() -> None:
    assert jsonpath.compile("$.a").get(Document(b"nope")) is None


def test_the_dollar_decides() -> None:
    document = Document(b'{"a":{"b":1},"$":2}')
    for path in ("a.b", "$.a.b"):
        found = paths.compile(path).get(document)
        assert found is not None
        assert found.raw == "1"


@given(st.text(st.sampled_from(list("$.ab0[]*?()@'\"<>=&|-: ")), max_size=12))
def test_any_text_raises_nothing_else(text: str) -> None:
    try:
        jsonpath.compile("$" + text).get(Document(DATA))
    except (ConfigError, EvaluationError):
        pass
