"""Functions of sprig; the texts are what sprig 3.3.0 gives."""

import re
from dataclasses import dataclass

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, gotemplate
from spine.lang.gotemplate.sprig import FUNCTIONS, REFUSED


@dataclass(frozen=True)
class Case:
    call: str
    text: str

    def __str__(self) -> str:
        return self.call


CASES = [
    # words
    Case('trunc 2 "abc" | quote', '"ab"'),
    Case('trunc -2 "abc"', "bc"),
    Case('substr -1 2 "hello"', "he"),
    Case('substr 1 99 "hello"', "ello"),
    Case('abbrev 8 "hello world"', "hello..."),
    Case('abbrevboth 5 10 "the quick brown fox jumps over the lazy dog"', "...uick..."),
    Case('wrapWith 7 "|" "kelp crab prawn"', "kelp|crab|prawn"),
    Case('wrap 5 "a bb ccc eeeeeee fff"', "a bb\nccc\neeeeeee\nfff"),
    Case('nindent 2 "a\\nb"', "\n  a\n  b"),
    Case('cat 1 nil "x" 2.5', "1 x 2.5"),
    Case('quote 1 nil "é\\n"', '"1" "é\\n"'),
    Case('squote 1 nil "it\'s"', "'1' 'it's'"),
    Case('splitList "," "a,,b"', "[a  b]"),
    Case('split "," "a,b"', "map[_0:a _1:b]"),
    Case('splitn "," 2 "a,b,c"', "map[_0:a _1:b,c]"),
    Case('join "-" (list 1 nil "a" 2.5)', "1-a-2.5"),
    Case('join "-" "scalar"', "scalar"),
    Case("sortAlpha (list 10 9 1)", "[1 10 9]"),
    Case('plural "one" "many" 1', "one"),
    Case('trimAll "$" "$5$"', "5"),
    Case('trim "\\u00a0x \\t"', "x"),
    Case('replace "a" "b" "aXa"', "bXb"),
    Case('initials "First Try"', "FT"),
    Case('nospace "blå bær"', "blåbær"),
    # cases
    Case('upper "straße ǆ"', "STRAßE Ǆ"),
    Case('lower "ÀÉ\\u03a3 \\u0130"', "àé\u03c3 i"),
    Case('title "hello_world foo-bar o\'neil"', "Hello_world Foo-Bar O'Neil"),
    Case('swapcase "aB cD"', "Ab Cd"),
    Case('snakecase "HTTP20xOK fooBar_-Baz"', "http_20x_ok_foo_bar__baz"),
    Case('snakecase "UserIDs a.B foo2bar Bld4Floor3rd"', "user_i_ds_a.b_foo_2bar_bld4_floor_3rd"),
    Case('kebabcase "XMLHttpRequest"', "xml-http-request"),
    Case('camelcase "http_server-name_"', "HttpServerName_"),
    Case('camelcase "HTTPServer"', "Httpserver"),
    # patterns
    Case('regexMatch "(" "x"', "false"),
    Case('regexFindAll "a*" "baac" -1', "[ aa ]"),
    Case('regexReplaceAll "(?P<x>b)" "abc" "${x}$x1-$$-"', "ab-$-c"),
    Case('regexReplaceAllLiteral "(a)" "banana" "$1"', "b$1n$1n$1"),
    Case('regexSplit "a*" "baac" 2', "[b c]"),
    Case('regexQuoteMeta "a.b*"', "a\\.b\\*"),
    # numbers
    Case('add 1 "2" 3.9', "6"),
    Case('int "0x1F"', "31"),
    Case('int "3.0"', "3"),
    Case('int "3.7"', "0"),
    Case("int 1e30", "-9223372036854775808"),
    Case("add 9223372036854775807 1", "-9223372036854775808"),
    Case("div -7 2", "-3"),
    Case("mod -7 2", "-1"),
    Case("mul 0.5 2", "0"),
    Case("addf 0.1 0.2", "0.3"),
    Case("divf 2 3", "0.6666666666666667"),
    Case("round 2.5 0", "3"),
    Case("round -2.5 0", "-3"),
    Case("round 1.256 2", "1.26"),
    Case("floor -1.5", "-2"),
    Case('toDecimal "777"', "511"),
    Case('atoi "99999999999999999999"', "9223372036854775807"),
    Case("until -3", "[0 -1 -2]"),
    Case("untilStep 0 10 4", "[0 4 8]"),
    Case("seq 1 2 6", "1 3 5"),
    Case("seq -2", "1 0 -1 -2"),
    # lists
    Case("first (list)", "<no value>"),
    Case("rest (list 1 2) | toJson", "[2]"),
    Case("rest (list) | toJson", "null"),
    Case("initial (list 1 2)", "[1]"),
    Case("append (list 1) 2", "[1 2]"),
    Case("prepend (list 1) 2", "[2 1]"),
    Case('uniq (list 1 1.0 1 "1" (list 1) (list 1))', "[1 1 1 [1]]"),
    Case("without (list 1 2 3) 1 3", "[2]"),
    Case("has 1.0 (list 1)", "false"),
    Case("slice (list 1 2 3) 1 2", "[2]"),
    Case("chunk 2 (list 1 2 3)", "[[1 2] [3]]"),
    Case('concat (list 1) (splitList "," "a")', "[1 a]"),
    Case("compact (list 0 1 nil)", "[1]"),
    Case('deepEqual (list "a") (splitList "," "a")', "false"),
    # maps
    Case('dict "a" 1 "b"', "map[a:1 b:]"),
    Case('get (dict "a" 1) "z" | quote', '""'),
    Case('dig "a" "b" 0 (dict "a" (dict "b" 2))', "2"),
    Case('dig "a" "b" "d" (dict)', "d"),
    Case('pluck "a" (dict "a" 1) (dict)', "[1]"),
    Case('pick (dict "a" 1 "b" 2) "a" "z"', "map[a:1]"),
    Case('omit (dict "a" 1 "b" 2) "a"', "map[b:2]"),
    Case('keys (dict "b" 1 "a" 2)', "[a b]"),
    Case('toJson (merge (dict "a" 0 "b" (dict "x" 1)) (dict "a" 2 "b" (dict "x" 5 "y" 6)))',
         '{"a":2,"b":{"x":1,"y":6}}'),
    Case('toJson (mergeOverwrite (dict "a" 1 "b" (dict "x" 1)) (dict "a" 0 "b" (dict "y" 2)))',
         '{"a":0,"b":{"x":1,"y":2}}'),
    # defaults and types
    Case('default "d" 0', "d"),
    Case('coalesce 0 "" "x" "y"', "x"),
    Case("ternary 1 2 false", "2"),
    Case('list (empty "") (empty 0.0) (empty (list 0)) (all 1 "x") (any 0 "")',
         "[true true false true false]"),
    Case("typeOf 1 | cat (typeOf (add 1)) (typeOf (list)) (kindOf (dict)) (kindOf nil)",
         "int64 []interface {} map invalid int"),
    Case('typeOf (semver "1")', "*semver.Version"),
    # dates
    Case('dateInZone "2006-01-02 15:04" 1700000000 ""', "2023-11-14 22:13"),
    Case('dateInZone "15:04 MST" 1700000000 "Europe/Berlin"', "23:13 CET"),
    Case('dateInZone "MST" 1700000000 "No/Where"', "UTC"),
    Case('toDate "2006-01-02" "2024-03-05" | dateModify "-24h" | date "Jan _2"', "Mar  4"),
    Case('toDate "2006" "x"', "0001-01-01 00:00:00 +0000 UTC"),
    Case('list (duration "95") (duration 95) (durationRound "2400h")', "[1m35s 0s 3mo]"),
    # encodings
    Case('toJson (dict "a" (list 1 2.0 "<"))', '{"a":[1,2,"\\u003c"]}'),
    Case('toRawJson "<"', '"<"'),
    Case('toPrettyJson (dict "a" (list))', '{\n  "a": []\n}'),
    Case('(fromJson "{\\"a\\": 1000000}").a', "1e+06"),
    Case('fromJson "{"', "<no value>"),
    Case('b64dec "YQ"', "illegal base64 data at input byte 0"),
    Case('b64dec "YQ=a"', "illegal base64 data at input byte 2"),
    Case('b32dec "me======"', "illegal base32 data at input byte 0"),
    Case('b32dec (b32enc "hei")', "hei"),
    Case('sha256sum "a" | trunc 8', "ca978112"),
    Case('adler32sum "abc"', "38600999"),
    # places
    Case('list (base "") (base "a/b/") (dir "/a") (clean "a//../b") (ext "a.b/c") (osExt ".x")',
         "[. b / b  .x]"),
    Case('(urlParse "https://u:p%40@ex.org:80/a%20b?x=1#f").userinfo', "u:p%40"),
    Case('(urlParse "https://[::1]:80/x").hostname', "::1"),
    Case('urlJoin (dict "scheme" "http" "host" "h" "path" "a b" "query" "q=1" "fragment" "f g")',
         "http://h/a%20b?q=1#f%20g"),
    # versions
    Case('(semver "v1.2.3-rc.1+b").Prerelease', "rc.1"),
    Case('semverCompare "^1.4.0" "1.4.2-rc.1"', "false"),
    Case('semverCompare ">=1.2, <2 || 3.x" "3.9.0"', "true"),
    Case('semverCompare "~0.2.1 || 1.0 - 1.2" "1.2.0"', "true"),
    Case('semverCompare "^0.0.3" "0.0.4"', "false"),
    # chance
    Case("uuidv4 | len", "36"),
    Case("list (randAlphaNum 8 | len) (randInt 3 4)", "[8 3]"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_call(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gotemplate.compile("{{ " + case.call + " }}").render({}) == case.text


FAILING = [
    Case("div 1 0", "divide by zero"),
    Case("divf 1 0", "division by 0"),
    Case('repeat -1 "x"', "negative"),
    Case('substr 3 1 "hello"', "out of range"),
    Case("first nil", "nil"),
    Case('first "abc"', "type string"),
    Case("slice (list 1) 0 5", "out of range"),
    Case('dig "a" "b" 1 (dict "a" nil)', "expected map"),
    Case('set nil "a" 1', "nil map"),
    Case('mustRegexFind "(" "x"', "missing"),
    Case('regexFind "(?=x)" "x"', "RE2"),
    Case('mustToDate "2006" "x"', "reading time"),
    Case('mustFromJson "{"', "reading JSON"),
    Case('semver "x"', "invalid semantic version"),
    Case('semverCompare "==1" "1.0.0"', "constraint"),
    Case('urlParse "http://a b/"', "invalid character"),
    Case("b64enc 1", "expected string"),
    Case('toRawJson (dict "f" (floor "inf"))', "not a JSON number"),
    Case("randInt 4 4", "no number"),
    Case('ternary 1 2 "true"', "expected bool"),
]


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_what_fails(case: Case) -> None:
    with pytest.raises(EvaluationError, match=re.escape(case.text)):
        gotemplate.compile("{{ " + case.call + " }}").render({})


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_left_out_says_why(name: str) -> None:
    assert name not in FUNCTIONS
    with pytest.raises(ConfigError) as caught:
        gotemplate.compile("{{ " + name + ' "x" }}')
    assert REFUSED[name] in str(caught.value)


def test_no_function_sees_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "found")
    for call in ('osBase "$SECRET"', 'clean "${SECRET}"', 'printf "$SECRET"', 'date "$SECRET" 0'):
        assert "found" not in gotemplate.compile("{{ " + call + " }}").render({})


def test_functions_are_plain_callables_too() -> None:
    assert FUNCTIONS["trunc"](2, "abc") == "ab"
    assert FUNCTIONS["round"](1.256, 2) == 1.26
    assert FUNCTIONS["default"]("d", None) == "d"
    with pytest.raises(EvaluationError, match="wrong number of args"):
        FUNCTIONS["trunc"](2)
    with pytest.raises(EvaluationError, match="expected string; got float64"):
        FUNCTIONS["upper"](1.5)
    deep: list[object] = []
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="deeper"):
        FUNCTIONS["toJson"](deep)
