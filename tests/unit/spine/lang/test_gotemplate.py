"""Go templates; the texts are what Go's text/template gives."""

import copy
import time
from dataclasses import dataclass
from typing import Any

import pytest

from spine.errors import ConfigError
from spine.lang import EvaluationError, gotemplate
from spine.lang.gjson import Document
from spine.lang.gotemplate.tree import Action, Field
from spine.lang.gotime import parse_time

DATA = Document(
    b"""{"s": "text", "n": 3, "f": 2.5, "big": 1000000, "yes": true, "nil": null, "empty": "",
    "list": ["b", "a"], "mixed": [1, null, "x"], "none": [], "map": {"b": 2, "a": {"c": "deep"}},
    "odd-name": "odd", "items": [{"id": 1}, {"id": 2}]}"""
).decoded


@dataclass(frozen=True)
class Case:
    template: str
    text: str

    def __str__(self) -> str:
        return self.template


CASES = [
    Case("plain }} text", "plain }} text"),
    Case("", ""),
    Case("{{ .s }}-{{ .n }}-{{ .f }}-{{ .big }}-{{ .yes }}", "text-3-2.5-1e+06-true"),
    Case("{{ .map.a.c }} {{ .zz }} {{ .zz.y.x }} {{ .nil }}",
         "deep <no value> <no value> <no value>"),
    Case("{{ .map }} {{ .mixed }}", "map[a:map[c:deep] b:2] [1 <nil> x]"),
    Case('{{ index . "odd-name" }} {{ index .list 1 }} {{ index .items 0 "id" }}', "odd a 1"),
    Case("{{ (.nil).x }}", "<no value>"),
    Case("a  {{- 1 -}}  b {{ 2 }}  c", "a1b 2  c"),
    Case("a {{- /* gone */ -}} b", "ab"),
    Case("{{ 1 }} {{ 1.0 }} {{ 0x10 }} {{ 1_000 }} {{ 'a' }} {{ 1e6 }} {{ 017 }} {{ 1+2i }}",
         "1 1 16 1000 97 1e+06 15 (1+2i)"),
    Case('{{ "q\\t\\u00e9" }}{{ `raw\\n` }}', "q\té" + "raw\\n"),
    Case("{{ if .s }}A{{ else }}B{{ end }}", "A"),
    Case("{{ if .zz }}A{{ else if .n }}C{{ else }}B{{ end }}", "C"),
    Case("{{ with .map.a }}{{ .c }}{{ else }}B{{ end }}", "deep"),
    Case("{{ with .zz }}A{{ else with .s }}{{ . }}{{ end }}", "text"),
    Case("{{ range $i, $e := .list }}{{ $i }}{{ $e }} {{ end }}", "0b 1a "),
    Case("{{ range $k, $v := .map }}{{ $k }};{{ end }}", "a;b;"),
    Case("{{ range .none }}x{{ else }}none{{ end }}", "none"),
    Case("{{ range .zz }}x{{ else }}zz{{ end }}", "zz"),
    Case("{{ range 3 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ . }}{{ end }}", "02"),
    Case("{{ range .list }}{{ . }}{{ break }}{{ end }}", "b"),
    Case("{{ range $i := 2 }}{{ range 5 }}{{ if . }}{{ break }}{{ end }}{{ $i }}{{ end }}{{ end }}",
         "01"),
    Case("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ $x }}{{ end }}{{ $x }}", "32"),
    Case("{{ range .items }}{{ .id }}{{ $.s }} {{ end }}", "1text 2text "),
    Case('{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" .s }}{{ template "t" }}',
         "[text][<no value>]"),
    Case('{{ block "b" .n }}<{{ . }}>{{ end }}', "<3>"),
    Case('{{ .s | printf "%s-%d" "a" }}', "a-%!d(string=text)"),
    Case("{{ and 1 0 2 }} {{ or 0 .zz 5 }} {{ not .empty }}", "0 5 true"),
    Case("{{ and .zz .zz.y }}", "<no value>"),
    Case("{{ or .s (index .list 99) }}", "text"),
    Case('{{ eq .n 3.0 }} {{ eq .s "x" "text" }} {{ ne .s "x" }} {{ lt 1 2 }} {{ ge "b" "a" }}',
         "true true true true true"),
    Case("{{ eq .zz nil }} {{ eq .nil .zz }} {{ eq .zz 1 }}", "true true false"),
    Case('{{ len .s }} {{ len "é" }} {{ len .map }}', "4 2 2"),
    Case('{{ print 1 2 "a" "b" 3 }} {{ println .zz "x" }}', "1 2ab3 <nil> x\n"),
    Case('{{ html "<a b=\'&\'>" }} {{ js "it\'s\\n<" }} {{ urlquery "a b&é" }}',
         "&lt;a b=&#39;&amp;&#39;&gt; it\\'s\\u000A\\u003C a+b%26%C3%A9"),
    Case("{{ .n | }}", "3"),
    Case("{{ $.s }}", "text"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_render(case: Case) -> None:
    assert gotemplate.compile(case.template).render(DATA) == case.text


NEVER = [
    Case("{{ .s", "line 1, column 6: unclosed action"),
    Case("a\nb {{ upperr .s }}", 'line 2, column 6: function "upperr" not defined'),
    Case("{{ upperr .s }}", "did you mean upper?"),
    Case('{{ env "HOME" }}', "a template does not see the host"),
    Case('{{ bcrypt "x" }}', "keys and password hashes"),
    Case("{{ $y }}", "undefined variable '$y'"),
    Case("{{ $count := 1 }}{{ $cuont }}", "did you mean $count?"),
    Case("{{ if .s }}x", "unexpected end of the template: {{ end }} is missing"),
    Case("{{ end }}", "unexpected 'end' in input (no if, range, with or define is open for this"),
    Case("{{ Zqx }}", "(write .Zqx for a field)"),
    Case("{{ .s[0] }}", "(write {{ index .s 0 }} for an element)"),
    Case("{{ 'a }}", "unterminated character constant (a text stands in double quotes"),
    Case("{{-.s }}", "bad number syntax: '-' (write a blank behind {{-)"),
    Case("{{ /* x */ }}", "(write a comment as {{/* … */}}"),
    Case("{{ break }}", "outside {{range}}"),
    Case("{{ .odd-name }}", "bad character '-' after '.odd'"),
    Case("{{ .list.0 }}", "unexpected '.0'"),
    Case("{{ .n == 3 }}", "write comparisons as calls"),
    Case('{{ "multi', "unterminated quoted string"),
    Case("{{ (.s }}", "unclosed left paren"),
    Case("{{ }}", "missing value for command"),
    Case('{{ template "nope" }}', "template 'nope' not defined"),
    Case('{{ define "a" }}x{{ end }}{{ define "a" }}y{{ end }}', "multiple definition"),
    Case("{{ add }}{{ replace 1 }}", "wrong number of args for replace: want 3 got 1"),
    Case("{{ 08 }}", "integer overflow"),
    Case("{{ 99999999999999999999 }}", "integer overflow"),
    Case("{{ .s | 3 }}", "non executable command in pipeline stage 2"),
    Case("{{/* unclosed", "unclosed comment"),
    Case("{{ " + "(" * 200 + "1" + ")" * 200 + " }}", "nested deeper than 100"),
    Case("{{ if 1 }}" * 200 + "{{ end }}" * 200, "nested deeper than 100"),
    Case("{{ if 1 }}" + "{{ else if 1 }}" * 300 + "{{ end }}", "nested deeper than 100"),
]  # fmt: skip


@pytest.mark.parametrize("case", NEVER, ids=str)
def test_what_can_never_work_is_refused_with_its_place(case: Case) -> None:
    with pytest.raises(ConfigError) as caught:
        gotemplate.compile(case.template)
    assert case.text in str(caught.value)


FAILING = [
    Case("{{ .nil.x }}", "nil pointer evaluating interface {}.x"),
    Case("{{ .s.x }}", "can't evaluate field x in type string"),
    Case("{{ .zz | upper }}", "line 1, column 10: calling upper: invalid value; expected string"),
    Case("{{ upper .n }}", "wrong type for value; expected string; got float64"),
    Case("{{ repeat .n .s }}", "expected int; got float64"),
    Case("{{ eq .n 3 }}", "incompatible types for comparison: float64 and int"),
    Case("{{ eq .list .list }}", "non-comparable"),
    Case("{{ lt .zz 1 }}", "invalid type for comparison"),
    Case("{{ index .list 9 }}", "index out of range: 9"),
    Case("{{ len .zz }}", "len of nil"),
    Case("{{ range .s }}x{{ end }}", "range can't iterate over"),
    Case("{{ range .n }}x{{ end }}", "range can't iterate over"),
    Case("{{ nil }}", "nil is not a command"),
    Case("{{ .n 1 }}", "n is not a method but has arguments"),
    Case("{{ .s | .map }}", "map is not a method but has arguments"),
    Case('{{ hasKey .nil "x" }}', "expected map[string]interface {}; got interface {}"),
    Case("{{ call .zz }}", "call of nil"),
    Case('{{ fail "so it is" }}', "so it is"),
]  # fmt: skip


@pytest.mark.parametrize("case", FAILING, ids=str)
def test_what_fails_on_this_data(case: Case) -> None:
    template = gotemplate.compile(case.template)
    with pytest.raises(EvaluationError) as caught:
        template.render(DATA)
    assert case.text in str(caught.value)


PLACES = [
    Case("a\n{{ .s.x }}", "line 2, column 4: can't evaluate"),
    Case("{{ if true }}\n{{ $x := .s.x }}{{ end }}", "line 2, column 4: can't evaluate"),
    Case("a {{ if .s.x }}{{ end }}", "line 1, column 6: can't evaluate"),
    Case("{{ with .s.x }}{{ end }}", "line 1, column 4: can't evaluate"),
    Case("\n\n  {{ range .s }}{{ end }}", "line 3, column 6: range can't iterate"),
    Case('{{ define "d" }}{{ .x }}{{ end }}\n{{ template "d" .s }}', "line 1, column 20: "),
    Case('{{ define "d" }}{{ end }}\n{{ template "d" .s.x }}', "line 2, column 4: can't"),
    Case("\n{{ .items | first | upper }}", "line 2, column 21: calling upper"),
]  # fmt: skip


@pytest.mark.parametrize("case", PLACES, ids=str)
def test_what_fails_is_said_with_its_place(case: Case) -> None:
    with pytest.raises(EvaluationError) as caught:
        gotemplate.compile(case.template).render(DATA)
    assert str(caught.value).startswith(case.text)


def test_the_parts_of_a_template_can_be_looked_at() -> None:
    tree = gotemplate.parse('{{ define "d" }}x{{ end }}{{ .a.b | upper }}')

    assert list(tree.defined) == ["d"]
    (action,) = tree.main.nodes
    assert isinstance(action, Action)
    assert action.pipe.commands[0] == (Field(("a", "b")),)
    with pytest.raises(ConfigError):
        gotemplate.parse("{{ nosuch .a }}")


HUNGRY = [
    "{{ range 1000000000000 }}{{ end }}",
    "{{ range 1000 }}{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}{{ end }}",
    '{{ define "r" }}{{ template "r" }}{{ end }}{{ template "r" }}',
    '{{ define "r" }}{{ range 9 }}{{ template "r" }}{{ end }}{{ end }}{{ template "r" }}',
    "{{ until 100000000 }}",
    "{{ untilStep 0 9000000000000 1 }}",
    "{{ seq 100000000 }}",
    '{{ repeat 1000000000 "x" }}',
    '{{ "x" | indent 1000000000 }}',
    '{{ printf "%1000000d" 1 | repeat 100 }}',
    '{{ printf "%999999999d" 1 }}',
    '{{ replace "" (repeat 10000 "y") (repeat 10000 "x") }}',
    '{{ regexReplaceAll "" (repeat 10000 "x") (repeat 10000 "y") }}',
    '{{ $x := "xx" }}{{ range 100 }}{{ $x = printf "%s%s" $x $x }}{{ end }}{{ $x }}',
    "{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ $l }}",
    "{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ toJson $l }}",
    "{{ $l := list 1 }}{{ range 60 }}{{ $l = list $l $l }}{{ end }}{{ deepEqual $l $l }}",
    '{{ $d := dict }}{{ $_ := set $d "self" $d }}{{ $d }}',
    '{{ $d := dict }}{{ $_ := set $d "self" $d }}{{ $d | toJson }}{{ $d | mustDeepCopy }}',
    "{{ $l := list }}{{ range 2000 }}{{ $l = list $l }}{{ end }}{{ $l }}",
    "{{ $l := until 100000 }}{{ range 100000 }}{{ $l = append $l 1 }}{{ end }}",
    '{{ $s := repeat 1000000 "x" }}{{ range 100000 }}{{ $y := sha512sum $s }}{{ end }}',
    '{{ $s := repeat 1000000 "x" }}{{ range 1000 }}{{ $s }}{{ end }}',
    "{{ randAlpha 100000000 }}",
    '{{ join (repeat 10000 "x") (until 100000) }}',
]  # fmt: skip


@pytest.mark.parametrize("template", HUNGRY)
def test_no_template_hangs_or_swells(template: str) -> None:
    start = time.process_time()
    try:
        text = gotemplate.compile(template).render(DATA)
    except EvaluationError:
        text = ""
    assert len(text) < 9_000_000
    assert time.process_time() - start < 5


def test_what_is_given_stays_as_it_is() -> None:
    before = copy.deepcopy(DATA)
    template = gotemplate.compile(
        '{{ $_ := set .map "b" 9 }}{{ $_ := unset . "s" }}{{ $_ := merge .map.a . }}'
        "{{ .map.b }}{{ .s }}{{ .map.a.n }}"
    )

    assert template.render(DATA) == "9<no value>3"
    assert before == DATA


def test_maps_may_change_while_they_are_walked() -> None:
    for text in (
        '{{ range $k, $v := .map }}{{ $_ := unset $.map "b" }}{{ $k }}={{ $v }} {{ end }}',
        '{{ $d := dict "a" (dict "a" (dict "x" 1)) }}{{ $d = merge $d $d.a }}a=map[c:deep] b=2 ',
    ):
        assert "a=map[c:deep] b=2 " in gotemplate.compile(text).render(DATA)


def test_own_functions_and_values() -> None:
    root: dict[str, Any] = {
        "when": parse_time("2006-01-02", "2024-02-29"),
        "strings": {"upper": str.upper},
    }
    template = gotemplate.compile(
        '{{ call .strings.upper "a" }} {{ twice 4 }} {{ .when.Year }} {{ .when.Format "Jan" }} '
        '{{ (.when.AddDate 1 0 0).Weekday }} {{ .when.Month }} {{ "06" | .when.Format }}',
        {"twice": lambda value: value * 2},
    )

    assert template.render(root) == "A 8 2024 Feb Saturday February 24"
    with pytest.raises(EvaluationError, match="can't print a function"):
        gotemplate.compile("{{ .strings.upper }}").render(root)


def test_bytes_that_are_no_text_become_the_replacement_character() -> None:
    assert gotemplate.compile('{{ b64dec "YYBi" }}').render(None) == "a\ufffdb"
    assert gotemplate.compile('{{ b64dec "YYBi" | b64enc }}').render(None) == "YYBi"
    assert (
        gotemplate.compile('{{ $s := b64dec "w6k=" }}{{ trunc 1 $s }}{{ substr 1 2 $s }}').render(
            None
        )
        == "é"
    )
