"""Paths into documents: reading (gjson, JSONPath) and writing (sjson)."""

from typing import Any

from fuzz_kit import documents, fuzz, mangled, nested, words
from hypothesis import strategies as st

from spine.lang import gjson, jsonpath, sjson
from spine.lang.gjson import Document

_KEYS = ("a", "b", "c", "0", "1", "key", "value", "@x", "\\.", "*", "?", "é")
_STEPS = (".", "|", "#", "..", ".#.", "#|", "@this", "@keys", "@values", "@flatten", "@reverse")
_PARTS = ('#(a=="b")#', "#(>1)", '#(b!%"*")#', "#(c==~true)", "@dig:a", "@join", "@group")
_MORE = (
    '@pretty:{"indent":"\\t"}',
    "{a,b}",
    '["a",b]',
    '{"x":a,"y":#}',
    "@tostr",
    "@fromstr",
    "!1",
)

gjson_paths = st.one_of(
    mangled(words(*_KEYS, *_STEPS, *_PARTS, *_MORE, most=8), '.|#()[]{}@!*?\\"=<>%~:,-_ '),
    nested(1200, ("#(a", ")"), ("[", "]"), ("{", "}"), ("@join.", ""), ("a.", "")),
)
sjson_paths = st.one_of(
    mangled(
        words("a", "b", "0", "1", "-1", "99", ".", ":1", "#", "#.a", '#(a=="b")#', "\\.", "*"),
        ".:#",
    ),
    nested(1200, ("a.", ""), ("0.", "")),
)
json_paths = st.one_of(
    mangled(
        words(
            ".a", ".b", "[0]", "[*]", "..", ".*", "['a']", "[0:1]", "[?(@.a>1)]", "$", "@", most=6
        ),
        "$.ab01[]*?()@'\"<>=&|-: ",
    ).map("$".__add__),
    nested(500, ("$[", "]"), ("$.a", "")),
)


def _told(document: Document, found: gjson.Result | None) -> Any:
    if found is None:
        return None
    return found.text, found.number, found.boolean, found.kind.value, found.raw


@fuzz(gjson_paths, documents, useful=0.3)
def test_gjson(path: str, text: str) -> Any:
    document = Document(text.encode("utf-8", "surrogatepass"))
    return _told(document, gjson.compile(path).get(document))


@fuzz(json_paths, documents)
def test_jsonpath(path: str, text: str) -> Any:
    document = Document(text.encode("utf-8", "surrogatepass"))
    return _told(document, jsonpath.compile(path).get(document))


@fuzz(sjson_paths, documents, st.text(max_size=5), size=3_000_000)
def test_sjson(path: str, text: str, value: str) -> Any:
    data = text.encode("utf-8", "surrogatepass")
    made = sjson.compile(path).set_text(data, value)
    if Document(data).valid:
        assert Document(made).valid
    return made
