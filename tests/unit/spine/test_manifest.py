"""Manifests: what is read, where it stands, and what is said about what cannot be read."""

import io
from dataclasses import dataclass, field

import pytest

from spine import manifest
from spine.errors import ConfigError
from spine.manifest import read, read_text

SENSOR = b"""\
# a comment
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata:
  name: one
spec:
  triggers:
    - template:
        name: t
"""


def said(text: bytes | str, file: str = "f.yaml") -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    return [str(f) for f in read_text(content, file).findings]


def test_an_object_knows_where_its_fields_stand():
    (found,) = read_text(SENSOR, "f.yaml").objects

    assert (found.kind, found.name, found.namespace) == ("Sensor", "one", "default")
    assert str(found.place(("spec", "triggers", 0, "template", "name"))) == "f.yaml:9:9"
    assert str(found.place(("spec", "triggers", 0))) == "f.yaml:8:7"
    assert str(found.place(("spec", "triggers", 0, "missing", "deeper"))) == "f.yaml:8:7"
    assert str(found.place()) == "f.yaml:2:1"


def test_several_documents_and_lists_are_taken_apart():
    text = (
        SENSOR
        + b"---\n---\n"
        + b"""\
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Secret
    metadata: {name: keys}
  - apiVersion: v1
    kind: ConfigMapList
    items:
      - apiVersion: v1
        kind: ConfigMap
        metadata: {name: inner, namespace: prod}
"""
    )

    reading = read_text(text, "f.yaml")

    assert [(o.kind, o.name, o.namespace) for o in reading.objects] == [
        ("Sensor", "one", "default"),
        ("Secret", "keys", "default"),
        ("ConfigMap", "inner", "prod"),
    ]
    assert reading.findings == []
    assert reading.objects[2].place(("metadata", "name")).line == 23


def test_directories_are_read_recursively_without_hidden_and_foreign_files(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / ".tocsin").mkdir()
    (tmp_path / "deep" / "s.yml").write_bytes(SENSOR)
    (tmp_path / ".tocsin" / "s.yaml").write_bytes(SENSOR)
    (tmp_path / ".hidden.yaml").write_bytes(SENSOR)
    (tmp_path / "body.json").write_text('{"n": 1}')
    (tmp_path / "README.md").write_text("# no manifest")

    reading = read([tmp_path])

    assert [o.file for o in reading.objects] == [str(tmp_path / "deep" / "s.yml")]
    assert [(f.severity, f.message) for f in reading.findings] == [
        ("note", "not a Kubernetes object: ignored")
    ]


def test_a_named_file_must_be_a_manifest(tmp_path):
    (tmp_path / "body.json").write_text('{"n": 1}')

    (finding,) = read([tmp_path / "body.json"]).findings

    assert finding.severity == "error"
    assert finding.message == "not a Kubernetes object: it has no apiVersion and no kind"


def test_a_path_that_is_not_there_is_a_mistake_of_the_user(tmp_path):
    with pytest.raises(ConfigError, match=r"reading .*gone.yaml: No such file or directory"):
        read([tmp_path / "gone.yaml"])


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: 1\nb: [1,\nc: 2\n", "close the bracket that begins in line 2"),
        ("a: 1\nb: 'x\nc: 2\n", "close the quote that begins in line 2"),
        ("a: 1\nother\nb: 2\n", "line 2 is neither a key nor part of a text"),
        ("a: 'it's'\n", "the quotes in it"),
        ("- a\nb: 1\n", "beside the items of a list"),
        ("a: }\n", "a bracket or a comma is left over"),
        ('a: "\\q"\n', "write two backslashes for one"),
    ],
)
def test_what_is_no_yaml_is_told_with_what_helps(tmp_path, text, hint):
    (tmp_path / "a.yaml").write_text(text)

    (finding,) = read([tmp_path / "a.yaml"]).findings

    assert finding.message.startswith("not YAML: ")
    assert hint in finding.message


def test_a_path_that_is_not_there_is_told_with_what_is(tmp_path):
    (tmp_path / "sensors.yaml").write_text("")
    said = {}
    for name in ("sensor.yaml", "x", "none/x"):
        with pytest.raises(ConfigError) as caught:
            read([tmp_path / name])
        said[name] = caught.value.hint

    assert said == {
        "sensor.yaml": f"did you mean {tmp_path / 'sensors.yaml'}",
        "x": f"{tmp_path} has no such file",
        "none/x": f"there is no folder {tmp_path / 'none'}",
    }


def test_the_other_files_are_read_when_one_is_bad(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    (tmp_path / "b.yaml").write_bytes(SENSOR)

    reading = read([tmp_path])

    assert [o.name for o in reading.objects] == ["one"]
    assert len(reading.findings) == 1


def test_json_with_tabs_keeps_its_positions():
    head = '{\n\t"apiVersion": "v1",\n\t"kind": "Secret",\n\t'
    text = head + '"metadata": {"name": "s\\ud83d\\ude00"}\n}'

    (finding,) = read_text(text.encode(), "f.json").findings

    assert str(finding.place) == "f.json:4:15"
    assert "😀" in finding.message


@dataclass(frozen=True)
class Bad:
    name: str
    text: str
    at: str
    message: str
    before: str = field(default="")

    def __str__(self) -> str:
        return self.name


HEAD = "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: s}\n"
BAD = [
    Bad("not YAML", "a: [1, 2\nb: 3\n", "2:2", "not YAML: "),
    Bad("tab", "a:\n\tb: 1\n", "2:1", "indent with spaces"),
    Bad("colon in a text", "a: b: c\n", "1:5", "in quotes"),
    Bad("special first character", "a: @b\n", "1:4", "in quotes"),
    Bad("duplicate key", "a: 1\nb: 2\na: 3\n", "3:1", "key 'a' stands twice (first in line 1)"),
    Bad("unknown tag", "a: !x 1\n", "1:4", "unknown tag '!x'"),
    Bad("key is a list", "? [a]\n: 1\n", "1:3", "a key must be a text"),
    Bad("merge of a text", "a:\n  <<: b\n", "2:7", "<< takes a map"),
    Bad("infinity", "a: .inf\n", "1:4", "JSON has no such number"),
    Bad("control character", "a: 1\nb: \x01\n", "2:1", "character U+0001 is not allowed"),
    Bad("recursive alias", "a: &a\n  b: *a\n", "1:1", "nested too deeply"),
    Bad("not an object", "just text\n", "1:1", "not a Kubernetes object"),
    Bad("no apiVersion", "kind: Sensor\n", "1:1", "apiVersion: required field is missing"),
    Bad("no kind", "apiVersion: v1\n", "1:1", "kind: required field is missing"),
    Bad("kind is a number", "apiVersion: v1\nkind: 3\n", "2:1", "kind: 3: input should be"),
    Bad("no metadata", HEAD.replace("metadata: {name: s}\n", "spec: {}\n"), "1:1", "metadata:"),
    Bad("no name", HEAD.replace("{name: s}", "{}"), "3:1", "metadata.name: required"),
    Bad("bad name", HEAD.replace("name: s", "name: A_b"), "3:12", "'A_b': not a name"),
    Bad("no spec", HEAD, "1:1", "spec: required field is missing"),
    Bad("old version", HEAD.replace("v1alpha1", "v1"), "1:1", "Sensor is of apiVersion argoproj"),
    Bad("misspelt kind", HEAD.replace("Sensor", "Sensr"), "2:1", "(did you mean Sensor)"),
    Bad("our group", "apiVersion: tocsin.dev/v1\nkind: Nothing\n", "2:1", "unknown kind in tocsin"),
    Bad("Gateway", HEAD.replace("Sensor", "Gateway"), "2:1", "an EventSource does by itself"),
    Bad(
        "ConfigMap of events",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  labels:\n"
        "    argo-events-event-source-version: v0.10\n",
        "6:5",
        "event sources in ConfigMaps ended with v0.10",
    ),
]


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_manifests_are_explained_with_their_place(case: Bad):
    (line,) = said(case.text)

    assert line.startswith(f"f.yaml:{case.at}: ")
    assert case.message in line


@pytest.mark.parametrize(("name", "shown"), [("no", "false"), ("n", "false"), ("17", "17")])
def test_a_name_that_is_no_text_to_yaml_is_explained(name, shown):
    (line,) = said(f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n")

    at = "f.yaml:4:3: metadata.name"
    assert line == f"{at}: {shown}: YAML reads no text there: put it in quotes"


def test_bytes_that_are_no_text_are_explained():
    assert said(b"a: 1\nb: \xff\n") == ["f.yaml:2:1: byte 0xff is not UTF-8"]


def test_a_bomb_of_aliases_is_refused():
    rows = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 12))

    (line,) = said(f"l0: &l0 [x]\n{rows}\n")

    assert "more than 500000 values" in line


def test_what_belongs_to_others_is_only_noted():
    text = "apiVersion: {}\nkind: {}\nmetadata: {{name: x}}\n"
    foreign = [
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("argoproj.io/v1alpha1", "Workflow"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
    ]

    for version, kind in foreign:
        (finding,) = read_text(text.format(version, kind).encode(), "f").findings
        assert finding.severity == "note", (version, kind)


VALUES = [
    ("yes", True), ("on", True), ("n", False), ("'on'", "on"), ("12000", 12000), ("0o17", 15),
    ("017", 15), ("089", 89), ("0x1F", 31), ("1e3", 1000.0), ("1.", 1.0), ("12:30:45", "12:30:45"),
    ("2024-01-01", "2024-01-01"), ("~", None), ("", None), ("1_000", 1000), ("+5", 5),
    ("!!str 5", "5"), ("12345678901234567890123", 12345678901234567890123), ("=", "="),
    ("1.2.3", "1.2.3"), ("[]", []), ("0.5s", "0.5s"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_scalars_are_read_as_kubernetes_reads_them(text, value):
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  x: "

    (found,) = read_text((head + text).encode(), "f").objects

    assert found.raw["data"]["x"] == value
    assert type(found.raw["data"]["x"]) is type(value)


def test_words_that_are_booleans_are_remembered_and_keys_stay_as_written():
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {on: off, y: true}"

    (found,) = read_text(text.encode(), "f").objects

    assert found.raw["data"] == {"on": False, "y": True}
    assert found.words == {("data", "on"): "off"}


def test_merge_keys_give_way_to_what_is_written():
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n"
        "x: &x {a: 1, b: 2}\ndata:\n  <<: [*x]\n  b: 3\n"
    )

    (found,) = read_text(text.encode(), "f").objects

    assert found.raw["data"] == {"a": 1, "b": 3}


def test_stdin_is_a_dash(monkeypatch):
    monkeypatch.setattr(manifest.sys, "stdin", io.TextIOWrapper(io.BytesIO(SENSOR)))

    assert [o.file for o in read(["-"]).objects] == ["stdin"]
