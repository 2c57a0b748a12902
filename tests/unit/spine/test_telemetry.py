"""Metrics by their names, logs by their keys, and a status server that answers."""

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request

import pytest

from spine.errors import ConfigError
from spine.telemetry import JsonLines, SensorMetrics, SourceMetrics, StatusServer, TextLines


def fetch(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


async def test_status_server_tells_metrics_health_and_readiness():
    metrics = SourceMetrics("ns", "es", ["a"])
    metrics.sent("a", 0.002)
    metrics.rejected("a", 413)
    metrics.evicted_as(lambda: 7)
    problem = "not connected"
    async with StatusServer("127.0.0.1", 0, metrics.registry, {"bus": lambda: problem}) as server:
        status, text = await asyncio.to_thread(fetch, server.port, "/metrics")
        assert status == 200
        labels = 'eventsource_name="es",namespace="ns"'
        assert f'argo_events_events_sent_total{{event_name="a",{labels}}} 1.0' in text
        assert f'tocsin_events_rejected_total{{event_name="a",{labels},status="413"}} 1.0' in text
        assert f"tocsin_events_evicted{{{labels}}} 7.0" in text
        assert 'build_info{pythonversion="3.' in text
        assert await asyncio.to_thread(fetch, server.port, "/healthz") == (200, "ok\n")
        not_ready = (503, "bus: not connected\n")
        assert await asyncio.to_thread(fetch, server.port, "/readyz") == not_ready
        problem = ""
        assert await asyncio.to_thread(fetch, server.port, "/readyz") == (200, "bus: ok\n")
        assert (await asyncio.to_thread(fetch, server.port, "/nope"))[0] == 404


async def test_a_loop_that_does_not_turn_is_not_healthy(monkeypatch):
    async with StatusServer("127.0.0.1", 0, SourceMetrics("ns", "es", []).registry, {}) as server:
        now = time.monotonic()
        monkeypatch.setattr("spine.telemetry.status.time.monotonic", lambda: now + 31)
        status, _, text = server.answer("/healthz")
        assert (status, text) == (503, b"the event loop has not turned for 31 s\n")


async def test_port_in_use_is_a_config_error():
    registry = SourceMetrics("ns", "es", []).registry
    async with StatusServer("127.0.0.1", 0, registry, {}) as first:
        with pytest.raises(ConfigError, match=f"127.0.0.1:{first.port} .*--metrics-port"):
            async with StatusServer("127.0.0.1", first.port, registry, {}):
                pass


def test_triggers_start_at_zero_and_latency_is_a_histogram():
    metrics = SensorMetrics("ns", "sn", ["t"])
    metrics.triggered("t", 0.01, latency=0.02)
    sample = metrics.registry.get_sample_value
    labels = {"namespace": "ns", "sensor_name": "sn", "trigger_name": "t"}
    assert sample("argo_events_action_triggered_total", labels) == 1
    assert sample("argo_events_action_failed_total", labels) == 0
    assert sample("argo_events_action_duration_milliseconds_sum", labels) == 10
    assert sample("tocsin_event_to_action_seconds_bucket", labels | {"le": "0.025"}) == 1
    assert sample("tocsin_event_to_action_seconds_bucket", labels | {"le": "0.01"}) == 0


def record(**extra) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "sensor.runner", "levelname": "WARNING", "msg": "no %s"})
    made.args = ("luck",)
    vars(made).update(extra)
    return made


def test_json_lines_have_the_keys_of_argo_events():
    line = json.loads(JsonLines({"sensorName": "sn"}).format(record(triggeredBy=["a"], created=0)))
    assert line == {
        "level": "warn",
        "ts": "1970-01-01T00:00:00Z",
        "logger": "tocsin.sensor.runner",
        "msg": "no luck",
        "sensorName": "sn",
        "triggeredBy": ["a"],
    }


def test_a_field_that_json_refuses_does_not_lose_the_line():
    assert json.loads(JsonLines({}).format(record(n=1 << 70, s="\ud800")))["n"] == 1 << 70


def test_text_lines_are_for_people():
    assert TextLines().format(record(triggeredBy=["a", "b"])).endswith("no luck  triggeredBy=a,b")
