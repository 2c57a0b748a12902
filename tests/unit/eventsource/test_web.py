"""Routes, refusals and the words of answers, without a socket."""

import asyncio
import importlib
import pkgutil
from typing import Any

import pytest

import eventsource
from eventsource import web
from eventsource.answers import SUCCESS, Answer
from spine.errors import BusError, ConfigError, EventError
from spine.secrets import GivenSecrets, SecretRef

TOKEN = SecretRef(name="t", key="token")


class Client:
    """Speaks ASGI to a port."""

    def __init__(self, port: web.Port) -> None:
        self.port = port

    async def ask(
        self, path: str, *parts: bytes, method: str = "POST", query: bytes = b"", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        lines = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        scope = {"path": path, "method": method, "headers": lines, "query_string": query}
        whole = parts or (b"",)
        messages = [
            {"type": "http.request", "body": part, "more_body": n < len(whole)}
            for n, part in enumerate(whole, 1)
        ]
        sent: list[dict[str, Any]] = []
        self.unread = messages

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.port(scope, receive, send)
        if not sent:
            return 0, "", {}
        found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], b"".join(m["body"] for m in sent[1:]).decode(), found


def port_of(*routes: web.Route) -> web.Port:
    port = web.Port(12000)
    for route in routes:
        port.add(route)
    return port


async def echo(request: web.Request) -> Answer:
    return Answer(200, request.body.decode())


def route(endpoint: str = "/a", event: str = "a", **more: Any) -> web.Route:
    return web.Route(
        **{"event": event, "endpoint": endpoint, "method": "POST", "handler": echo} | more
    )


def client(*routes: web.Route) -> Client:
    return Client(port_of(*routes))


async def test_routes():
    asked = client(
        route("/a", handler=lambda _: answer("a")),
        route("/a/b", handler=lambda _: answer("ab")),
        route("/x/{one}/z", handler=lambda _: answer("pattern")),
        route("/x/y/z", handler=lambda _: answer("exact")),
        route("/dot.{ext}", handler=lambda _: answer("ext")),
    )

    async def at(path: str) -> str:
        return (await asked.ask(path))[1]

    assert await at("/a") == "a"
    assert await at("/a/b") == "ab"
    assert await at("/x/1/z") == "pattern"
    assert await at("/x/y/z") == "exact"
    assert await at("/dot.png") == "ext"
    for path in ("/a/", "//a", "/A", "/x/1/2/z", "/x//z", "/dotpng", "/a%2Fb", "/a\n"):
        assert await at(path) == "404 page not found\n"


async def answer(text: str) -> Answer:
    return Answer(200, text)


async def test_health_unless_it_is_the_users_own():
    assert (await client().ask("/health", method="GET"))[:2] == (200, "OK")
    own = client(route("/health"))
    assert (await own.ask("/health", b"mine"))[:2] == (200, "mine")
    assert (await own.ask("/health", method="GET"))[0] == 405


async def test_wrong_method_names_the_right_one():
    status, text, headers = await client(route(method="PUT")).ask("/a")
    assert (status, text, headers["allow"]) == (405, "this endpoint takes PUT only\n", "PUT")


async def test_body_in_parts_is_put_together():
    assert (await client(route()).ask("/a", b"a", b"b", b"c"))[1] == "abc"


async def test_too_large_by_its_length_is_not_even_read():
    seen: list[int] = []
    asked = client(route(max_payload=10, rejected=seen.append))
    status, text, headers = await asked.ask("/a", b"x" * 11, content_length="11")
    assert (status, text) == (413, "the body is larger than 10 bytes\n")
    assert "connection" not in headers  # so little is read away, and the connection kept
    assert seen == [413]


async def test_too_large_in_parts_is_cut_off():
    asked = client(route(max_payload=10))
    status, _, headers = await asked.ask("/a", *[b"x" * 4] * 5, transfer_encoding="chunked")
    assert (status, headers["connection"]) == (413, "close")


async def test_exactly_the_limit_passes():
    assert (await client(route(max_payload=10)).ask("/a", b"x" * 5, b"x" * 5))[0] == 200


async def test_who_asks_first_is_told_without_being_read():
    asked = client(route(max_payload=10))
    status, _, headers = await asked.ask(
        "/a", b"x" * 11, content_length="11", expect="100-continue"
    )
    assert (status, headers["connection"]) == (413, "close")
    assert len(asked.unread) == 1


async def test_bearer_token(env):
    secrets = GivenSecrets({("t", "token"): "s3cret\n"})
    asked = client(route(token=lambda: secrets.secret(TOKEN)))

    async def with_header(**headers: str) -> tuple[int, str]:
        return (await asked.ask("/a", **headers))[:2]

    assert await with_header(authorization="Bearer s3cret") == (200, "")
    assert await with_header(authorization="Bearer other") == (401, "Invalid Auth token\n")
    for value in ("", "s3cret", "bearer s3cret", "Basic s3cret"):
        assert await with_header(authorization=value) == (401, "Invalid Authorization Header\n")
    assert await with_header() == (401, "Invalid Authorization Header\n")


async def test_credentials_come_before_method_and_size():
    asked = client(route(token=lambda: "s", max_payload=1))
    assert (await asked.ask("/a", method="GET", content_length="5"))[0] == 401


async def test_token_that_cannot_be_read(caplog):
    asked = client(route(token=lambda: GivenSecrets().secret(TOKEN)))
    status, text, _ = await asked.ask("/a", authorization="Bearer x")
    assert (status, text) == (500, "Error loading auth token\n")
    assert "reading the auth token" in caplog.text


async def test_token_is_read_again_after_a_while(env, monkeypatch):
    values = {("t", "token"): "old"}

    class Rotating(GivenSecrets):
        def secret(self, ref):
            return values[ref.name, ref.key]

    object.__setattr__(env, "secrets", Rotating())
    now = [100.0]
    monkeypatch.setattr(web.time, "monotonic", lambda: now[0])
    read = web.bearer(env, TOKEN)
    values["t", "token"] = "new"
    assert read() == "old"
    now[0] += web.TOKEN_AGE
    assert read() == "new"


def test_missing_token_is_told_at_start(env):
    with pytest.raises(ConfigError, match="reading key 'token' of Secret 't'"):
        web.bearer(env, TOKEN)


async def failing(error: Exception) -> Answer:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (BusError("publishing: no answer"), 503, "1"),
        (BusError("publishing: no answer", retry_after=2.2), 503, "3"),
        (EventError("publishing 9 bytes: the bus takes 8"), 413, None),
        (ZeroDivisionError("division"), 500, None),
    ],
)
async def test_errors_of_handlers(error, status, retry_after, caplog):
    seen: list[int] = []
    asked = client(route(handler=lambda _: failing(error), rejected=seen.append))
    found, text, headers = await asked.ask("/a")

    assert (found, headers.get("retry-after")) == (status, retry_after)
    assert seen == [status]
    assert "division" not in text
    assert ("ZeroDivisionError" in caplog.text) == (status == 500)


async def test_too_many_at_a_time_are_told_to_come_back(monkeypatch):
    monkeypatch.setattr(web, "MAX_WAITING", 2)
    gate = asyncio.Event()

    async def waiting(_: web.Request) -> Answer:
        await gate.wait()
        return SUCCESS

    asked = client(route(handler=waiting))
    first = [asyncio.create_task(asked.ask("/a")) for _ in range(2)]
    await asyncio.sleep(0)

    status, _, headers = await asked.ask("/a")
    assert (status, headers["retry-after"]) == (503, "1")
    gate.set()
    assert [found[0] for found in await asyncio.gather(*first)] == [200, 200]
    assert (await asked.ask("/a"))[0] == 200


async def test_sender_that_goes_away_while_sending():
    called: list[web.Request] = []

    async def handler(request: web.Request) -> Answer:
        called.append(request)
        return SUCCESS

    port = port_of(route(handler=handler))
    messages = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_: Any) -> None:
        raise AssertionError

    scope = {"path": "/a", "method": "POST", "headers": [], "query_string": b""}
    await port(scope, receive, send)
    assert called == []
    assert port.waiting == 0


async def test_route_that_is_closed_says_come_back_and_can_be_taken_again():
    old = route()
    port = port_of(old)
    with pytest.raises(ConfigError, match="event 'a' is served there"):
        port.add(route(event="b"))
    old.open = False
    assert (await Client(port).ask("/a"))[0] == 503
    port.add(route(event="b"))
    assert (await Client(port).ask("/a"))[0] == 200


async def test_port_plus_offset_must_be_a_port(env):
    object.__setattr__(env, "port_offset", 60_000)
    with pytest.raises(ConfigError, match="there is no port 72000"):
        async with web.serve(env, 12_000, route()):
            pass


@pytest.mark.parametrize("length", [True, False])
async def test_bodies_take_no_more_than_so_many_bytes(monkeypatch, length: bool):
    monkeypatch.setattr(web, "MAX_HELD", 10)
    gate = asyncio.Event()

    async def waiting(_: web.Request) -> Answer:
        await gate.wait()
        return SUCCESS

    asked = client(route(handler=waiting))
    more = {"content_length": "8"} if length else {"transfer_encoding": "chunked"}
    first = asyncio.create_task(asked.ask("/a", b"12345678", **more))
    await asyncio.sleep(0)

    for parts in ([b"12345678"], [b"12", b"34", b"5678"]):
        status, _, headers = await asked.ask("/a", *parts, **more)
        assert (status, headers["retry-after"]) == (503, "1")
    gate.set()
    assert (await first)[0] == 200
    assert (await asked.ask("/a", b"12345678901", b"2"))[0] == 200, "alone it may be larger"
    assert asked.port.held == 0


def test_whoever_is_told_to_come_back_is_told_when():
    """All answers 429 and 503 of sources; those of a bus that is away are tried above."""
    answers = []
    for found in pkgutil.walk_packages(eventsource.__path__, "eventsource."):
        module = importlib.import_module(found.name)
        answers += [one for one in vars(module).values() if isinstance(one, Answer)]
    later = [one for one in answers if one.status in {429, 503}]
    assert len({one.text for one in later}) >= 5
    for one in later:
        assert int(dict(one.start["headers"])[b"retry-after"]) > 0, one.text
        assert int(dict(one.closing["headers"])[b"retry-after"]) > 0, one.text
