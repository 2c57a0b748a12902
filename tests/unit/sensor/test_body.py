"""Whole events as the body of a request: what comes in goes out."""

import base64
import json
from datetime import timedelta

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from plan_kit import NOON, event

from delivery.action import Action
from sensor.triggers.http import Http, HttpSender
from spine.errors import ConfigError
from spine.event import Event, decode
from spine.http.client import open_client
from spine.model import load
from spine.secrets import GivenSecrets

SECRETS = GivenSecrets({("s", "token"): "x/y"})


def src(**src: object) -> dict:
    return {"dependencyName": "d0"} | src


def whole(body: str, *events: Event, **http: object) -> dict:
    made = load(Http, {"url": "http://127.0.0.1:1/x", "body": body} | http)
    return made.compile()({f"d{n}": one for n, one in enumerate(events)})


DATA = [
    b'{"n": 12345678901234567890123, "x": 1.0e2,\n "a":  [ ]}',
    b'{"dup": 1, "dup": 2}',
    b"",
    b"plain text, no JSON",
    "über".encode(),
    bytes(range(256)),
    b"\xff\xfe",
    b'"\\ud800"',
]


@pytest.mark.parametrize("data", DATA, ids=repr)
async def test_passthrough_is_verbatim(data: bytes) -> None:
    seen = []

    async def handle(request: web.BaseRequest) -> web.Response:
        seen.append((await request.read(), request.headers.get("Content-Type")))
        return web.Response()

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    try:
        made = whole("passthrough", event(data=data, datacontenttype="a/b; c=d"), url=url)
        kept = json.loads(json.dumps(made))
        async with open_client({}) as client:
            action = Action(key="k", sensor="s", trigger="t", kind="http", content=kept)
            await HttpSender(client, SECRETS).send(action, 1)
    finally:
        await runner.cleanup()

    assert seen == [(data, "a/b; c=d")]


@given(st.binary(max_size=200))
def test_any_data_survives_being_stored(data: bytes) -> None:
    kept = json.loads(json.dumps(whole("passthrough", event(data=data))))
    assert HttpSender(None, SECRETS)._request(kept).body == data  # type: ignore[arg-type]


def test_no_data_has_no_type() -> None:
    made = whole("passthrough", event(data=None))
    assert made["body"] == ""
    assert "headers" not in made


@pytest.mark.parametrize(
    "http",
    [
        {"headers": {"content-TYPE": "x/y"}},
        {"dynamicHeaders": [{"src": src(value="x/y"), "dest": "Content-type"}]},
        {
            "secureHeaders": [
                {
                    "name": "content-type",
                    "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}},
                }
            ]
        },
    ],
    ids=lambda http: next(iter(http)),
)
def test_type_of_the_trigger_stands(http: dict) -> None:
    for how in ("passthrough", "cloudevent"):
        made = whole(how, event(), **http)
        assert "Content-Type" not in made.get("headers", {})


def test_type_that_no_header_can_be_is_left_out() -> None:
    assert "headers" not in whole("passthrough", event(datacontenttype="a\nb"))


def test_cloudevent() -> None:
    one = event(data=b' {"n": 12345678901234567890123, "x": 1.0e2}\n', extensions={"traceid": "t"})
    made = whole("cloudevent", one)

    assert made["headers"] == {"Content-Type": "application/cloudevents+json"}
    assert '"data":{"n": 12345678901234567890123, "x": 1.0e2}}' in made["body"]
    assert json.loads(made["body"]) == {
        "specversion": "1.0",
        "id": "1",
        "source": "shop",
        "type": "webhook",
        "subject": "orders",
        "datacontenttype": "application/json",
        "time": "2026-11-21T12:00:00Z",
        "traceid": "t",
        "data": {"n": 12345678901234567890123, "x": 100.0},
    }
    assert decode(made["body"].encode()).data == one.data.strip()


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"\xff", "application/json"), (b"{} {}", "application/json"), (b"{}", "text/plain")],
)
def test_cloudevent_of_what_is_no_json(data: bytes, kind: str) -> None:
    made = json.loads(whole("cloudevent", event(data=data, datacontenttype=kind))["body"])
    assert base64.b64decode(made["data_base64"]) == data
    assert "data" not in made


def test_newest_of_several() -> None:
    early, late = event(data=b"1", time=NOON), event(data=b"2", time=NOON + timedelta(seconds=1))
    never = event(data=b"3", time=None)
    assert whole("passthrough", late, early, never)["body"] == "2"
    assert whole("passthrough", early, msgspec.structs.replace(early, data=b"4"))["body"] == "4"


def test_two_bodies_are_refused() -> None:
    with pytest.raises(ConfigError, match="are two bodies: leave one out"):
        whole("passthrough", event(), payload=[{"src": src(), "dest": "a"}])
    with pytest.raises(ConfigError, match="passthrough"):
        whole("pasthrough", event())
