"""Old manifests in today's form: the same meaning, and the author's own text around it."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from old_shapes import CASES, Case

from eventsource.sources.pub_sub import PubSub
from spine.compat import FILE, modernise
from spine.manifest import ARGO, read_text
from spine.model import load
from tocsin.convert import command
from tocsin.converting import converted

MOUNTED = {
    "volumes": [{"name": "v", "secret": {"secretName": "mine"}}],
    "container": {"volumeMounts": [{"name": "v", "mountPath": "/"}]},
}


def whole(case: Case) -> dict[str, Any]:
    """Return a manifest with an old shape; files that it names are in a volume."""
    raw = copy.deepcopy(case.old)
    metadata = {"name": "x", **raw.pop("metadata", {})}
    raw = {"apiVersion": ARGO, "kind": case.kind, "metadata": metadata, "spec": {}, **raw}
    if FILE in str(case.new):
        raw["spec"]["template"] = copy.deepcopy(MOUNTED)
    return raw


def named(value: Any) -> Any:
    """Return a value with the keys of the mounted Secret where files were."""
    if isinstance(value, dict):
        if value.get("name") == FILE:
            return {"name": "mine", "key": value["key"].removeprefix("/")}
        return {key: named(item) for key, item in value.items()}
    return [named(item) for item in value] if isinstance(value, list) else value


def block(raw: Any) -> str:
    return yaml.safe_dump(raw, sort_keys=False)


def commented(raw: Any) -> str:
    """Return a block of YAML with a comment above and behind every line."""
    out = []
    for number, line in enumerate(block(raw).splitlines()):
        margin = " " * (len(line) - len(line.lstrip()))
        out += [f"{margin}# {number}", f"{line}  # behind {number}"]
    return "\n".join([*out, "# end", ""])


def indented(raw: Any) -> str:
    """Return YAML with the dashes of lists further in than their key."""

    class Dumper(yaml.SafeDumper):
        def increase_indent(self, flow: bool = False, indentless: bool = False):
            return super().increase_indent(flow, False)

    return yaml.dump(raw, Dumper=Dumper, sort_keys=False)


def braces(raw: Any) -> str:
    return yaml.safe_dump(raw, sort_keys=False, default_flow_style=True, width=60)


def braces_inside(raw: Any) -> str:
    """Return YAML of which only the first levels have lines of their own."""
    return yaml.safe_dump(raw, sort_keys=False, default_flow_style=None, width=2000)


def as_json(raw: Any) -> str:
    return json.dumps(raw, indent=2) + "\n"


def listed(raw: Any) -> str:
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    return block({"apiVersion": "v1", "kind": "List", "items": [config_map, raw]})


def read_one(text: str, kind: str) -> dict[str, Any]:
    (found,) = [o for o in read_text(text.encode(), "f.yaml").objects if o.kind == kind]
    return found.raw


FORMS = [block, commented, indented, braces, braces_inside, as_json, listed]


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind} {c}")
def test_what_is_written_means_what_it_was_rewritten_to(case: Case, form: Any):
    text = form(whole(case))
    before = modernise(case.kind, read_one(text, case.kind))
    refused = any(not problem.warning for problem in before.problems)

    done = converted(text, "f.json" if form is as_json else "f.yaml")

    assert bool(done.errors) == refused, [str(e) for e in done.errors]
    if refused or not before.problems:
        assert done.text == text
        return
    after = modernise(case.kind, read_one(done.text, case.kind))
    assert after.problems == []
    assert after.raw == named(before.raw)
    assert converted(done.text, "f.yaml").changes == []
    if form is as_json:
        assert json.loads(done.text) == after.raw
    if form is commented:
        kept = [line for line in text.splitlines() if line in {"# 0", "# 1", "# 2", "# end"}]
        assert set(kept) <= set(done.text.splitlines())


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text("ab:#- on'\"\n{}[]&*|>%", max_size=6),
    st.sampled_from(["on", "0x1", "1e3", "2024-01-01", "~", "a: b", "- a"]),
)
_KEYS = st.sampled_from(["a", "b", "on", "x-y", "1", "a b"])
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)),
    max_leaves=8,
)


@given(_VALUES, _VALUES, st.sampled_from(FORMS))
def test_values_of_any_kind_move_whole(policy: Any, payload: Any, form: Any):
    http = {"url": "u", "policy": policy, "payload": payload}
    trigger = {"template": {"name": "n", "http": http}}
    raw = {"apiVersion": ARGO, "kind": "Sensor", "metadata": {"name": "x"},
           "spec": {"dependencies": [{"name": "g:e"}], "triggers": [trigger]}}  # fmt: skip

    text = form(raw)

    done = converted(text, "f.json" if form is as_json else "f.yaml")

    assert done.errors == []
    wanted = modernise("Sensor", read_one(text, "Sensor"))
    assert read_one(done.text, "Sensor") == wanted.raw


# ---------------------------------------------------------------------------- the author's text


@dataclass(frozen=True)
class Text:
    name: str
    old: str
    new: str

    def __str__(self) -> str:
        return self.name


SENSOR = "apiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: x}\n"
SOURCE = SENSOR.replace("Sensor", "EventSource")
BUS = SENSOR.replace("Sensor", "EventBus")

TEXTS = [
    Text("what is dropped goes with its line, and the comment above stays", SENSOR + """\
spec:
  dependencies:
    - name:    odd   # why so odd
      filters:
        # a name was needed once
        name: data-filter   # of no use
        # the data
        data: [ {path: a, type: string, value: [ "x" ]} ]
""", SENSOR + """\
spec:
  dependencies:
    - name:    odd   # why so odd
      filters:
        # a name was needed once
        # the data
        data: [ {path: a, type: string, value: [ "x" ]} ]
"""),
    Text("another name in its place, the value as it was written", SENSOR + """\
spec:
  dependencies:
  - filters:
      context:
        eventType: 'webhook'  # of today
        eventID: "1"
""", SENSOR + """\
spec:
  dependencies:
  - filters:
      context:
        type: 'webhook'  # of today
        id: "1"
"""),
    Text("what moves takes its lines along, and the comment above", SENSOR + """\
spec:
  triggers:
    # the first
    - template:
        # only these
        policy:
          status:
            allow: [200,
                    201]   # nothing else

        http: {url: "http://x"}
    # the second
    - template:
        http: {url: "http://y", policy: {status: {allow: [1]}}}
""", SENSOR + """\
spec:
  triggers:
    # the first
    - template:

        http: {url: "http://x"}
      # only these
      policy:
        status:
          allow: [200,
                  201]   # nothing else
    # the second
    - template:
        http: {url: "http://y"}
      policy: {status: {allow: [1]}}
"""),
    Text("the first of an item", SENSOR + """\
spec:
  dependencies:
    - connected: true
      # its name
      name: a
    - connected: true
""", SENSOR + """\
spec:
  dependencies:
      # its name
    - name: a
    - {}
"""),
    Text("a bus of NATS Streaming", BUS + """\
spec:
  nats:
    native:
      # Optional, defaults to 3
      replicas: 3
      # Optional, authen strategy, "none" or "token"
      auth: token
      maxAge: 24h
      persistence:
        storageClassName: standard  # of the cluster
""", BUS + """\
spec:
  jetstream:
    version: latest
    # Optional, defaults to 3
    replicas: 3
    streamConfig: |
      maxAge: 24h
    # Optional, authen strategy, "none" or "token"
    persistence:
      storageClassName: standard  # of the cluster
"""),
    Text("words and numbers in quotes where YAML would take them for another", SOURCE + """\
spec:
  calendar:
    tick: {interval: 10s, userPayload: {on: 'yes', a: "1e3"}}
    tock:
      interval: 10s
      userPayload: {n: 1}
""", SOURCE + """\
spec:
  calendar:
    tick: {interval: 10s, metadata: {on: 'yes', a: "1e3"}}
    tock:
      interval: 10s
      metadata: {userPayload: '{"n":1}'}
"""),
    Text("only what is changed of JSON", """\
{
\t"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor",
\t"metadata": {"name": "x"},
\t"spec": {
\t\t"dependencies": [ {"name": "gw:ev", "connected": true} ],
\t\t"eventProtocol": {"type": "HTTP"}
\t}
}
""", """\
{
\t"apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor",
\t"metadata": {"name": "x"},
\t"spec": {
\t\t"dependencies": [ {"name": "gw:ev", "eventSourceName": "gw", "eventName": "ev"} ]
\t}
}
"""),
    Text("several documents, of which one is old", "# head\n---\n" + SOURCE + """\
spec:   {webhook: {a: {port:   "1"}}}
--- # the old one
""" + SOURCE + """\
spec:
  replica: 2
...
---
kind: ConfigMap   # not ours
data: {replica:   "2"}
""", "# head\n---\n" + SOURCE + """\
spec:   {webhook: {a: {port:   "1"}}}
--- # the old one
""" + SOURCE + """\
spec:
  replicas: 2
...
---
kind: ConfigMap   # not ours
data: {replica:   "2"}
"""),
    Text("a text in lines is moved as it is", SENSOR + """\
spec:
  triggers:
    - template:
        name: t
        if: |-
          # this is no comment
          a == 1

          && b == 2
        log: {}
""", SENSOR + """\
spec:
  triggers:
    - template:
        name: t
        log: {}
      if: |-
        # this is no comment
        a == 1

        && b == 2
"""),
    Text("an anchor keeps its name, and what uses it is written out", SENSOR + """\
spec:
  dependencies:
    - &whole {name: z}
    - name: a
      filters: &all
        name: x
        data: []
    - name: b
      filters: &other {name: y, data: []}
    - *whole
    - name: c
      filters: *all
""", SENSOR + """\
spec:
  dependencies:
    - &whole {name: z}
    - name: a
      filters: &all
        data: []
    - name: b
      filters: &other {data: []}
    - *whole
    - name: c
      filters:
        data: []
"""),
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_the_text_around_stays_as_it_was(text: Text):
    done = converted(text.old, "f.yaml")

    assert [str(e) for e in done.errors] == []
    assert done.text == text.new


def test_what_a_merge_brings_is_not_taken_out_of_it():
    hard = SENSOR.replace("metadata", "x: &x {connected: true}\nmetadata") + (
        "spec:\n  dependencies:\n  - <<: *x\n    name: a\n"
    )

    done = converted(hard, "f.yaml")

    (error,) = done.errors
    assert str(error).startswith("f.yaml:1:1: its anchors, or comments within braces, are too")
    assert done.text == hard


@given(st.text("a b:#-\n\t'\"\u2028\x85|", max_size=12))
def test_texts_that_are_made_are_read_as_they_are(text: str):
    """Headers that were lists are joined to one text."""
    http = {"headers": {"A": [text, "x"]}, "url": "u"}
    raw = {"apiVersion": ARGO, "kind": "Sensor", "metadata": {"name": "x"},
           "spec": {"triggers": [{"template": {"name": "t", "http": http}}]}}  # fmt: skip

    done = converted(block(raw), "f.yaml")

    assert done.errors == []
    made = read_one(done.text, "Sensor")["spec"]["triggers"][0]["template"]["http"]
    assert made["headers"] == {"A": f"{text}, x"}


# ---------------------------------------------------------------------------- files of Secrets

HOOK = """\
spec:
  template:
    volumes: {volumes}
    container: {{volumeMounts: {mounts}}}
  webhook:
    e: {{serverCertPath: /certs/in/tls.crt, serverKeyPath: /certs/in/tls.key, port: "1"}}
"""


def kept_in(secret: str, **items: str) -> dict[str, Any]:
    found = {"secretName": secret}
    keys = [{"key": key.replace("_", "."), "path": path} for key, path in items.items()]
    return {"name": "v", "secret": {**found, "items": keys} if keys else found}


def mount(path: str, name: str = "v") -> dict[str, str]:
    return {"name": name, "mountPath": path}


PROJECTED = {"name": "v", "projected": {"sources": [{"secret": {"name": "p"}}]}}
WIDE = {"name": "w", "secret": {"secretName": "wide"}}
DEEP = kept_in("s", tls_crt="in/tls.crt", tls_key="in/tls.key")


@pytest.mark.parametrize(
    ("volumes", "mounts", "secret"),
    [
        ([kept_in("s")], [mount("/certs/in/")], "s"),
        ([PROJECTED], [mount("/certs/in")], "p"),
        ([DEEP], [mount("/certs")], "s"),
        ([WIDE, kept_in("s")], [mount("/certs", "w"), mount("/certs/in")], "s"),
    ],
)
def test_a_file_becomes_the_key_of_the_secret_that_is_mounted(volumes, mounts, secret):
    text = SOURCE + HOOK.format(volumes=json.dumps(volumes), mounts=json.dumps(mounts))

    done = converted(text, "f.yaml")

    assert [str(e) for e in done.errors] == []
    hook = yaml.safe_load(done.text)["spec"]["webhook"]["e"]
    assert hook["serverCertSecret"] == {"name": secret, "key": "tls.crt"}
    assert hook["serverKeySecret"] == {"name": secret, "key": "tls.key"}


@pytest.mark.parametrize(
    ("volumes", "mounts"),
    [
        ([], []),
        ([{"name": "v", "emptyDir": {}}], [mount("/certs/in")]),
        ([kept_in("s")], [mount("/other")]),
        ([kept_in("s")], [mount("/certs")]),
    ],
)
def test_a_file_of_no_secret_is_refused(volumes, mounts):
    text = SOURCE + HOOK.format(volumes=json.dumps(volumes), mounts=json.dumps(mounts))

    done = converted(text, "f.yaml")

    assert done.text == text
    assert str(done.errors[0]).startswith(
        "f.yaml:9:9: spec.webhook.e.serverCertPath: no volume of a Secret is mounted where"
        " /certs/in/tls.crt is (put the file into a Secret, and write serverCertSecret with"
    )


PUB_SUB = """\
spec:
  template:
    volumes: [{name: v, secret: {secretName: s}}]
    container: {volumeMounts: [{name: v, mountPath: /gcp}]}
  pubSub:
    e: {projectID: p, topic: t, credentialsFile: /gcp/key}
    named: {projectID: p, topic: t, subscriptionID: mine, credentialsFile: /gcp/key}
    anywhere: {topic: t, credentialsFile: /gcp/key}
"""


def test_a_subscription_keeps_its_name():
    """The credentials are part of what it is made of, and another one begins anew."""
    text = SOURCE + PUB_SUB
    raw = modernise("EventSource", read_one(text, "EventSource")).raw["spec"]["pubSub"]["e"]
    before = load(PubSub, raw).subscription("e", "p")

    done = converted(text, "f.yaml")

    events = yaml.safe_load(done.text)["spec"]["pubSub"]
    after = {name: load(PubSub, event).subscription(name, "p") for name, event in events.items()}
    assert after["e"] == before == events["e"]["subscriptionID"]
    assert events["named"]["subscriptionID"] == "mine"
    assert "subscriptionID" not in events["anywhere"]
    said = [f.message for f in done.changes if "subscriptionID" in f.message]
    assert said == [
        f"subscriptionID {before} is written, too: a made-up name would be another from now",
        "write subscriptionID, too: a made-up name is another from now on",
    ]
    del events["e"]["subscriptionID"]
    assert load(PubSub, events["e"]).subscription("e", "p") != before


# ---------------------------------------------------------------------------- the command


def run(*words: str, stdin: str | None = None) -> tuple[int, str, str]:
    done = CliRunner().invoke(command, words, input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


OLD = SOURCE + "spec:\n  replica: 2\n  webhook: {}\n"
NEW = SOURCE + "spec:\n  replicas: 2\n  webhook: {}\n"
REFUSED = SENSOR + "spec:\n  circuit: a\n  dependencies: [{name: a, connected: true}]\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "new.yaml").write_text(NEW)
    (tmp_path / "old.yaml").write_text(OLD)
    return tmp_path


def test_files_are_written_where_they_change(folder):
    before = (folder / "new.yaml").stat().st_mtime_ns

    code, out, err = run(".")

    assert (code, err) == (0, "")
    assert out == (
        "old.yaml:5:3: spec.replica: old shape, valid up to v1.4: write replicas\n"
        "1 change in 1 file\n"
    )
    assert (folder / "old.yaml").read_text() == NEW
    assert (folder / "new.yaml").stat().st_mtime_ns == before
    assert run(".") == (0, "2 files: nothing to convert\n", "")
    assert run("--check", ".") == (0, "2 files: nothing to convert\n", "")


def test_dry_run_prints_a_diff_and_writes_nothing(folder):
    code, out, err = run("--dry-run", "old.yaml")

    assert code == 0
    assert out.startswith("--- old.yaml\n+++ old.yaml\n@@")
    assert "\n-  replica: 2\n+  replicas: 2\n" in out
    assert "write replicas\n1 change in 1 file to be made" in err
    assert (folder / "old.yaml").read_text() == OLD


def test_check_says_that_something_would_change(folder):
    code, out, _ = run("--check", "-q", ".")
    assert (code, out) == (1, "")
    assert "1 change in 1 file to be made" in run("--check", ".")[1]
    assert (folder / "old.yaml").read_text() == OLD


def test_a_file_of_which_a_part_is_refused_is_left_alone(folder):
    (folder / "refused.yaml").write_text(REFUSED)
    (folder / "torn.yaml").write_text("a: [")
    (folder / "gateway.yaml").write_text(SOURCE.replace("EventSource", "Gateway"))

    code, out, err = run(".")

    assert code == 2
    assert "refused.yaml:5:3: spec.circuit: valid up to v1.4: write conditions" in err
    assert "torn.yaml:2:1: not YAML" in err
    assert "gateway.yaml:2:1: kind: Gateway objects ended" in err
    assert out.endswith("1 change in 1 file; 3 files left alone\n")
    assert (folder / "refused.yaml").read_text() == REFUSED
    assert (folder / "old.yaml").read_text() == NEW
    assert run("--check", "refused.yaml")[0] == 2


@pytest.mark.parametrize(("given", "passed_on"), [(OLD, NEW), (NEW, NEW), (REFUSED, REFUSED)])
def test_standard_input_goes_to_standard_output(given, passed_on):
    code, out, err = run("-", stdin=given)

    assert out == passed_on
    assert code == (2 if given == REFUSED else 0)
    assert ("stdin:5:3: " in err) == (given != NEW)
    assert ("-  replica: 2" in run("--dry-run", "-", stdin=given)[1]) == (given == OLD)


def test_ends_of_lines_and_marks_of_the_file_stay(folder):
    (folder / "dos.yaml").write_bytes(b"\xef\xbb\xbf" + OLD.replace("\n", "\r\n").encode())

    assert run("-q", "dos.yaml") == (0, "", "")
    assert (folder / "dos.yaml").read_bytes() == b"\xef\xbb\xbf" + NEW.replace(
        "\n", "\r\n"
    ).encode()


def test_what_is_no_manifest_is_not_touched(folder):
    (folder / "values.yaml").write_text("replica: 2\n")

    assert run(".")[0] == 0
    assert (folder / "values.yaml").read_text() == "replica: 2\n"
    assert run("values.yaml")[0] == 2
