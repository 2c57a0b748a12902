"""Made-up Go templates, formats, layouts and times."""

from typing import Any

from fuzz_kit import fuzz, json_values, objects
from hypothesis import strategies as st

from spine.lang import gotemplate
from spine.lang.gofmt import sprintf
from spine.lang.gotemplate.builtins import BUILTINS
from spine.lang.gotemplate.sprig import FUNCTIONS
from spine.lang.gotime import LAYOUTS, Time, parse_time

names = st.sampled_from(sorted([*BUILTINS, *FUNCTIONS]))
fields = st.sampled_from([".", ".a", ".b", ".c.a", ".key", ".value.b", "$", "$.a", "$x", ".name"])
literals = st.sampled_from(
    [
        "0",
        "1",
        "-3",
        "2.5",
        "1e6",
        "'x'",
        "true",
        "nil",
        '""',
        '"a"',
        '"a,b"',
        '"%v %5.2f"',
        '"("',
        '"[a-z]*"',
        '"2006-01-02"',
        '"1h"',
        '"1.2.3"',
        '">=1, <2"',
        "`{}`",
        "100000",
        "7",
        '"é "',
    ]
)


def calls(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    args = st.lists(inner, min_size=0, max_size=3).map(" ".join)
    call = st.tuples(names, args).map(lambda pair: f"({pair[0]} {pair[1]})")
    piped = st.tuples(inner, names, args).map(lambda p: f"({p[0]} | {p[1]} {p[2]})")
    return call | piped


expressions = st.recursive(fields | literals, calls, max_leaves=5)


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = st.sampled_from(
        [
            "{{ if %s }}%s{{ else }}n{{ end }}",
            "{{ range %s }}%s{{ else }}n{{ end }}",
            "{{ with %s }}%s{{ end }}",
            "{{ range $i, $x := %s }}%s{{ end }}",
            "{{ $x = %s }}%s",
            '{{ template "t" %s }}%s',
            "{{ range %s }}%s{{ break }}{{ end }}",
        ]
    )
    return st.tuples(shapes, expressions, inner).map(lambda parts: parts[0] % parts[1:])


actions = expressions.map(lambda text: "{{ " + text + " }}") | st.just(" text ")
bodies = st.lists(st.recursive(actions, blocks, max_leaves=3), min_size=1, max_size=3).map("".join)
wholes = bodies.map(lambda text: '{{ define "t" }}[{{ . }}]{{ end }}{{ $x := . }}' + text)
torn = st.text(alphabet="{}-$.x|()\"'` \n01:=,/*endifrgwth", max_size=40)
templates = wholes | wholes | wholes | torn | torn.map(lambda text: "{{ " + text + " }}")


def floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [floats(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


@fuzz(templates, objects(), size=9_000_000)
def test_templates(template: str, data: dict[str, Any]) -> Any:
    return gotemplate.compile(template).render(floats(data))


@fuzz(
    st.text(alphabet="%#0+- 12345[]*.vsdxqTfegGcUtpbOow", max_size=14),
    st.lists(json_values(), max_size=4),
    size=9_000_000,
)
def test_formats(format: str, values: list[Any]) -> Any:
    return sprintf(format, values)


layouts = st.sampled_from(sorted(LAYOUTS.values())) | st.text(
    alphabet="2006 010215:04.05,99Z07-MSTJanMonPM_", max_size=20
)


@fuzz(layouts, st.integers(-(10**14), 10**14), st.integers(0, 999_999_999))
def test_layouts(layout: str, unix: int, nano: int) -> Any:
    when = Time(unix, nano)
    return str(parse_time(layout, when.format(layout)))


@fuzz(layouts, st.text(alphabet="0123456789 :-+.,ZTJanFebMonUTCEST", max_size=30), useful=0.0)
def test_times(layout: str, text: str) -> Any:
    return str(parse_time(layout, text))
