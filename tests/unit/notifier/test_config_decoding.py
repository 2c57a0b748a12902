"""YAML of the configuration, as the Argo Notifications Engine reads it."""

from dataclasses import dataclass
from typing import Any

import pytest

from notifier.config.decoding import Undecodable, decode, text_of
from notifier.config.shaping import Shaping
from spine.model import Model


class Options(Model):
    """What a value is decoded into."""

    s: str = ""
    l: list[str] = []  # noqa: E741 -- as short as the vectors
    m: dict[str, str] = {}
    i: int = 0
    b: bool = False
    api_url: str = ""
    either: bool | list[str] = False
    deep: list["Options"] = []


def read(text: str) -> tuple[dict[str, Any], list[str], list[str]]:
    decoded = decode(text)
    shaping = Shaping()
    made = shaping.model(Options, decoded.value, what="x")
    warnings = [message for _, message in (*decoded.warnings, *shaping.warnings)]
    errors = [message for _, message in shaping.errors]
    return (made.model_dump(exclude_defaults=True) if made else {}), warnings, errors


@dataclass(frozen=True)
class Go:
    """A line of YAML, and what sigs.k8s.io/yaml v1.6.0 puts into a Go struct for it."""

    text: str
    value: dict[str, Any]

    def __str__(self) -> str:
        return self.text or "nothing"


GO = [
    Go("s: true", {"s": "true"}),
    Go("s: on", {"s": "true"}),
    Go("s: y", {"s": "true"}),
    Go("s: No", {"s": "false"}),
    Go("s: 1.50", {"s": "1.5"}),
    Go("s: 1e3", {"s": "1000"}),
    Go("s: 1e6", {"s": "1e+06"}),
    Go("s: 1234567.5", {"s": "1.2345675e+06"}),
    Go("s: 0.0000001", {"s": "1e-07"}),
    Go("s: 012", {"s": "10"}),
    Go("s: -012", {"s": "-10"}),
    Go("s: 08", {"s": "8"}),
    Go("s: 0x1F", {"s": "31"}),
    Go("s: 0o17", {"s": "15"}),
    Go("s: 0b11", {"s": "3"}),
    Go("s: 0b2", {"s": "0b2"}),
    Go("s: 1_000", {"s": "1000"}),
    Go("s: _1", {"s": "_1"}),
    Go("s: .5", {"s": "0.5"}),
    Go("s: 5.", {"s": "5"}),
    Go("s: +5", {"s": "5"}),
    Go("s: 18446744073709551615", {"s": "18446744073709551615"}),
    Go("s: 2001-01-01", {"s": "2001-01-01"}),
    Go("s: 1:30", {"s": "1:30"}),
    Go("s: =", {"s": "="}),
    Go("s: !!str 5", {"s": "5"}),
    Go("s: null", {}),
    Go("s: ~", {}),
    Go("s:", {}),
    Go("S: x", {"s": "x"}),
    Go("s: a\ns: b", {"s": "b"}),
    Go("apiURL: x", {"api_url": "x"}),
    Go("ApiUrl: x", {"api_url": "x"}),
    Go("APIURL: x", {"api_url": "x"}),
    Go("l: [1, true, 1.50, null, x]", {"l": ["1", "true", "1.5", "", "x"]}),
    Go("m: {a: on, b: 1.50, c: null}", {"m": {"a": "true", "b": "1.5", "c": ""}}),
    Go("i: 5.0", {"i": 5}),
    Go("i: 1e3", {"i": 1000}),
    Go("b: yes", {"b": True}),
    Go("b: null", {}),
    Go("s: &a x\nl: [*a]", {"s": "x", "l": ["x"]}),
    Go("", {}),
    Go("# nothing", {}),
    Go("~", {}),
    Go("deep: [{S: 5}]", {"deep": [{"s": "5"}]}),
]


@pytest.mark.parametrize("case", GO, ids=str)
def test_decoded_as_go_does(case: Go) -> None:
    value, _, errors = read(case.text)

    assert (value, errors) == (case.value, [])


@dataclass(frozen=True)
class Kind:
    """What Go refuses, and we take with a warning."""

    text: str
    value: dict[str, Any]
    warning: str

    def __str__(self) -> str:
        return self.text


KIND = [
    Kind('i: "587"', {"i": 587}, "587 is a text in quotes"),
    Kind('b: "true"', {"b": True}, "true is a text in quotes"),
    Kind('b: "off"', {}, "off is a text in quotes"),
    Kind("l: x", {"l": ["x"]}, "a list is meant here"),
    Kind('l: ""', {}, "a list is meant here"),
    Kind("deep: {s: x}", {"deep": [{"s": "x"}]}, "a list is meant here"),
    Kind("either: x", {"either": ["x"]}, "a list is meant here"),
    Kind("tokne: x\napiUlr: y", {}, "unknown field, of no effect (did you mean apiUrl)"),
    Kind("s: a\ns: b", {"s": "b"}, "'s' stands more than once: the last one counts"),
    Kind("s: x\n---\ns: y", {"s": "x"}, "what follows the line --- is not read"),
    Kind("s: x\nS: y", {"s": "x"}, "unused: s stands here too"),
]


@pytest.mark.parametrize("case", KIND, ids=str)
def test_what_go_refuses_or_ignores_is_a_warning(case: Kind) -> None:
    value, warnings, errors = read(case.text)

    assert (value, errors) == (case.value, [])
    assert any(warning.startswith(case.warning) for warning in warnings), warnings


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("s: [x]", "a text is needed, not a list"),
        ("s: {a: b}", "a text is needed, not a map"),
        ("i: 5.5", "a whole number is needed, not 5.5"),
        ("i: true", "a whole number is needed, not true"),
        ("i: many", "a whole number is needed, not 'many'"),
        ("b: 1", "true or false is needed, not 1"),
        ("b: maybe", "true or false is needed, not 'maybe'"),
        ("m: [a]", "a map is needed, not a list"),
        ("m: x", "a map is needed, not 'x'"),
        ("l: {}", "a list is needed, not a map"),
        ("[]", "a map is needed, not a list"),
        ("x", "a map is needed, not 'x'"),
    ],
)
def test_what_cannot_be_meant_is_an_error(text: str, error: str) -> None:
    value, _, errors = read(text)

    assert (value, errors) == ({}, [error])


def test_a_value_that_may_be_a_credential_is_not_shown() -> None:
    shaping = Shaping(private=True)
    shaping.model(Options, {"i": "hunter2", "m": "hunter2"}, what="x")

    assert [message for _, message in shaping.errors] == [
        "a whole number is needed, not this text",
        "a map is needed, not this text",
    ]


@dataclass(frozen=True)
class Bare:
    """A template without quotes."""

    name: str
    text: str
    line: int
    column: int

    def __str__(self) -> str:
        return self.name


BARE = [
    Bare("alone", "alias: {{.app.metadata.name}}", 1, 8),
    Bare("text behind it", "message: x\nalias: {{.app.name}}-{{.app.uid}}", 2, 8),
    Bare("item of a list", "tags:\n- a\n- {{ .obj.kind }}", 3, 3),
    Bare("pipe and quotes", 'p: {{ if eq .x "prod" }}P1{{ else }}P4{{ end }}', 1, 4),
    Bare("deep", "opsgenie:\n  alias: {{.app.metadata.uid}}\n", 2, 10),
    Bare("in braces", "x: {alias: {{.a}}, b: c}", 1, 12),
    Bare("dashes in it", "alias: {{- .a -}}", 1, 8),
]


@pytest.mark.parametrize("case", BARE, ids=str)
def test_a_template_without_quotes_is_told_as_that(case: Bare) -> None:
    with pytest.raises(Undecodable, match="which is a map to YAML") as caught:
        decode(case.text)

    assert (caught.value.line, caught.value.column) == (case.line, case.column)
    assert "put the template in quotes" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['alias: "{{.a}}"', "body: |\n  {{ .a }}\n  x: {{ .b }}", "alias: x{{.a}}", "- when: a\n"],
)
def test_templates_in_texts_are_fine(text: str) -> None:
    decode(text)


def test_other_errors_say_what_yaml_says_with_the_line() -> None:
    with pytest.raises(Undecodable, match="not YAML") as caught:
        decode("a: 1\nb: [")

    assert caught.value.line == 2


def test_places_do_not_mind_the_case_of_keys() -> None:
    decoded = decode("Slack:\n  Attachments: x\n")

    assert decoded.place(("slack", "attachments")) == (2, 3)
    assert decoded.place(("slack", "blocks")) == (1, 1)
    assert decoded.place(("other",)) == (1, 1)


def test_too_long_a_value_is_refused() -> None:
    with pytest.raises(Undecodable, match="at most 1048576 are read"):
        decode("x" * (1024 * 1024 + 1))


def test_thousands_of_repeated_keys_are_refused() -> None:
    with pytest.raises(Undecodable, match="more than 100 keys stand twice"):
        decode("a: 1\n" * 5000)


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (5, "5"), (1.5, "1.5"), ("x", "x")]
)
def test_text_of_a_scalar(value: Any, text: str) -> None:
    assert text_of(value) == text
