"""Objects of triggers: where they are written, and what parameters make of them."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import event

from sensor.artifact import ArtifactLocation
from sensor.changes import compile_changes, put_changes
from sensor.manifest import compile_object
from sensor.parameters import Parameter
from spine.errors import ConfigError, ParameterError
from spine.model import load

JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
DATA = b'{"id": "A-1", "n": 5, "big": 12345678901234567890, "list": [1, 2]}'


def parameter(key: str, dest: str, **more: Any) -> dict[str, Any]:
    raw = more.pop("useRawData", False)
    return {"src": {"dependencyName": "d", "dataKey": key, "useRawData": raw}, "dest": dest} | more


def made(source: dict, *parameters: dict, check=lambda _: "", live: bool = False) -> dict:
    render = compile_object(
        load(ArtifactLocation, source),
        [load(Parameter, one) for one in parameters],
        check,
        live=live,
    )
    return render({"d": event("d", data=DATA)})


@dataclass(frozen=True)
class Case:
    name: str
    source: dict
    parameters: list = field(default_factory=list)
    wanted: Any = None

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("as written", {"resource": JOB}, [], JOB),
    Case(
        "a text where it is wanted",
        {"resource": JOB},
        [parameter("id", "metadata.name")],
        JOB | {"metadata": {"name": "A-1"}},
    ),
    Case(
        "joined to what is there",
        {"resource": JOB},
        [parameter("n", "metadata.name", operation="append")],
        JOB | {"metadata": {"name": "j5"}},
    ),
    Case(
        "values stay what they are",
        {"resource": JOB},
        [parameter("list", "spec", useRawData=True)],
        JOB | {"spec": [1, 2]},
    ),
    Case(
        "integers beyond 64 bits are doubles",
        {"resource": JOB},
        [parameter("big", "spec", useRawData=True)],
        JOB | {"spec": 12345678901234567890.0},
    ),
    Case(
        "YAML 1.1, first document",
        {"inline": "kind: A\nspec: {on: yes, m: 012, d: 2024-01-01}\n---\nkind: B\n"},
        [],
        {"kind": "A", "spec": {"true": True, "m": 10, "d": "2024-01-01"}},
    ),
    Case("JSON", {"inline": '{"kind": "A"}'}, [], {"kind": "A"}),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_object(case: Case) -> None:
    assert made(case.source, *case.parameters) == {"object": case.wanted}


BAD = [
    ({}, "it is empty"),
    ({"inline": "a: ["}, "no YAML"),
    ({"inline": "- a"}, "it is no map"),
    ({"inline": ""}, "it is no map"),
    ({"resource": {"apiVersion": "v1"}}, "it has no kind"),
    ({"resource": {"kind": 5}}, "it has no kind"),
    ({"git": {"url": "u", "filePath": "a.yaml"}}, "git 'u': it is no URL of http, https or ssh"),
]


@pytest.mark.parametrize(("source", "why"), BAD, ids=[str(s) for s, _ in BAD])
def test_what_can_never_be_an_object_is_found_at_once(source: dict, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        made(source)


def test_what_only_an_event_breaks_is_a_fault_of_the_event() -> None:
    change = parameter("id", "kind")
    with pytest.raises(ParameterError, match="of kind A-1: no"):
        made({"resource": JOB}, change, check=lambda m: "no" if m["kind"] == "A-1" else "")


REF = {"name": "s", "key": "k"}
GIT = {"url": "https://h.test/a", "filePath": "a.yaml", "creds": {"password": REF}}
S3 = {"bucket": {"name": "b", "key": "k"}, "accessKey": REF, "secretKey": REF}
LATER = [
    ({"configmap": {"name": "c", "key": "k"}}, {"configmap": {"name": "c", "key": "k"}}),
    ({"file": {"path": "/x"}}, {"file": {"path": "/x"}}),
    ({"git": GIT}, {"git": GIT}),
    ({"s3": S3}, {"s3": S3}),
]


@pytest.mark.parametrize(("source", "kept"), LATER, ids=["configmap", "file", "git", "s3"])
def test_what_is_fetched_later_is_changed_then(source: dict, kept: dict) -> None:
    content = made(source, parameter("n", "spec.n", useRawData=True), parameter("id", "metadata"))
    assert content == {
        "source": kept,
        "changes": [
            {"dest": "spec.n", "text": "5", "json": True},
            {"dest": "metadata", "text": "A-1"},
        ],
    }
    assert put_changes(b'{"kind":"A"}', content["changes"]) == (
        b'{"kind":"A","spec":{"n":5},"metadata":"A-1"}'
    )


def test_a_live_object_is_changed_where_it_lives() -> None:
    content = made({"resource": JOB}, parameter("id", "a", operation="prepend"), live=True)
    assert content["object"] == JOB
    assert put_changes(b'{"a":"x"}', content["changes"]) == b'{"a":"A-1x"}'


@pytest.mark.parametrize("path", ["../x", "~/x", "a\\b"])
def test_git_files_stay_inside(path: str) -> None:
    with pytest.raises(ConfigError, match="it holds"):
        load(ArtifactLocation, {"git": {"url": "u", "filePath": path}})


def test_several_sources_are_told_and_the_first_counts() -> None:
    warnings: list[str] = []
    raw = {"resource": JOB, "inline": "kind: A"}
    assert load(ArtifactLocation, raw, on_warning=warnings.append).kind == "inline"
    assert warnings == ["resource: ignored: only inline counts"]


@given(st.text(max_size=40))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    try:
        made({"inline": text})
    except ConfigError:
        pass


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_settling_and_putting_is_what_parameters_do(value: Any) -> None:
    import orjson

    try:
        data = orjson.dumps({"v": value})
    except TypeError:
        return
    one = load(Parameter, parameter("v", "x", useRawData=True))
    events = {"d": event("d", data=data)}
    settled = compile_changes([one])(events)
    at_once = compile_object(
        load(ArtifactLocation, {"resource": {"kind": "A"}}), [one], lambda _: ""
    )(events)["object"]
    assert orjson.loads(put_changes(b'{"kind":"A"}', settled)) == at_once or isinstance(value, int)
