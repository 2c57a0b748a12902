"""The webhook over real sockets: from a request to an event on the bus."""

import asyncio
import json
import socket

import pytest
from hooks import Talk, running
from ports import free_port

from eventbus.memory import MemoryBus
from eventsource import web
from spine.errors import BusError
from spine.secrets import GivenSecrets


def hook(port: int, endpoint: str = "/a", **more) -> dict:
    return {"endpoint": endpoint, "port": str(port), "method": "POST", **more}


async def test_request_becomes_an_event():
    port = free_port()
    spec = {"webhook": {"build": hook(port, metadata={"team": "web"})}}
    async with running(spec) as source, Talk(port) as client:
        asked = {"X_Kind": "b", "Content_Type": "application/json", "Authorization": "Basic eA=="}
        status, text, headers = await client.ask("/a?q=1", b'{ "n": 1.0e2 }', **asked)

        assert (status, text, headers["content-type"]) == (
            200,
            "success",
            "text/plain; charset=utf-8",
        )
        (event,) = await source.events()
        assert (event.source, event.subject, event.type) == ("hooks", "build", "webhook")
        assert event.data == (
            b'{"header":{"Authorization":["*** Masked Auth Secret ***"],"Content-Length":["14"],'
            b'"Content-Type":["application/json"],"X-Kind":["b"]},"body":{"n":1.0e2},'
            b'"metadata":{"team":"web"}}'
        )


async def test_several_events_share_a_port():
    port = free_port()
    spec = {
        "webhook": {
            "a": hook(port),
            "b": hook(port, "/b/{x}", method="PUT"),
            "c": hook(port, "/c", method="GET"),
        }
    }
    async with running(spec) as source, Talk(port) as client:
        assert (await client.ask("/a"))[0] == 200
        assert (await client.ask("/b/1", method="PUT"))[0] == 200
        assert (await client.ask("/c?n=1", b"", method="GET"))[0] == 200
        assert (await client.ask("/d"))[:2] == (404, "404 page not found\n")
        assert (await client.ask("/c"))[0] == 405
        assert (await client.ask("/health", b"", method="GET"))[:2] == (200, "OK")
        assert [e.subject for e in await source.events()] == ["a", "b", "c"]


async def test_head_has_no_body():
    port = free_port()
    async with running({"webhook": {"a": hook(port)}}), Talk(port) as client:
        client.post("/a", b"", method="HEAD")
        assert (await client.head())[0] == 405
        client.post("/health", b"", method="HEAD")
        assert (await client.head())[0] == 200
        assert (await client.ask("/a"))[0] == 200


async def test_token():
    port = free_port()
    secrets = GivenSecrets({("s", "token"): "open"})
    spec = {"webhook": {"a": hook(port, authSecret={"name": "s", "key": "token"})}}
    async with running(spec, secrets=secrets) as source, Talk(port) as client:
        status, text, _ = await client.ask("/a", Authorization="Bearer shut")
        assert (status, text) == (401, "Invalid Auth token\n")
        assert (await client.ask("/a"))[1] == "Invalid Authorization Header\n"
        assert (await client.ask("/a", Authorization="Bearer open"))[0] == 200
        assert len(await source.events()) == 1


async def test_refusals_keep_the_connection():
    port = free_port()
    async with running({"webhook": {"a": hook(port, maxPayloadSize=10)}}), Talk(port) as client:
        for body, status in ((b"{", 400), (b"", 400), (b"1" * 11, 413), (b"1", 200)):
            assert (await client.ask("/a", body))[0] == status


async def test_chunked_body_above_the_limit():
    port = free_port()
    async with running({"webhook": {"a": hook(port, maxPayloadSize=100)}}) as source:
        async with Talk(port) as client:
            client.say(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(4):
                client.say(b"20\r\n" + b"1" * 32 + b"\r\n")
            status, text, headers = await client.answer()
            assert (status, text) == (413, "the body is larger than 100 bytes\n")
            assert headers["connection"] == "close"
            client.say(b"0\r\n\r\n")
            assert await client.closed() == b""
        async with Talk(port) as client:  # and below it
            client.say(b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.say(b"1\r\n[\r\n3\r\n1,2\r\n1\r\n]\r\n0\r\n\r\n")
            assert (await client.answer())[0] == 200
        (event,) = await source.events()
        assert json.loads(event.data or b"") == {"header": {}, "body": [1, 2]}


async def test_large_body_is_answered_while_it_is_still_being_sent(monkeypatch):
    monkeypatch.setattr(web, "LINGER", 60.0)
    port = free_port()
    async with running({"webhook": {"a": hook(port)}}), Talk(port) as client:
        size = 8_000_000
        client.say(f"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        sending = asyncio.create_task(send_all(client, size))
        assert (await client.answer())[0] == 413
        await sending  # the rest is taken and thrown away, not answered with a reset
        assert await client.closed() == b""


async def send_all(client: Talk, size: int) -> None:
    for _ in range(size // 100_000):
        client.say(b"x" * 100_000)
        await client.writer.drain()


async def test_form_obeys_the_limit_too():
    port = free_port()
    async with running({"webhook": {"a": hook(port, maxPayloadSize=10)}}), Talk(port) as client:
        kind = {"Content_Type": "application/x-www-form-urlencoded"}
        assert (await client.ask("/a", b"a=" + b"1" * 9, **kind))[0] == 413
        assert (await client.ask("/a", b"a=1", **kind))[0] == 200


async def test_expect_100_continue():
    port = free_port()
    async with running({"webhook": {"a": hook(port, maxPayloadSize=10)}}):
        head = "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n"
        async with Talk(port) as client:
            client.say(head.format(2).encode())
            assert (await client.head())[0] == 100
            client.say(b"{}")
            assert (await client.answer())[0] == 200
        async with Talk(port) as client:  # told without having sent anything
            client.say(head.format(20).encode())
            assert (await client.answer())[0] == 413
            assert await client.closed() == b""


async def test_pipelined_requests_are_answered_in_order():
    port = free_port()
    async with running({"webhook": {"a": hook(port)}}) as source, Talk(port) as client:
        for n in range(20):
            client.post("/a" if n % 3 else "/none", b"%d" % n)
        found = [(await client.answer())[0] for _ in range(20)]
        assert found == [200 if n % 3 else 404 for n in range(20)]
        bodies = [json.loads(e.data or b"")["body"] for e in await source.events()]
        assert bodies == [n for n in range(20) if n % 3]


async def test_offer_of_http2_in_clear_is_passed_over():
    """Java's client makes it with every first request."""
    port = free_port()
    async with running({"webhook": {"a": hook(port)}}) as source, Talk(port) as client:
        offer = {
            "Connection": "Upgrade, HTTP2-Settings",
            "Upgrade": "h2c",
            "HTTP2_Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        }
        status, _, headers = await client.ask("/a", b"1", **offer)
        assert status == 200
        assert len(await source.events()) == 1
        if headers.get("connection") != "close":
            assert (await client.ask("/a", b"2"))[0] == 200


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00",  # TLS on a port without
        b"nonsense\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nbad name: 1\r\n\r\n",
        b"POST /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_not_http(text):
    port = free_port()
    async with running({"webhook": {"a": hook(port)}}) as source:
        async with Talk(port) as client:
            client.say(text)
            assert (await client.answer())[0] == 400
            await client.closed()
        async with Talk(port) as client:
            assert (await client.ask("/a"))[0] == 200
        assert len(await source.events()) == 1


# ---------------------------------------------------------------------------- the bus


class Slow(MemoryBus):
    """Stores when a test says so."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.gate = asyncio.Event()
        self.begun = asyncio.Event()
        self.count = 0

    async def publish(self, event):
        self.count += 1
        self.begun.set()
        await self.gate.wait()
        await super().publish(event)


async def test_answered_only_after_the_bus_has_it():
    port, bus = free_port(), Slow()
    async with running({"webhook": {"a": hook(port)}}, bus=bus) as source, Talk(port) as client:
        client.post("/a")
        await bus.begun.wait()
        reading = asyncio.create_task(client.answer())
        done, _ = await asyncio.wait([reading], timeout=0.1)
        assert not done
        assert await source.events() == []
        bus.gate.set()
        assert (await reading)[0] == 200
        assert len(await source.events()) == 1


async def test_bus_that_is_away():
    port, bus = free_port(), MemoryBus()
    async with running({"webhook": {"a": hook(port)}}, bus=bus) as source, Talk(port) as client:
        bus.down = "no route to host"
        status, text, headers = await client.ask("/a")
        assert (status, headers["retry-after"]) == (503, "1")
        assert text == "the event bus does not take events now\n"
        bus.down = ""
        assert (await client.ask("/a"))[0] == 200
        assert len(await source.events()) == 1


async def test_event_above_what_the_bus_takes():
    port, bus = free_port(), MemoryBus(max_payload=500)
    async with running({"webhook": {"a": hook(port)}}, bus=bus), Talk(port) as client:
        status, text, _ = await client.ask("/a", b'"' + b"x" * 1000 + b'"')
        assert status == 413
        assert "the bus takes 500" in text
        assert (await client.ask("/a"))[0] == 200


# ---------------------------------------------------------------------------- CloudEvents


async def test_posted_cloudevents():
    port = free_port()
    event = {"specversion": "1.0", "id": "a1", "source": "/s", "type": "t"}
    async with running({"webhook": {"a": hook(port)}}) as source, Talk(port) as client:
        binary = {f"ce_{k}": v for k, v in event.items()} | {"ce_time": "2026-01-02T03:04:05Z"}
        assert (await client.ask("/a", b'{"n":1}', **binary))[0] == 200
        kind = "application/cloudevents+json"
        structured = json.dumps({**event, "id": "a2", "data": {"n": 2}}).encode()
        assert (await client.ask("/a", structured, Content_Type=kind))[0] == 200
        assert (await client.ask("/a", structured, Content_Type=kind))[0] == 200  # again: the same
        bad = {**binary, "ce_id": ""}
        assert (await client.ask("/a", b"1", **bad))[:2] == (400, "a CloudEvent needs ce-id\n")

        first, second = await source.events()
        assert (first.id, second.id) == ("a1", "a2")
        assert first.time is not None
        assert first.time.isoformat() == "2026-01-02T03:04:05+00:00"
        assert first.extensions == {"originsource": "/s", "origintype": "t"}
        assert json.loads(second.data or b"")["body"]["data"] == {"n": 2}


# ---------------------------------------------------------------------------- start and end


async def test_port_in_use_is_named_and_taken_when_free(monkeypatch):
    port = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        from eventsource import runner

        monkeypatch.setattr(runner, "RESTART", runner.Backoff(duration=0.05, steps=0))
        starting = asyncio.create_task(anext(aiter_of({"webhook": {"a": hook(port)}}, found := [])))
        while not found or "in use" not in found[0].problem:
            await asyncio.sleep(0.01)
        assert f"listening on 127.0.0.1:{port}: the port is in use by" in found[0].problem
        assert "pid" in found[0].problem
        assert "--port-offset" in found[0].problem
    await starting
    assert found[0].problem == ""
    found[1].cancel()
    await asyncio.gather(found[1], return_exceptions=True)


async def aiter_of(spec, found):
    """Start a runner that cannot listen yet; yields once it can."""
    from eventsource.runner import Runner
    from eventsource.spec import EventSourceSpec
    from spine.model import load
    from spine.telemetry import SourceMetrics

    parsed, up = load(EventSourceSpec, spec), asyncio.Event()
    made = Runner(
        name="hooks",
        namespace="ns",
        spec=parsed,
        bus=MemoryBus(),
        secrets=GivenSecrets(),
        metrics=SourceMetrics("ns", "hooks", parsed.sources()),
        host="127.0.0.1",
        ready=up.set,
    )
    found += [made, asyncio.create_task(made.run())]
    await up.wait()
    yield


async def test_requests_under_way_are_finished_at_the_end():
    port, bus = free_port(), Slow()
    async with running({"webhook": {"a": hook(port)}}, bus=bus) as source, Talk(port) as client:
        client.post("/a")
        await bus.begun.wait()
        async with Talk(port) as idle:
            stopping = asyncio.create_task(source.stop())
            assert await idle.closed() == b""  # at once
            with pytest.raises(ConnectionRefusedError):
                await Talk(port).__aenter__()
            assert not stopping.done()
            bus.gate.set()
            status, _, headers = await client.answer()
            assert (status, headers["connection"]) == (200, "close")
            await stopping
        assert len(await source.events()) == 1


async def test_end_does_not_wait_for_ever(monkeypatch, caplog):
    from eventsource import listener

    monkeypatch.setattr(listener, "BOUNDS", listener.Bounds(drain=0.1))
    port, bus = free_port(), Slow()
    async with running({"webhook": {"a": hook(port)}}, bus=bus) as source, Talk(port) as client:
        client.post("/a")
        await bus.begun.wait()
        async with asyncio.timeout(15):
            await source.stop()
        assert await client.closed() == b""
    assert [r.message for r in caplog.records] == ["closing port with requests under way"]


async def test_too_many_at_a_time(monkeypatch):
    monkeypatch.setattr(web, "MAX_WAITING", 3)
    port, bus = free_port(), Slow()
    async with running({"webhook": {"a": hook(port)}}, bus=bus):
        clients = [await Talk(port).__aenter__() for _ in range(5)]
        for client in clients[:3]:
            client.post("/a")
        while bus.count < 3:
            await asyncio.sleep(0.01)
        assert [(await c.ask("/a"))[0] for c in clients[3:]] == [503, 503]
        bus.gate.set()
        assert [(await c.answer())[0] for c in clients[:3]] == [200] * 3
        for client in clients:
            client.writer.transport.abort()


async def test_bus_error_is_not_shown_to_the_sender():
    class Broken(MemoryBus):
        async def publish(self, event):
            raise BusError("publishing to nats://user:hunter2@bus: no answer")

    port = free_port()
    async with running({"webhook": {"a": hook(port)}}, bus=Broken()), Talk(port) as client:
        assert "hunter2" not in (await client.ask("/a"))[1]
