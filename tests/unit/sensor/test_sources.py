"""Go templates in sources of parameters and in data filters, and where a value came from."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from plan_kit import event

from sensor.filters import Filters, compile_filters
from sensor.firing import Firing
from sensor.parameters import PayloadEntry, compile_payload
from sensor.sources import ParameterSource, compile_source, explain_source
from spine.errors import ConfigError, FilterError, ParameterError
from spine.lang.gjson import Document, Kind
from spine.model import load

BODY = b'{"id":"A-1","n":3,"million":1000000,"tags":["b","a"],"nil":null,"text":"x\\"y","z":""}'
EVENTS = {"orders": event(data=BODY)}


def source(**src: object) -> ParameterSource:
    return load(ParameterSource, {"dependencyName": "orders"} | src)


@dataclass(frozen=True)
class Case:
    name: str
    src: dict[str, Any]
    text: str
    origin: str
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("a template", {"dataTemplate": "{{ .Input.id | lower }}"}, "a-1", "dataTemplate"),
    Case("numbers are floats", {"dataTemplate": "{{ .Input.million }}"}, "1e+06", "dataTemplate"),
    Case("a template wins over a key",
         {"dataTemplate": "t{{ .Input.id }}", "dataKey": "n"}, "tA-1", "dataTemplate"),
    Case("one that fails leaves it to the key",
         {"dataTemplate": "{{ upper .Input.n }}", "dataKey": "n"}, "3", "dataKey", ("wrong type",)),
    Case("nothing leaves it to the key",
         {"dataTemplate": "{{ .Input.z }}", "dataKey": "n"}, "3", "dataKey", ("gives nothing",)),
    Case("no value leaves it to the key",
         {"dataTemplate": "{{ .Input.q }}", "dataKey": "n"}, "3", "dataKey", ("<no value>",)),
    Case("no value beside text is text", {"dataTemplate": "x{{ .Input.q }}"}, "x<no value>",
         "dataTemplate"),
    Case("then the default",
         {"dataTemplate": "{{ .Input.q }}", "dataKey": "q", "value": "d"}, "d", "value",
         ("<no value>", "has none")),
    Case("data wins over context",
         {"contextKey": "subject", "dataTemplate": "{{ .Input.id }}"}, "A-1", "dataTemplate"),
    Case("context", {"contextTemplate": "{{ .Input.source }}/{{ .Input.subject }}"}, "shop/orders",
         "contextTemplate"),
    Case("context that fails",
         {"contextTemplate": "{{ .Input.subject.x }}", "contextKey": "subject"}, "orders",
         "contextKey", ("can't evaluate field x",)),
    Case("only a key", {"dataKey": "id"}, "A-1", "dataKey"),
    Case("only a default", {"value": "v"}, "v", "value"),
    Case("no event", {"dependencyName": "gone", "dataTemplate": "x", "value": "v"}, "v", "value",
         ("there is no event of gone",)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_its_origin(case: Case) -> None:
    value = compile_source(source(**case.src))(EVENTS)
    told = explain_source(source(**case.src))(EVENTS)

    assert value is not None
    assert told is not None
    assert value.text == case.text
    assert told.value == value
    assert told.field == case.origin
    assert len(told.notes) == len(case.notes)
    assert all(wanted in note for wanted, note in zip(case.notes, told.notes, strict=True))


def test_what_has_no_value_at_all() -> None:
    bad = source(dataTemplate="{{ .Input.q }}", dataKey="q")
    for find in (compile_source(bad), explain_source(bad)):
        with pytest.raises(ParameterError, match=r"dataKey 'q'.*has none.*before.*<no value>"):
            find(EVENTS)
    with pytest.raises(ParameterError, match="rendering dataTemplate of 'orders'"):
        compile_source(source(dataTemplate="{{ .Input.q }}"))(EVENTS)
    assert explain_source(source(dependencyName="gone", dataTemplate="x"))(EVENTS) is None


def test_the_kind_of_what_a_template_gives_is_a_text() -> None:
    value = compile_source(source(dataTemplate="{{ .Input.n }}", useRawData=True))(EVENTS)
    assert value is not None
    assert value.kind is Kind.STRING
    entry = {"src": {"dependencyName": "orders", "dataTemplate": "3", "useRawData": True}}
    payload = compile_payload([load(PayloadEntry, entry | {"dest": "n"})])
    assert payload(EVENTS) == '{"n":"3"}'


def test_a_bad_template_is_refused_with_its_field() -> None:
    with pytest.raises(ConfigError, match=r"dataTemplate.*line 1, column 4.*did you mean upper"):
        source(dataTemplate="{{ uper .Input.id }}")
    with pytest.raises(ConfigError, match="contextTemplate"):
        source(contextTemplate="{{ .Input.id ")


def test_data_that_is_no_json_is_for_the_default() -> None:
    events = {"orders": event(data=b"text", datacontenttype="text/plain")}
    with pytest.raises(ParameterError, match="unknown content type"):
        compile_source(source(dataTemplate="{{ .Input }}"))(events)
    assert compile_source(source(dataTemplate="{{ .Input }}", value="d"))(events).text == "d"


def test_data_is_decoded_once_and_stays_as_it_is() -> None:
    firing = Firing(EVENTS)
    change = compile_source(source(dataTemplate='{{ $_ := set .Input "id" "new" }}{{ .Input.id }}'))
    look = compile_source(source(dataTemplate="{{ .Input.id }}"))

    assert [change(firing).text, look(firing).text, change(firing).text] == ["new", "A-1", "new"]
    assert firing.documents["orders"].decoded is firing.documents["orders"].decoded


@pytest.mark.parametrize(
    ("template", "kind", "value", "passes"),
    [
        ("{{ .Input | upper }}", "string", "^A-1$", True),
        ("{{ .Input | lower }}", "string", "^A-1$", False),
        ('{{ .Input | trimPrefix "A-" }}', "number", "1", True),
        ('{{ eq .Input "A-1" }}', "bool", "true", True),
        ("{{ .Input | quote }}", "string", '^"A-1"$', True),
        ("{{ typeOf .Input }}", "string", "string", True),
    ],
)
def test_data_filter(template: str, kind: str, value: str, passes: bool) -> None:
    one = {"path": "id", "type": kind, "value": [value], "template": template}
    compiled = compile_filters(load(Filters, {"data": [one]}), "")
    assert compiled is not None
    assert (compiled.check(event(data=BODY), Document(BODY)) is None) is passes


@pytest.mark.parametrize("template", ["{{ if false }}x{{ end }}", "{{ .Input.x }}", "{{ .Inptu }}"])
def test_data_filter_without_a_text_is_a_fault(template: str) -> None:
    one = {"path": "id", "type": "string", "value": ["x"], "template": template}
    compiled = compile_filters(load(Filters, {"data": [one]}), "")
    assert compiled is not None
    with pytest.raises(FilterError, match="rendering the template of data path 'id'"):
        compiled.check(event(data=BODY), Document(BODY))


def test_a_bad_template_of_a_filter_is_refused_with_its_field() -> None:
    one = {"path": "id", "type": "string", "value": ["x"], "template": "{{ .Input | }"}
    with pytest.raises(ConfigError, match=r"data\[0\].template"):
        load(Filters, {"data": [one]})
