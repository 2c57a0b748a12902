"""The webhook source: its configuration, and the event that a request becomes."""

import json
from typing import Any

import pytest

from eventsource import web
from eventsource.answers import Answer
from eventsource.source import Origin
from eventsource.sources.webhook import Webhook
from spine.errors import BusError, EventError
from spine.model import InvalidModel, load

HOOK = {"endpoint": "/a", "port": "12000", "method": "POST"}


def hook(**more: Any) -> tuple[Webhook, list[str]]:
    warnings: list[str] = []
    return load(Webhook, {**HOOK, **more}, on_warning=warnings.append), warnings


class Emitted:
    """Takes events as the runner does."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self.said: list[dict[str, Any]] = []
        self.refusal: Exception | None = None

    async def __call__(self, payload, **said):
        if self.refusal:
            raise self.refusal
        self.payloads.append(payload.encode().decode())
        self.said.append(said)


def request(body: bytes = b"", query: bytes = b"", **headers: str) -> web.Request:
    lines = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return web.Request(lines, dict(lines), query, body)


async def post(source: Webhook, asked: web.Request) -> tuple[Answer, Emitted]:
    emitted = Emitted()
    return await source._handler(emitted)(asked), emitted


# ---------------------------------------------------------------------------- configuration


def test_defaults():
    source, warnings = hook()
    assert warnings == []
    assert (source.accepted, source.max_payload_size, source.tls) == ("POST", 1_048_576, False)


def test_number_for_a_port_is_taken_with_a_warning():
    source, warnings = hook(port=12000)
    assert source.port == "12000"
    assert warnings == ['port: write "12000": Argo Events refuses a number']


@pytest.mark.parametrize("port", ["", "0", "65536", "-1", "http", "1e3", "\u0661", True, 0, 1.5])
def test_bad_port(port):
    with pytest.raises(InvalidModel, match='must be a port, from "1" to "65535"'):
        hook(port=port)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("a", "must start with a slash, or no request ever matches (write /a)"),
        ("", "must start with a slash"),
        ("/a?b=1", "'?' never stands in the path"),
        ("/a b", "' ' never stands in the path"),
        ("/{a:[0-9]+}", "curly brackets stand for one segment only"),
    ],
)
def test_bad_endpoint(endpoint, message):
    with pytest.raises(InvalidModel) as caught:
        hook(endpoint=endpoint)
    assert message in str(caught.value)


def test_method_in_lower_case():
    source, warnings = hook(method="put")
    assert source.accepted == "PUT"
    assert warnings == ["method: write PUT: Argo Events never matches put"]


@pytest.mark.parametrize("raw", [{"method": ""}, {}])
def test_method_left_out(raw):
    warnings: list[str] = []
    base = {"endpoint": "/a", "port": "12000"}
    source = load(Webhook, {**base, **raw}, on_warning=warnings.append)
    assert source.accepted == "POST"
    assert warnings == ["method: taken as POST: Argo Events never matches an empty one"]


def test_half_a_certificate():
    with pytest.raises(InvalidModel, match="serverCertSecret and serverKeySecret go together"):
        hook(serverCertSecret={"name": "s", "key": "k"})


def test_payload_size_must_be_positive():
    with pytest.raises(InvalidModel, match="maxPayloadSize: 0"):
        hook(maxPayloadSize=0)


def test_filter():
    assert hook(filter={"expression": "body.a == 1"})[1] == []
    with pytest.raises(InvalidModel, match="required field is missing"):
        hook(filter={})
    with pytest.raises(InvalidModel, match="it is empty, and Argo Events sends no event on"):
        hook(filter={"expression": " "})
    with pytest.raises(InvalidModel, match=r"column 9: no function is called uper \(did you mean"):
        hook(filter={"expression": "true && uper(body.a)"})


# ---------------------------------------------------------------------------- payloads

JSON_BODIES = [
    (b'{"n": 12345678901234567890, "f": 1.0e2}', '{"n":12345678901234567890,"f":1.0e2}'),
    (b" [1 , 2]\n", "[1,2]"),
    (b"null", "null"),
    (b'"<&>"', '"\\u003c\\u0026\\u003e"'),
    ('{"z":1,"a":"é\u2028"}'.encode(), '{"z":1,"a":"é\\u2028"}'),
    (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
]


@pytest.mark.parametrize(("body", "shown"), JSON_BODIES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_json_goes_through_as_it_came(method, body, shown):
    answer, emitted = await post(hook(method=method)[0], request(body, x_a="1"))

    assert (answer.status, answer.body["body"]) == (200, b"success")
    assert emitted.payloads == [f'{{"header":{{"X-A":["1"]}},"body":{shown}}}']
    assert emitted.said == [{}]


async def test_metadata_comes_last_and_sorted():
    source, _ = hook(metadata={"b": "<", "a": "1"})
    _, emitted = await post(source, request(b"1"))
    assert emitted.payloads == ['{"header":{},"body":1,"metadata":{"a":"1","b":"\\u003c"}}']


@pytest.mark.parametrize(
    ("query", "shown"),
    [(b"", "{}"), (b"b=2&a=1&b=1", '{"a":["1"],"b":["2","1"]}'), (b"a=%zz", "{}")],
)
async def test_get_has_the_query_for_a_body(query, shown):
    _, emitted = await post(hook(method="GET")[0], request(b"ignored", query))
    assert emitted.payloads == [f'{{"header":{{}},"body":{shown}}}']


async def test_form():
    asked = request(b"b=2&a=1&b=1", b"q=1", content_type="application/x-www-form-urlencoded")
    _, emitted = await post(hook()[0], asked)
    assert json.loads(emitted.payloads[0])["body"] == {"a": ["1"], "b": ["2", "1"]}


async def test_form_with_a_charset_may_be_json_as_in_argo_events_and_else_is_a_form():
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    for body, shown in ((b'{"a": 1}', {"a": 1}), (b"a=1", {"a": ["1"]})):
        _, emitted = await post(hook()[0], request(body, content_type=kind))
        assert json.loads(emitted.payloads[0])["body"] == shown


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (request(b""), "the body must be one JSON value: it is empty"),
        (request(b"{"), "the body must be one JSON value: reading JSON"),
        (request(b"hello"), "the body must be one JSON value"),
        (request(b"1 2"), "the body must be one JSON value"),
        (request(b"[" * 100_000), "the body must be one JSON value"),
        (request(b"\xff"), "the body must be one JSON value"),
        (
            request(b"a=%zz", content_type="application/x-www-form-urlencoded"),
            "cannot read 'a=%zz'",
        ),
    ],
)
async def test_bad_body(asked, told):
    answer, emitted = await post(hook()[0], asked)
    assert answer.status == 400
    assert told in answer.body["body"].decode()
    assert emitted.payloads == []


async def test_delete_needs_no_body():
    _, emitted = await post(hook(method="DELETE")[0], request(b""))
    assert emitted.payloads == ['{"header":{},"body":null}']


# ---------------------------------------------------------------------------- CloudEvents

BINARY = {
    "ce_specversion": "1.0",
    "ce_id": "a1",
    "ce_source": "/shop",
    "ce_type": "order.made",
}


async def test_binary_cloudevent_keeps_id_and_the_payload_everything():
    asked = request(b'{"n": 1}', content_type="application/json", **BINARY)
    _, emitted = await post(hook()[0], asked)

    assert emitted.said == [{"id": "a1", "time": None, "origin": Origin("/shop", "order.made")}]
    assert emitted.payloads == [
        (
            '{"header":{"Ce-Id":["a1"],"Ce-Source":["/shop"],"Ce-Specversion":["1.0"],'
            '"Ce-Type":["order.made"],"Content-Type":["application/json"]},"body":{"n":1}}'
        )
    ]


async def test_binary_cloudevent_without_data():
    _, emitted = await post(hook()[0], request(b"", **BINARY))
    assert json.loads(emitted.payloads[0])["body"] is None


@pytest.mark.parametrize("suffix", ["", "; charset=utf-8"])
async def test_structured_cloudevent(suffix):
    event = {"specversion": "1.0", "id": "a1", "source": "/s", "type": "t", "data": {"n": 1}}
    kind = f"application/cloudevents+json{suffix}"
    _, emitted = await post(hook()[0], request(json.dumps(event).encode(), content_type=kind))

    assert emitted.said[0]["id"] == "a1"
    assert json.loads(emitted.payloads[0])["body"] == event


async def test_invalid_cloudevents_are_refused():
    for asked in (
        request(b"{}", content_type="application/cloudevents+json"),
        request(b"1", **{**BINARY, "ce_id": ""}),
    ):
        answer, emitted = await post(hook()[0], asked)
        assert answer.status == 400
        assert emitted.payloads == []


async def test_ce_headers_without_a_version_are_just_headers():
    _, emitted = await post(hook()[0], request(b"1", ce_id="a1"))
    assert emitted.said == [{}]


# ---------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("error", [BusError("no answer"), EventError("too large")])
async def test_errors_of_the_bus_reach_the_server(error):
    emitted = Emitted()
    emitted.refusal = error
    with pytest.raises(type(error)):
        await hook()[0]._handler(emitted)(request(b"1"))
