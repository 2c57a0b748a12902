"""`tocsin run` on a folder, with a real nats-server, real processes and a real endpoint."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from nats_server import find_binary, nats_server
from ports import free_port
from sink import sink
from tocsin_run import UP, Run, alive, behind_hook, descendants, environment, gone, started, tocsin

MANIFESTS = behind_hook(
    """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: show}
spec:
  dependencies:
    - name: dep
      eventSourceName: hook
      eventName: example
      filters:
        data:
          - {path: body.id, type: number, comparator: ">=", value: ["10"]}
  triggers:
    - template:
        name: out
        http:
          url: %(sink)s/
          payload:
            - {src: {dependencyName: dep, dataKey: body.id, useRawData: true}, dest: id}
            - {src: {dependencyName: dep, value: %(word)s}, dest: word}
    - template: {name: shown, log: {}}
""",
    "example",
)


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


class Folder:
    """A folder of manifests, and where to post."""

    def __init__(self, path: Path, sink_url: str) -> None:
        self.path, self.port, self.sink_url = path, free_port(), sink_url
        self.write()

    def write(self, word: str = "first") -> None:
        text = MANIFESTS % {"port": self.port, "sink": self.sink_url, "word": word}
        (self.path / "all.yaml").write_text(text)

    async def post(self, number: int) -> int:
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"http://127.0.0.1:{self.port}/example"
            return (await client.post(url, json={"id": number})).status_code


async def test_a_post_is_filtered_reshaped_and_arrives(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            assert f"POST http://127.0.0.1:{folder.port}/example" in run.text
            assert f"http://127.0.0.1:{folder.port}/example" in run.text.split("curl", 1)[1]

            assert [await folder.post(n) for n in (1, 10, 11)] == [200, 200, 200]

            await run.until(lambda: len(target.ids) == 2)
            assert sorted((b["id"], b["word"]) for _, _, b in target.requests) == [
                (10, "first"),
                (11, "first"),
            ]
            await run.until("Successfully processed trigger 'out'")
            await run.until("Successfully processed trigger 'shown'")
            assert await run.stop() == 0
        assert "1" not in target.seen()


async def test_each_process_serves_its_own_metrics_and_a_restart_keeps_the_state(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            await folder.post(10)
            await run.until(lambda: len(target.ids) == 1)
            ports = {p["kind"]: p["metrics"] for p in run.state()["processes"]}
            async with httpx.AsyncClient(timeout=60) as client, asyncio.timeout(60):
                while (
                    "argo_events_events_sent_total{"
                    not in (await client.get(ports["EventSource"])).text
                ):
                    await asyncio.sleep(0.05)
                while (
                    "argo_events_action_triggered_total{"
                    not in (await client.get(ports["Sensor"])).text
                ):
                    await asyncio.sleep(0.05)
                ready = await client.get(ports["Sensor"].replace("metrics", "readyz"))
            assert ready.status_code == 200
            assert len({*ports.values()}) == 2
            await run.stop()
        assert not (tmp_path / ".tocsin" / "run.json").exists()

        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            _, stored, _ = await tocsin("tail", "--no-follow", "-o", "json", cwd=tmp_path)
            await folder.post(11)
            await run.until(lambda: len(target.ids) == 2)
            await run.stop()
        events = [json.loads(line) for line in stored.splitlines() if '"event"' in line]
        assert [e["data"]["body"]["id"] for e in events if e["what"] == "event"] == [10]
        assert sorted(target.ids.values()) == [1, 1], "an event was acted on twice"


async def test_no_process_outlives_a_killed_parent(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        endless = "      transform: {jq: 'def f: f; if .never then f else . end'}\n      filters:"
        text = (tmp_path / "all.yaml").read_text().replace("      filters:", endless)
        (tmp_path / "all.yaml").write_text(text)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            await folder.post(10)
            await run.until(lambda: target.seen() == {"10"})
            pids = descendants(run.process.pid)
            assert set(run.pids()) <= set(pids)
            assert len(pids) > len(run.pids()), "no process that guards a program"
            assert all(alive(pid) for pid in pids)

            run.process.kill()

            await run.ended()
            assert await gone(pids) == []
        async with started(tmp_path, "run", ".") as run:  # and the folder can be used again
            await run.until(UP)
            await run.stop()


async def test_no_process_outlives_a_parent_that_is_killed_while_it_starts(tmp_path):
    async with sink() as target:
        Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            children = Path(f"/proc/{run.process.pid}/task/{run.process.pid}/children")
            await run.until(lambda: children.read_text().split())
            await asyncio.sleep(0.3)
            pids = [int(pid) for pid in children.read_text().split()]
            run.process.kill()
            await run.ended()
            assert await gone(pids) == []


async def test_ctrl_c_finishes_what_is_in_flight(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            pids = run.pids()
            target.seconds = 1.0
            await folder.post(10)
            await run.until(lambda: target.busy == 1)

            assert await run.stop() == 0

            assert target.seen() == {"10"}
            assert await gone(pids) == []
        target.seconds = 0
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            await folder.post(11)
            await run.until(lambda: "11" in target.seen())
            await run.stop()
        assert target.ids == {"/ 10": 1, "/ 11": 1}


async def test_a_second_ctrl_c_stops_at_once(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            pids = run.pids()
            target.seconds = 60.0
            await folder.post(10)
            await run.until(lambda: target.busy == 1)
            run.process.send_signal(signal.SIGINT)
            await run.until("stopping")

            assert await run.stop() == 130

            assert await gone(pids) == []


async def test_a_crashed_process_is_started_again_and_nothing_is_lost(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            first = run.pid_of("Sensor", "show")
            os.kill(first, signal.SIGKILL)
            await run.until("sensor show was ended by SIGKILL; starting it again")
            await folder.post(10)
            await run.until(lambda: target.seen() == {"10"})

            os.kill(run.pid_of("EventSource", "hook"), signal.SIGKILL)
            await run.until("source hook was ended by SIGKILL; starting it again")

            async def posted() -> bool:
                try:
                    return await folder.post(11) == 200
                except httpx.TransportError:
                    return False

            async with asyncio.timeout(60):
                while not await posted():
                    await asyncio.sleep(0.1)
            await run.until(lambda: "11" in target.seen())
            assert first not in run.pids(), "the state file tells of the old process"
            await run.stop()


# ---------------------------------------------------------------------------- bad input


async def test_errors_in_manifests_stop_it_before_anything_is_started(tmp_path):
    folder = Folder(tmp_path, "http://127.0.0.1:9")
    text = (tmp_path / "all.yaml").read_text().replace("eventName: example", "eventName: exampel")
    (tmp_path / "all.yaml").write_text(text)

    code, _, err = await tocsin("run", ".", cwd=tmp_path)

    assert code == 2
    assert "all.yaml:20:7: spec.dependencies[0].eventName: EventSource 'hook' has no event" in err
    assert "(did you mean example)" in err
    assert not (tmp_path / ".tocsin").exists()
    assert folder.port


async def test_what_lint_only_warns_of_is_an_error_here(tmp_path):
    Folder(tmp_path, "http://127.0.0.1:9")
    documents = (tmp_path / "all.yaml").read_text().split("---\n")
    (tmp_path / "all.yaml").write_text(documents[2])

    lint, _, _ = await tocsin("lint", ".", cwd=tmp_path)
    run, _, err = await tocsin("run", ".", cwd=tmp_path)

    assert (lint, run) == (0, 2)
    assert "no EventBus 'default' in these manifests (add an EventBus" in err
    assert "no EventSource 'hook' in these manifests" in err


async def test_a_port_in_use_is_told_with_who_has_it(tmp_path):
    folder = Folder(tmp_path, "http://127.0.0.1:9")
    with socket.socket() as other:
        other.bind(("127.0.0.1", folder.port))
        other.listen()

        code, out, err = await tocsin("run", ".", cwd=tmp_path)

    assert code == 2
    assert f"spec.webhook.example.port: port {folder.port} is in use by " in err
    assert f"(pid {os.getpid()}) (free it, or shift all ports with --port-offset N)" in err
    assert UP not in out


async def test_a_state_folder_in_use_is_told(tmp_path):
    folder = Folder(tmp_path, "http://127.0.0.1:9")
    async with started(tmp_path, "run", ".") as run:
        await run.until(UP)

        code, _, err = await tocsin("run", ".", cwd=tmp_path)

        assert code == 2
        assert f"another tocsin run (pid {run.process.pid}) has it" in err
        assert await folder.post(1) == 200
        await run.stop()


async def test_a_bus_that_does_not_answer_is_told_after_a_while(tmp_path):
    Folder(tmp_path, "http://127.0.0.1:9")
    port = free_port()

    code, _, err = await tocsin("run", ".", "--bus", f"nats://127.0.0.1:{port}", cwd=tmp_path)

    assert code == 1
    assert f"using EventBus 'default' at nats://127.0.0.1:{port}: " in err
    assert "Traceback" not in err


async def test_no_manifests_at_all(tmp_path):
    code, _, err = await tocsin("run", ".", cwd=tmp_path)

    assert (code, "no EventSource, Sensor or Notifier in there" in err) == (2, True)


# ---------------------------------------------------------------------------- options


async def test_stdin_json_logs_port_offset_and_secrets(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        text = (tmp_path / "all.yaml").read_text()
        (tmp_path / "all.yaml").unlink()
        (tmp_path / "token.txt").write_text("s3cret\n")
        text = text.replace(
            "endpoint: /example,", "endpoint: /example, authSecret: {name: hub, key: token},"
        )
        words = ("--log-format", "json", "--port-offset", "1", "--secret", "hub.token=@token.txt")
        while True:  # the port above must be free, too
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", folder.port + 1)):
                    break
            folder.port = free_port()
        async with started(tmp_path, "run", "-", *words, stdin=text.encode()) as run:
            await run.until('"running"')
            url = f"http://127.0.0.1:{folder.port + 1}/example"
            async with httpx.AsyncClient(timeout=60) as client:
                refused = await client.post(url, json={"id": 10})
                headers = {"Authorization": "Bearer s3cret"}
                taken = await client.post(url, json={"id": 10}, headers=headers)
            assert (refused.status_code, taken.status_code) == (401, 200)
            await run.until(lambda: target.seen() == {"10"})
            command = Path(f"/proc/{run.pid_of('EventSource', 'hook')}/cmdline").read_text()
            assert "s3cret" not in command
            assert await run.stop() == 0
        lines = [json.loads(line) for line in run.lines]
        assert {"sensorName", "eventSourceName"} <= {key for line in lines for key in line}
        assert "s3cret" not in run.text


async def test_a_hangup_of_the_terminal_stops_everything(tmp_path):
    async with sink() as target:
        Folder(tmp_path, target.url)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            pids = run.pids()
            await run.stop(signal.SIGHUP)
            assert await gone(pids) == []


def test_the_environment_of_tests_finds_the_package() -> None:
    assert isinstance(Run, type)
    assert environment()["PYTHONPATH"]


async def test_a_bus_that_exists_with_a_password_from_a_secret(tmp_path):
    """The manifests name it; its processes are told the password, and nobody else."""
    account = 'authorization { user: "app", password: "s3cret" }'
    login = "{name: bus, key: login}"
    async with sink() as target, nats_server(tmp_path / "server", extra=account) as server:
        folder = Folder(tmp_path, target.url)
        exotic = f"jetstreamExotic: {{url: '{server.url}', accessSecret: {login}}}"
        text = (tmp_path / "all.yaml").read_text()
        text = text.replace("jetstream: {version: latest}", exotic)
        secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: bus}\nstringData:\n  login: |\n"
        (tmp_path / "all.yaml").write_text(
            f"{text}---\n{secret}    username: app\n    password: s3cret\n"
        )
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            assert run.state()["servers"] == []
            await folder.post(10)
            await run.until(lambda: target.seen() == {"10"})
            assert "s3cret" not in (tmp_path / ".tocsin" / "run.json").read_text()
            await run.stop()
        assert "s3cret" not in run.text


async def test_it_stops_when_nobody_reads_its_output_any_more(tmp_path):
    async with sink() as target:
        folder = Folder(tmp_path, target.url)
        process = await asyncio.create_subprocess_shell(
            f"{sys.executable} -m tocsin run . | head -n 1",
            cwd=tmp_path, env=environment(), start_new_session=True,
        )  # fmt: skip
        ended = asyncio.create_task(process.wait())  # the shell waits for both
        try:
            async with asyncio.timeout(90):
                while not ended.done():  # it is noticed when something is to be printed
                    with suppress(httpx.TransportError):
                        await folder.post(10)
                    await asyncio.sleep(0.1)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await ended
        with pytest.raises(httpx.ConnectError):
            await folder.post(10)
