"""The controller, whose output nobody reads any more: it stops as after SIGTERM."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

from prometheus_client import CollectorRegistry

import controller.assembly
import spine.kube
from spine import output
from tocsin.controller import _Place, _run, _WebhookPlace


async def test_it_stops(monkeypatch):
    ended = []

    async def run() -> None:
        try:
            assert output._State.stop is not None
            output._State.stop()
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    @asynccontextmanager
    async def open_kube(_: str):
        yield SimpleNamespace(namespace="")

    metrics = SimpleNamespace(registry=CollectorRegistry())
    one = SimpleNamespace(leader=SimpleNamespace(), problem="", metrics=metrics, run=run)
    monkeypatch.setattr(spine.kube, "open_kube", open_kube)
    monkeypatch.setattr(controller.assembly, "controller", lambda *_, **__: one)
    place = _Place(
        namespaces=(), own_namespace="", kubeconfig="", lease="", lease_duration=15.0,
        host="127.0.0.1", port=0, webhook=_WebhookPlace(0, "", "", ""),
    )  # fmt: skip

    async with asyncio.timeout(30):
        await _run(SimpleNamespace(), place, 0.0)

    assert ended == [1]
