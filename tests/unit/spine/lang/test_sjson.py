import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, gjson, sjson

DATA = b'{"a":{"b":[{"v":"x"},{"v":"y"}]},"s":"str","n":1,"1":"one","dot.key":"dk"}'

WRITTEN: list[tuple[str, str, str]] = [
    ("a.b.0.v", '{"v":"x"}', '{"v":"NEW"}'),
    ("a.b.01.v", '{"v":"y"}', '{"v":"NEW"}'),
    ("a.b.2.v", '{"v":"y"}]', '{"v":"y"},{"v":"NEW"}]'),
    ("a.b.-1.v", '{"v":"y"}]', '{"v":"y"},{"v":"NEW"}]'),
    ("a.b.4", '{"v":"y"}]', '{"v":"y"},null,null,"NEW"]'),
    ("a.b.-1", '{"v":"y"}]', '{"v":"y"},"NEW"]'),
    ("s.k", '"str"', '{"k":"NEW"}'),
    ("n.0", '"n":1', '"n":["NEW"]'),
    ("new.x.y", '"dk"}', '"dk","new":{"x":{"y":"NEW"}}}'),
    ("new.0.x", '"dk"}', '"dk","new":[{"x":"NEW"}]}'),
    ("new.-1.x", '"dk"}', '"dk","new":[{"x":"NEW"}]}'),
    ("new.2", '"dk"}', '"dk","new":[null,null,"NEW"]}'),
    ("1", '"one"', '"NEW"'),
    ("zz.:1", '"dk"}', '"dk","zz":{"1":"NEW"}}'),
    ("zz.1", '"dk"}', '"dk","zz":[null,"NEW"]}'),
    ("dot\\.key", '"dk"', '"NEW"'),
    ("new\\.key", '"dk"}', '"dk","new.key":"NEW"}'),
    ("a.b.#.v", '[{"v":"x"},{"v":"y"}]', '[{"v":"NEW"},{"v":"NEW"}]'),
    ('a.b.#(v=="y").v', '{"v":"y"}', '{"v":"NEW"}'),
    ('a.b.#(v>"a")#.v', '[{"v":"x"},{"v":"y"}]', '[{"v":"NEW"},{"v":"NEW"}]'),
    ("a.*", '[{"v":"x"},{"v":"y"}]', '"NEW"'),
    ("a.", "}]}", '}],"":"NEW"}'),
    (".a", '"dk"}', '"dk","":{"a":"NEW"}}'),
    ('q"', '"dk"}', '"dk","q\\"":"NEW"}'),
]


@pytest.mark.parametrize(("path", "old", "new"), WRITTEN)
def test_a_text_is_written_and_the_rest_left_alone(path: str, old: str, new: str) -> None:
    assert sjson.compile(path).set_text(DATA, "NEW").decode() == DATA.decode().replace(old, new, 1)


@pytest.mark.parametrize(
    "path", ["a.b.#", "@this", "a|b", "q?", "x*y", 'a.b.#(v=="z").v', "a.@keys", "#.x"]
)
def test_a_path_that_matches_nothing_changes_nothing(path: str) -> None:
    assert sjson.compile(path).set_text(DATA, "NEW") == DATA


FRESH = {
    "0.a": '[{"a":"NEW"}]',
    "2": '[null,null,"NEW"]',
    "a.-1": '{"a":["NEW"]}',
    "-1": '{"-1":"NEW"}',
    "a.b": '{"a":{"b":"NEW"}}',
    ":0": '{"0":"NEW"}',
}


@pytest.mark.parametrize("path", FRESH)
@pytest.mark.parametrize("data", [b"", b"  ", b"null", b"5", b'"s"', b"true"])
def test_what_is_no_container_gives_way(path: str, data: bytes) -> None:
    assert sjson.compile(path).set_text(data, "NEW").decode() == FRESH[path]


SPACED = b' { "a" : [ 1 , 2 ] , "o" : { } } '


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("a.1", ' { "a" : [ 1 , "NEW" ] , "o" : { } } '),
        ("a.-1", ' { "a" : [ 1 , 2 ,"NEW"] , "o" : { } } '),
        ("a.2", ' { "a" : [1,2,"NEW"] , "o" : { } } '),
        ("o.x", ' { "a" : [ 1 , 2 ] , "o" : { "x":"NEW"} } '),
    ],
)
def test_white_space_stays_around_what_is_written(path: str, made: str) -> None:
    assert sjson.compile(path).set_text(SPACED, "NEW").decode() == made


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("<&>", '"<&>"'),
        ("é<", '"é\\u003c"'),
        ('"\n', '"\\"\\n"'),
        ("\u2028", '"\\u2028"'),
        ("\ud800", '"\ufffd"'),
    ],
)
def test_only_plain_texts_are_copied_as_they_are(text: str, quoted: str) -> None:
    assert sjson.compile("s").set_text(b'{"s":1}', text).decode() == f'{{"s":{quoted}}}'


def test_raw_values_keep_their_spelling() -> None:
    assert sjson.compile("n").set(b'{"n":1}', b"1.0e2") == b'{"n":1.0e2}'


def test_the_first_of_repeated_keys_is_written() -> None:
    assert sjson.compile("a").set(b'{"a":1,"a":2}', b"3") == b'{"a":3,"a":2}'
    assert sjson.compile("a").set(rb'{"\u0061":1,"a":2}', b"3") == rb'{"\u0061":3,"a":2}'


def test_a_key_that_is_only_deeper_down_is_added() -> None:
    assert sjson.compile("k").set(b'{"o":{"k":1}}', b"2") == b'{"o":{"k":1},"k":2}'


@pytest.mark.parametrize("path", ["a.b.x", "a.b.-2", "a.b.:-1", "a.b.:9"])
def test_a_name_in_an_array_is_refused(path: str) -> None:
    with pytest.raises(
        EvaluationError, match=r"not an index of the array .* \(use a number or -1\)"
    ):
        sjson.compile(path).set_text(DATA, "NEW")


def test_an_array_does_not_grow_without_end() -> None:
    with pytest.raises(EvaluationError, match="more than"):
        sjson.compile("a.b.99999999").set_text(DATA, "NEW")


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="it is empty"):
        sjson.compile("")


# ---------------------------------------------------------------------------- properties

names = st.text(
    st.characters(codec="utf-8", exclude_characters=".|#@*?\\:"), min_size=1, max_size=5
).filter(lambda name: name.strip("0123456789") and name != "-1")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(names, values, max_size=4),
    st.lists(names, min_size=1, max_size=3),
    values,
    st.sampled_from([None, 1]),
)
def test_what_was_set_is_found_again(
    document: Any, keys: list[str], value: Any, indent: Any
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=indent is None).encode()
    holder = document
    for key in keys[:-1]:
        holder = holder.get(key, {})
        if not isinstance(holder, dict):
            break
    if isinstance(holder, list):
        return  # a name in an array is refused
    made = sjson.compile(".".join(keys)).set(text, json.dumps(value).encode())
    again: Any = json.loads(made)
    for key in keys:
        again = again[key]
    assert again == value
    for key, other in document.items():
        if key != keys[0]:
            assert json.loads(made)[key] == other


@given(
    st.text(st.sampled_from(list('ab01.:#()*?|@\\-="')), min_size=1, max_size=10),
    values.map(json.dumps) | st.text(max_size=20),
    st.text(max_size=6),
)
def test_any_path_on_any_text_raises_nothing_else(path: str, text: str, value: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        made = sjson.compile(path).set_text(data, value)
    except (ConfigError, EvaluationError):
        return
    document = gjson.Document(data)
    if document.valid:
        assert gjson.Document(made).valid


def test_a_path_is_no_deeper_than_readers_are() -> None:
    assert sjson.compile("a." * 499 + "a").set_text(b"{}", "x")
    with pytest.raises(ConfigError, match="deeper than 500"):
        sjson.compile("a." * 500 + "a")
