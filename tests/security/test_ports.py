"""The ports of a process: what they tell, to whom, and what becomes of those who hold them."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from spine.telemetry import CONNECTIONS, SensorMetrics, StatusServer


@pytest.fixture
async def server():
    metrics = SensorMetrics("ns", "s", ["t"])
    async with StatusServer("127.0.0.1", 0, metrics.registry, {"bus": lambda: ""}) as one:
        yield one


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/debug/pprof/",
        "/debug/vars",
        "/metrics/",
        "/metrics/../env",
        "/env",
        "/heapdump",
        "/config",
    ],
)
async def test_status_server_tells_nothing_else(server, path: str) -> None:
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as client, client.get(url) as answer:
        assert answer.status == 404
        assert (await answer.text()).startswith("try /metrics")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_status_server_takes_no_orders(server, method: str) -> None:
    async with aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{server.port}/metrics"
        async with client.request(method, url) as answer:
            assert answer.status == 501


async def test_status_server_answers_while_others_hold_connections() -> None:
    """Somebody opens more than there are and sends a letter now and then."""
    held = []
    async with StatusServer("127.0.0.1", 0, CollectorRegistry(), {}) as server:
        try:
            for _ in range(CONNECTIONS + 36):
                one = socket.create_connection(("127.0.0.1", server.port))
                one.sendall(b"G")
                held.append(one)
            timeout = aiohttp.ClientTimeout(total=60)
            url = f"http://127.0.0.1:{server.port}/healthz"
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(url) as answer,
            ):
                assert answer.status == 200
            async with asyncio.timeout(60):
                while await asyncio.to_thread(alive, held) > CONNECTIONS:
                    await asyncio.sleep(0.05)
        finally:
            for one in held:
                one.close()


def alive(held: list[socket.socket]) -> int:
    """Return how many connections the server has not closed."""
    count = 0
    for one in held:
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            if one.recv(1) == b"":
                continue
        count += 1
    return count


async def test_metric_labels_are_names_of_the_manifest(server) -> None:
    """What an event holds is no label: nobody outside makes series, and no value gets in."""
    text = server.answer("/metrics")[2].decode()
    labels = {
        pair.partition("=")[0]
        for line in text.splitlines()
        if "{" in line and not line.startswith("#")
        for pair in line.partition("{")[2].partition("}")[0].split(",")
    }
    assert labels <= {"namespace", "sensor_name", "trigger_name", "le", "version", "pythonversion"}
