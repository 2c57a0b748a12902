"""What `tocsin run` is made of: what is wanted, the banner, the state folder, the console."""

import json
import os
import socket
from pathlib import Path

import pytest

from spine.errors import ConfigError
from spine.manifest import read_text
from tocsin import state
from tocsin.banner import curl, example_body
from tocsin.checks import Setting, check
from tocsin.console import Console
from tocsin.wanted import Setup, port_problems, wanted
from tocsin.watching import look

BUS = {("default", "default"): {"jetstream": {"url": "nats://127.0.0.1:4222"}}}
SETUP = Setup(port_offset=0, log_format="text", log_level="info")

TEXT = """\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: hook, annotations: {}}
spec:
  webhook:
    e: {port: "12000", endpoint: /e, method: POST}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: show}
spec:
  dependencies:
    - {name: dep, eventSourceName: hook, eventName: e, filters: {data: []}}
  triggers:
    - template: {name: log, log: {}}
---
apiVersion: v1
kind: Secret
metadata: {name: hub}
stringData: {token: one, other: two}
"""


def wishes(text: str = TEXT, setup: Setup = SETUP):
    result = check(read_text(text.encode(), "f"), Setting(alone=True, bus_given=True))
    assert not result.count("error"), result.findings
    return {key[0]: one for key, one in wanted(result, BUS, setup).items()}


# ---------------------------------------------------------------------------- wanted


def test_a_process_gets_only_what_its_object_refers_to():
    text = TEXT.replace("endpoint: /e,", "endpoint: /e, authSecret: {name: hub, key: token},")

    found = wishes(text)

    assert found["EventSource"].job["secrets"] == {"hub": {"token": "one"}}
    assert found["Sensor"].job["secrets"] == {}


def test_an_edit_changes_the_fingerprint_of_what_it_concerns():
    with_secret = TEXT.replace(
        "endpoint: /e,", "endpoint: /e, authSecret: {name: hub, key: token},"
    )
    before = wishes(with_secret)

    def changed(text: str) -> set[str]:
        after = wishes(text)
        return {k for k in after if after[k].fingerprint != before[k].fingerprint}

    assert changed(with_secret) == set()
    assert changed("# a comment\n" + with_secret) == set()
    assert changed(with_secret.replace("token: one", "token: three")) == {"EventSource"}
    assert changed(with_secret.replace("other: two", "other: three")) == set()
    assert changed(with_secret.replace("name: log", "name: logged")) == {"Sensor"}


def test_a_port_in_use_is_found_and_one_of_ours_is_not():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        source = wishes(TEXT.replace("12000", str(port)))["EventSource"].checked

        (finding,) = port_problems([source], 0)
        ours = list(port_problems([source], 0, {port}))

    assert str(finding).startswith(f"f:6:9: spec.webhook.e.port: port {port} is in use by ")
    assert f"(pid {os.getpid()})" in str(finding)
    assert ours == []


def test_a_port_that_is_none_is_told():
    source = wishes()["EventSource"].checked

    (finding,) = port_problems([source], 60_000)

    assert "port 72000 does not exist (choose another --port-offset)" in finding.message


# ---------------------------------------------------------------------------- banner


def body_for(*rules: str) -> object:
    text = TEXT.replace("data: []", f"data: [{', '.join(rules)}]")
    return example_body("hook", "e", [wishes(text)["Sensor"]])


RULES = [
    ("{path: body.n, type: number, value: ['3']}", {"n": 3}),
    ("{path: body.n, type: number, comparator: '>', value: ['3']}", {"n": 4}),
    ("{path: body.n, type: number, comparator: '<', value: ['3.5']}", {"n": 2.5}),
    ("{path: body.a.b, type: string, value: ['^x$']}", {"a": {"b": "x"}}),
    ("{path: body.ok, type: bool, value: ['true']}", {"ok": True}),
    ("{path: body.ok, type: bool, comparator: '!=', value: ['true']}", {"ok": False}),
    ("{path: body.a, type: string, value: ['x.*']}", {"hello": "world"}),
    ("{path: 'body.#(a==1)', type: string, value: ['x']}", {"hello": "world"}),
    ("{path: header.X-A, type: string, value: ['x']}", {"hello": "world"}),
]


@pytest.mark.parametrize(("rule", "body"), RULES)
def test_the_example_passes_plain_filters(rule, body):
    assert body_for(rule) == body


def test_the_line_to_try_it_can_be_pasted():
    source = wishes()["EventSource"]

    (address,) = source.addresses
    assert curl(source, address) == (
        "curl -H 'Content-Type: application/json' -d '{\"hello\": \"world\"}'"
        " http://127.0.0.1:12000/e"
    )


def test_an_annotation_says_what_to_try():
    text = TEXT.replace("annotations: {}", "annotations: {tocsin.dev/example: '{\"a\":  1}'}")
    source = wishes(text, Setup(1, "text", "info"))["EventSource"]

    assert curl(source, source.addresses[0]).endswith("-d '{\"a\": 1}' http://127.0.0.1:12001/e")


def test_methods_and_tokens_are_in_the_line():
    text = TEXT.replace("POST", "PUT, authSecret: {name: hub, key: token}")
    source = wishes(text)["EventSource"]

    line = curl(source, source.addresses[0])
    assert "-H 'Authorization: Bearer TOKEN' -X PUT " in line
    assert "one" not in line
    source = wishes(TEXT.replace("POST", "GET"))["EventSource"]
    assert curl(source, source.addresses[0]) == "curl http://127.0.0.1:12000/e"


# ---------------------------------------------------------------------------- state


def test_a_state_folder_has_one_owner(tmp_path):
    folder = tmp_path / "deep" / "state"
    with state.held(folder):
        assert folder.stat().st_mode & 0o077 == 0
        with (
            pytest.raises(ConfigError, match=rf"another tocsin run \(pid {os.getpid()}\) has it"),
            state.held(folder),
        ):
            pass
    with state.held(folder):
        pass


def test_what_runs_is_told_while_it_runs(tmp_path):
    with state.held(tmp_path):
        state.write_run(tmp_path, {"pid": os.getpid(), "buses": []})
        assert state.read_run(tmp_path)["buses"] == []
        assert (tmp_path / "run.json").stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigError, match="there is none"):
        state.read_run(tmp_path)


def test_a_run_that_was_refused_the_folder_leaves_what_the_other_has_told(tmp_path):
    with state.held(tmp_path):
        state.write_run(tmp_path, {"buses": []})
        with pytest.raises(ConfigError, match="has it"), state.held(tmp_path):
            pass
        assert state.read_run(tmp_path) == {"buses": []}


def test_a_run_that_was_killed_does_not_run(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "lock").write_text("")

    with pytest.raises(ConfigError, match="there is none"):
        state.read_run(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(ConfigError, match="choose another with --state DIR"),
        state.held(tmp_path / "file" / "x"),
    ):
        pass


# ---------------------------------------------------------------------------- console


def test_lines_of_processes_bear_their_names(capsys):
    console = Console("text")
    console.meet("source hook")
    console.meet("sensor x")

    console.relay("sensor x", "fired")
    console.say("careful", level="warning")
    console.detail("unseen")

    assert capsys.readouterr().out == "sensor x    | fired\nwarning: careful\n"


def test_json_lines_stay_json_whatever_a_process_prints(capsys):
    console = Console("json", verbose=True)

    console.relay("sensor x", '{"level":"info"}')
    console.relay("sensor x", "Traceback (most recent call last):")
    console.detail("seen", port=1)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == {"level": "info"}
    assert (lines[1]["level"], lines[1]["process"]) == ("error", "sensor x")
    assert (lines[2]["msg"], lines[2]["port"]) == ("seen", 1)


# ---------------------------------------------------------------------------- watching


def test_what_is_looked_at(tmp_path):
    class Options:
        paths = (str(tmp_path), "-", str(tmp_path / "named"))
        secrets = (f"hub.token=@{tmp_path}/token.txt", "hub.other=plain")
        config_maps = ()

    for name in ("a.yaml", "note.txt", "token.txt", "named", ".hidden.yaml"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".tocsin").mkdir()
    (tmp_path / ".tocsin" / "b.yaml").write_text("x")

    before = look(Options)

    assert {Path(p).name for p in before} == {"a.yaml", "token.txt", "named"}
    assert look(Options) == before
    (tmp_path / "a.yaml").write_text("xy")
    assert look(Options) != before
