"""`tocsin eventsource` and `tocsin sensor` as a pod runs them, on a real nats-server."""

import asyncio
import base64
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from nats_server import nats_server
from ports import free_port
from sink import sink
from tocsin_run import Run, descendants, environment, started, tocsin

SOURCE: dict[str, Any] = {
    "metadata": {"name": "hook", "namespace": "ns", "creationTimestamp": None},
    "spec": {"webhook": {"e": {"port": "0", "endpoint": "/e", "method": "POST"}}},
    "status": {},
}
SENSOR: dict[str, Any] = {
    "metadata": {"name": "show", "namespace": "ns", "creationTimestamp": None},
    "spec": {
        "dependencies": [{"name": "dep", "eventSourceName": "hook", "eventName": "e"}],
        "triggers": [
            {
                "template": {
                    "name": "out",
                    "http": {
                        "url": "",
                        "payload": [
                            {"src": {"dependencyName": "dep", "dataKey": "body.id"}, "dest": "id"}
                        ],
                    },
                }
            }
        ],
    },
    "status": {},
}


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


def source(port: int, **more: Any) -> str:
    spec = {"webhook": {"e": {"port": str(port), "endpoint": "/e", "method": "POST"}}, **more}
    return encoded({**SOURCE, "spec": spec})


def sensor(url: str) -> str:
    text = json.dumps(SENSOR).replace('"url": ""', json.dumps({"url": url})[1:-1])
    return encoded(json.loads(text))


def bus(url: str, **more: Any) -> str:
    return encoded({"jetstream": {"url": url, **more}})


async def is_ready(run: Run, port: int) -> None:
    async with httpx.AsyncClient(timeout=60) as client, asyncio.timeout(90):
        while True:
            assert run.process.returncode is None, run.text
            try:
                found = await client.get(f"http://127.0.0.1:{port}/readyz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if found.status_code == 200:
                return
            await asyncio.sleep(0.05)


async def test_objects_of_a_controller_run_unchanged(tmp_path):
    async with sink() as target, nats_server(tmp_path) as server:
        port, first, second = free_port(), free_port(), free_port()
        common = {"EVENTBUS_CONFIG": bus(server.url), "EVENTBUS_SUBJECT": "eventbus-ns"}
        sn = ("sensor", "--metrics-port", str(second))
        es = ("eventsource", "--metrics-port", str(first))
        url = f"{target.url}/"
        async with (
            started(tmp_path, *sn, SENSOR_OBJECT=sensor(url), POD_NAME="p", **common) as reader,
            started(tmp_path, *es, EVENTSOURCE_OBJECT=source(port), POD_NAME="q", **common) as hook,
        ):
            await is_ready(reader, second)
            await is_ready(hook, first)
            async with httpx.AsyncClient(timeout=60) as client:
                answer = await client.post(f"http://127.0.0.1:{port}/e", json={"id": "1"})
                assert (answer.status_code, answer.text) == (200, "success")
                await reader.until(lambda: target.seen() == {"1"})
                health = await client.get(f"http://127.0.0.1:{first}/healthz")
                metrics = (await client.get(f"http://127.0.0.1:{first}/metrics")).text
            assert health.text == "ok\n"
            assert (
                'argo_events_events_sent_total{event_name="e",eventsource_name="hook",namespace="ns"}'
                " 1.0" in metrics
            )
            assert await hook.stop(signal.SIGTERM) == 0
            assert await reader.stop(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in (*hook.lines, *reader.lines)]
        assert all({"level", "ts", "logger", "msg"} <= line.keys() for line in lines)
        assert {line.get("eventSourceName") for line in lines} >= {"hook"}
        assert {line.get("sensorName") for line in lines} >= {"show"}


async def test_it_waits_for_the_bus_and_says_so(tmp_path):
    async with nats_server(tmp_path) as server:
        await server.kill()
        port, metrics = free_port(), free_port()
        words = ("eventsource", "--metrics-port", str(metrics), "--log-format", "text")
        env = {"EVENTSOURCE_OBJECT": source(port), "EVENTBUS_CONFIG": bus(server.url)}
        async with started(tmp_path, *words, **env) as run, httpx.AsyncClient(timeout=60) as client:
            url = f"http://127.0.0.1:{metrics}"

            async def status(path: str) -> tuple[int, str]:
                try:
                    found = await client.get(url + path)
                except httpx.TransportError:
                    return 0, ""
                return found.status_code, found.text

            async with asyncio.timeout(60):
                while (await status("/readyz"))[0] != 503:
                    await asyncio.sleep(0.05)
            assert (await status("/healthz"))[0] == 200
            assert "bus: " in (await status("/readyz"))[1]

            await server.start()

            await is_ready(run, metrics)
            assert (await client.post(f"http://127.0.0.1:{port}/e", json={})).status_code == 200
            assert await run.stop(signal.SIGTERM) == 0


async def test_it_stops_promptly_while_it_waits_for_the_bus(tmp_path):
    env = {"EVENTSOURCE_OBJECT": source(free_port()), "EVENTBUS_CONFIG": bus("nats://127.0.0.1:9")}
    async with started(tmp_path, "eventsource", "--metrics-port", "0", **env) as run:
        await run.until(lambda: "the bus is away" in run.text)
        assert await run.stop(signal.SIGTERM) == 0


def _first_of_its_own(*words: str) -> list[str]:
    """Return words that begin a command as the first process of a container begins."""
    alone = ["unshare", "--pid", "--fork", "--kill-child"]
    return [*(alone if os.geteuid() == 0 else [*alone, "--user", "--map-root-user"]), *words]


async def test_it_stops_promptly_while_it_starts(tmp_path):
    command = (sys.executable, "-m", "tocsin", "eventsource", "-f", "-", "--metrics-port", "0")
    outer = await asyncio.create_subprocess_exec(
        *_first_of_its_own(*command),
        cwd=tmp_path, env=environment(), stdin=asyncio.subprocess.PIPE,
    )  # fmt: skip

    def listens_to_sigterm() -> list[int]:
        return [pid for pid in descendants(outer.pid) if _catches(pid, signal.SIGTERM)]

    try:
        async with asyncio.timeout(60):
            while not (first := listens_to_sigterm()):
                assert outer.returncode is None
                await asyncio.sleep(0.01)
            os.kill(first[0], signal.SIGTERM)  # it still waits for its object
            assert await outer.wait() == 143
    finally:
        if outer.returncode is None:
            outer.kill()
            await outer.wait()


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


async def test_a_stored_object_with_unknown_fields_runs_with_a_warning(tmp_path):
    async with nats_server(tmp_path) as server:
        port, metrics = free_port(), free_port()
        env = {
            "EVENTSOURCE_OBJECT": source(port, ofTomorrow={"a": 1}, replica=2),
            "EVENTBUS_CONFIG": bus(server.url, unheard=1),
        }
        words = ("eventsource", "--metrics-port", str(metrics))
        async with started(tmp_path, *words, **env) as run:
            await is_ready(run, metrics)
            warnings = [json.loads(x)["msg"] for x in run.lines if '"level":"warn"' in x]
            assert any("ofTomorrow: unknown field ignored" in text for text in warnings)
            assert any("spec.replica: old shape" in text for text in warnings)
            await run.stop(signal.SIGTERM)


async def test_files_and_mounted_secrets(tmp_path):
    async with nats_server(tmp_path) as server:
        port, metrics = free_port(), free_port()
        (tmp_path / "hook.yaml").write_text(
            "apiVersion: argoproj.io/v1alpha1\nkind: EventSource\nmetadata: {name: hook}\n"
            f'spec: {{webhook: {{e: {{port: "{port}", endpoint: /e, method: POST,'
            " authSecret: {name: hub, key: token}}}}\n"
        )
        (tmp_path / "bus.json").write_text(json.dumps({"jetstream": {"url": server.url}}))
        (tmp_path / "secrets" / "hub").mkdir(parents=True)
        (tmp_path / "secrets" / "hub" / "token").write_text("s3cret\n")
        words = ("--bus-config", "bus.json", "--secrets-dir", "secrets", "--host", "127.0.0.1")
        command = ("eventsource", "-f", "hook.yaml", "--metrics-port", str(metrics), *words)
        async with started(tmp_path, *command) as run, httpx.AsyncClient(timeout=60) as client:
            await is_ready(run, metrics)
            url, headers = f"http://127.0.0.1:{port}/e", {"Authorization": "Bearer s3cret"}
            assert (await client.post(url, json={})).status_code == 401
            assert (await client.post(url, json={}, headers=headers)).status_code == 200
            await run.stop(signal.SIGTERM)


BAD = [
    ({}, "looking for the object in EVENTSOURCE_OBJECT: not set (or give --file MANIFEST)"),
    ({"EVENTSOURCE_OBJECT": "?"}, "reading EVENTSOURCE_OBJECT '?': not base64"),
    ({"EVENTSOURCE_OBJECT": "eA=="}, "reading EVENTSOURCE_OBJECT: base64, but not of JSON"),
    ({"EVENTSOURCE_OBJECT": encoded([])}, "reading EVENTSOURCE_OBJECT: not an object but list"),
    ({"EVENTSOURCE_OBJECT": encoded({})}, "it has no metadata.name or no spec"),
    (
        {"EVENTSOURCE_OBJECT": encoded({**SOURCE, "spec": {"webhook": {"e": {"port": "x"}}}})},
        "spec.webhook.e.endpoint: required field is missing",
    ),
    ({"EVENTSOURCE_OBJECT": source(1234), "EVENTBUS_CONFIG": ""}, "EVENTBUS_CONFIG: not set"),
    (
        {"EVENTSOURCE_OBJECT": source(1234), "EVENTBUS_CONFIG": encoded({"kafka": {"url": "x"}})},
        "kafka is a known kind of bus that is not built yet",
    ),
]


@pytest.mark.parametrize(("env", "message"), BAD, ids=[m for _, m in BAD])
async def test_what_a_pod_is_handed_wrongly_ends_it_with_2(tmp_path, env, message):
    env = {"EVENTBUS_CONFIG": bus("nats://127.0.0.1:9")} | env

    code, out, err = await tocsin("eventsource", "--metrics-port", "0", cwd=tmp_path, **env)

    assert code == 2, out + err
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


async def test_a_port_in_use_ends_it_with_2(tmp_path):
    async with nats_server(tmp_path) as server:
        other = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = other.sockets[0].getsockname()[1]
        env = {"EVENTSOURCE_OBJECT": source(free_port()), "EVENTBUS_CONFIG": bus(server.url)}
        words = ("eventsource", "--metrics-port", str(port), "--host", "127.0.0.1")
        code, _, err = await tocsin(*words, cwd=tmp_path, **env)
        other.close()
        await other.wait_closed()

    assert code == 2
    assert f"listening on 127.0.0.1:{port} for metrics and health: Address already in use" in err


async def test_a_pod_that_is_to_stop_takes_requests_until_nobody_sends_any(tmp_path):
    async with nats_server(tmp_path) as server:
        port, metrics = free_port(), free_port()
        es = ("eventsource", "--metrics-port", str(metrics), "--stop-delay", "5")
        given = {"EVENTBUS_CONFIG": bus(server.url), "EVENTSOURCE_OBJECT": source(port)}
        async with started(tmp_path, *es, POD_NAME="q", **given) as hook:
            await is_ready(hook, metrics)
            hook.process.send_signal(signal.SIGTERM)
            async with httpx.AsyncClient(timeout=60) as client, asyncio.timeout(30):
                while (found := await client.get(f"http://127.0.0.1:{metrics}/readyz")).is_success:
                    pass
                assert "eventsource: is stopping" in found.text
                answer = await client.post(f"http://127.0.0.1:{port}/e", json={"id": "1"})
                assert answer.status_code == 200
                told = (await client.get(f"http://127.0.0.1:{metrics}/status")).json()
            assert told["parts"] == [{"name": "e", "ready": True, "reason": "Listening"}]
            assert await hook.ended() == 0
