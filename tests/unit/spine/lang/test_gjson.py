import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, gjson
from spine.lang.gjson import Document, Kind

DATA = rb"""{"a":{"b":1,"x.y":3,"*":4,"A":5},"arr":[{"n":"x","v":1,"t":["p","q"]},{"n":"y","v":2},
 {"n":"x","v":3,"z":null}],"nums":[3,1,2],"s":"str","nest":[[1,2],[3]],"0":"zero","nul":null,
 "js":"{\"k\":1}","":"empty","p|q":"pipe","h#":"hash","@at":"at","a:b":"colon","big":1e400,
 "yes":true,"no":false,"deep":[1,[2,[3]]],"esc\u0061pe":"e","dup":1,"dup":{"x":2}}"""


@dataclass(frozen=True)
class Case:
    path: str
    raw: str | None

    def __str__(self) -> str:
        return self.path or "(empty)"


CASES = [
    Case("a.b", "1"),
    Case("a.x\\.y", "3"),
    Case("a.\\*", "4"),
    Case("a.*", "1"),
    Case("a.?", "1"),
    Case("a.a", None),
    Case("arr.00.n", '"x"'),
    Case("arr.+1", None),
    Case("arr.-1", None),
    Case("arr.n", None),
    Case("arr.#", "3"),
    Case("arr.#.n", '["x","y","x"]'),
    Case("arr.#.t", '[["p","q"]]'),
    Case("arr.#.t.0", '["p"]'),
    Case("arr.#.z", "[null]"),
    Case('arr.#(n=="x").v', "1"),
    Case('arr.#(n="x")#.v', "[1,3]"),
    Case("arr.#(n==x)#.v", "[1,3]"),
    Case("arr.#[v>1]#.n", '["y","x"]'),
    Case("arr.#(v>1)#|0.n", '"y"'),
    Case('arr.#(n%"x*")#.v', "[1,3]"),
    Case('arr.#(n!%"x*")#.v', "[2]"),
    Case("arr.#(z)#.v", "[3]"),
    Case("arr.#(z==null)#.v", "[]"),
    Case("arr.#(z==~null)#.v", "[1,2,3]"),
    Case("arr.#(z==~*)#.v", "[3]"),
    Case("arr.#(v==~true)#.v", "[1,2,3]"),
    Case("arr.#(q==~false)#.v", "[1,2,3]"),
    Case("arr.#(v==~nope)#.v", "[]"),
    Case('arr.#(n=="none")', None),
    Case('arr.#(n=="none")#', "[]"),
    Case('arr.#(t.#(=="p")).v', "1"),
    Case("arr.#(v>=2)#|#", "2"),
    Case("arr.#(v>=2)#.#", "[]"),
    Case("arr.#()#", "[]"),
    Case("arr.#(v==1", None),
    Case("nums.#(>1)#", "[3,2]"),
    Case("nums.#(==1)", "1"),
    Case("nums.@reverse.0", "2"),
    Case("nums.9", None),
    Case("nest.@flatten", "[1,2,3]"),
    Case("nest.#.#", "[2,1]"),
    Case("nest.#.0", "[1,3]"),
    Case("deep.@flatten", "[1,2,[3]]"),
    Case('deep.@flatten:{"deep":true}', "[1,2,3]"),
    Case("[a.b,s]", '[1,"str"]'),
    Case("{a.b,s}", '{"b":1,"s":"str"}'),
    Case('{"x":a.b,"y":arr.#}', '{"x":1,"y":3}'),
    Case("{k:s}", '{"k":"str"}'),
    Case("{arr.#}", '{"_":3}'),
    Case("[a.b,missing]", "[1]"),
    Case("arr.#.{n,v}", '[{"n":"x","v":1},{"n":"y","v":2},{"n":"x","v":3}]'),
    Case("a.[b,A]|0", "1"),
    Case("a.@keys", '["b","x.y","*","A"]'),
    Case("s.@keys", "[null]"),
    Case("missing.@keys", "[]"),
    Case("a.@values", "[1,3,4,5]"),
    Case("js.@fromstr.k", "1"),
    Case("s.@tostr", '"\\"str\\""'),
    Case("s.@fromstr", None),
    Case("arr.@join", '{"n":"x","v":3,"t":["p","q"],"z":null}'),
    Case("@dig:n", '["x","y","x"]'),
    Case('{"n":arr.#.n,"v":arr.#.v}.@group', '[{"n":"x","v":1},{"n":"y","v":2},{"n":"x","v":3}]'),
    Case("arr.#.t|@flatten", '["p","q"]'),
    Case("a.@ugly", '{"b":1,"x.y":3,"*":4,"A":5}'),
    Case("nums.@pretty", "[3, 1, 2]\n"),
    Case('nums.@pretty:{"width":5,"indent":" "}', "[\n 3,\n 1,\n 2\n]\n"),
    Case('a.@pretty:{"sortKeys":true}', '{\n  "*": 4,\n  "A": 5,\n  "b": 1,\n  "x.y": 3\n}\n'),
    Case("a.@valid|b", "1"),
    Case("a|b", "1"),
    Case("missing|a", None),
    Case("js.k", None),
    Case("s.x", None),
    Case("s.0", None),
    Case("nul.x", None),
    Case("nul", "null"),
    Case("0", '"zero"'),
    Case("", '"empty"'),
    Case("@at", '"at"'),
    Case("\\@at", '"at"'),
    Case("p|q", None),
    Case("p\\|q", '"pipe"'),
    Case("h#", '"hash"'),
    Case("a:b", '"colon"'),
    Case("escape", '"e"'),
    Case("dup", "1"),
    Case("dup.x", "2"),
    Case('!"lit"', '"lit"'),
    Case("!5", "5"),
    Case('!{"a":1}.a', "1"),
    Case("!nope", None),
    Case("..#", "1"),
    Case("..0.a.b", "1"),
    Case("@nope", None),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_path_finds(case: Case) -> None:
    found = gjson.compile(case.path).get(Document(DATA))
    assert (None if found is None else found.raw) == case.raw


LINES = b'{"a":1}\n{"a":2} [1,2] "x"\n'


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("..#", "4"),
        ("..1.a", "2"),
        ("..#.a", "[1,2]"),
        ("..#(a>1)", '{"a":2}'),
        ("..2.1", "2"),
        ("..9", None),
        ("a", "1"),
    ],
)
def test_lines_of_json_are_an_array(path: str, raw: str | None) -> None:
    found = gjson.compile(path).get(Document(LINES))
    assert (None if found is None else found.raw) == raw


FORMS: list[tuple[str, Kind, str, float, bool]] = [
    ('"x"', Kind.STRING, "x", 0, False),
    ('"TRUE"', Kind.STRING, "TRUE", 0, True),
    ('"1e2"', Kind.STRING, "1e2", 100, False),
    ('"a\\u00e6\\n"', Kind.STRING, "aæ\n", 0, False),
    ('"\\ud83d"', Kind.STRING, "\ufffd", 0, False),
    ("12345678901234567890", Kind.NUMBER, "12345678901234567890", 1.2345678901234567e19, True),
    ("1.50", Kind.NUMBER, "1.5", 1.5, True),
    ("1e3", Kind.NUMBER, "1000", 1000, True),
    ("-0.0", Kind.NUMBER, "-0", 0, False),
    ("1e400", Kind.NUMBER, "+Inf", float("inf"), True),
    ("true", Kind.TRUE, "true", 1, True),
    ("false", Kind.FALSE, "false", 0, False),
    ("null", Kind.NULL, "", 0, False),
    ('{ "a": 1 }', Kind.JSON, '{ "a": 1 }', 0, False),
]


@pytest.mark.parametrize(("raw", "kind", "text", "number", "boolean"), FORMS)
def test_a_result_in_its_forms(
    raw: str, kind: Kind, text: str, number: float, boolean: bool
) -> None:
    found = gjson.compile("v").get(Document(f'{{"v": {raw} }}'.encode()))
    assert found is not None
    assert (found.kind, found.raw, found.text, found.number, found.boolean) == (
        kind,
        raw,
        text,
        number,
        boolean,
    )


@pytest.mark.parametrize("data", [b"{", b"", b"nope", b'{"a":1}{', b"\xff", b'{"a" 1}', b"[1,,2]"])
def test_text_that_is_not_json_is_known_as_such(data: bytes) -> None:
    assert not Document(data).valid


def test_a_document_is_decoded_once_for_each_level() -> None:
    document = Document(DATA)
    path = gjson.compile("arr.0.t")
    assert path.get(document) is path.get(document)


@pytest.mark.parametrize(
    "path", ['@flatten:{"deep":true}', "@dig:x", "@pretty", "@this", "#.#", "0.0.0", "@ugly"]
)
def test_a_document_nested_without_end_does_no_harm(path: str) -> None:
    deep = Document(b"[" * 100_000 + b"]" * 100_000)
    try:
        gjson.compile(path).get(deep)
    except EvaluationError as exc:
        assert "nested too deeply" in str(exc)  # noqa: PT017 -- either is fine
    assert not deep.valid


def test_a_path_nested_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        gjson.compile("[" * 2000 + "]" * 2000)
    with pytest.raises(ConfigError, match="longer than 4096 characters"):
        gjson.compile("a." * 3000)


def test_patterns_take_no_exponential_time() -> None:
    data = json.dumps({"a" * 200: 1}).encode()
    assert gjson.compile("*a" * 60 + "b").get(Document(data)) is None


# ---------------------------------------------------------------------------- properties

keys = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=0, max_size=6)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=25,
)


def escaped(key: str) -> str:
    return re.sub(r"([\\.|*?#@!{}\[\]()=<>%\"~:])", r"\\\1", key)


def every_place(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield at, value
    if not isinstance(value, dict | list):
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from every_place(item, (*at, key))


@given(documents.filter(lambda value: isinstance(value, dict | list)), st.booleans(), st.data())
def test_every_place_is_found_by_its_plain_path(value: Any, ascii_only: bool, data: Any) -> None:
    places = [place for place in every_place(value) if place[0]]
    assume(places)
    keys, wanted = data.draw(st.sampled_from(places))
    text = json.dumps(value, ensure_ascii=ascii_only, indent=data.draw(st.sampled_from([None, 2])))
    path = ".".join(escaped(str(key)) for key in keys)
    assume(not path.startswith(".."))  # that begins JSON lines
    found = gjson.compile(path).get(Document(text.encode()))
    assert found is not None
    assert json.loads(found.raw) == wanted


pieces = list('ab01.|#()[]{}@!*?\\"=<>%~:,-_ é')
paths = st.lists(
    st.sampled_from([*pieces, "@this", "@keys", "@dig:", "..", "#.", '#(a=="b")#']), max_size=14
).map("".join)


@given(paths, documents.map(json.dumps) | st.text(max_size=30))
@example("@group", '{"a":1}')
@example('@pretty:{"width":"x"}', "[1]")
@example("!\\", "{}")
def test_any_path_on_any_text_gives_a_result_or_none(path: str, text: str) -> None:
    document = Document(text.encode("utf-8", "surrogatepass"))
    try:
        found = gjson.compile(path).get(document)
    except (ConfigError, EvaluationError):
        return
    if found is not None:
        assert isinstance(found.text, str)
        assert isinstance(found.number, float)
        assert isinstance(found.boolean, bool)
        assert isinstance(found.kind, Kind)
