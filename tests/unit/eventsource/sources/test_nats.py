"""The nats source: its configuration and payloads; `tests/live` has the rest."""

from typing import Any

import pytest
from config_kit import Wrong, reader
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.msg import Msg

from eventsource.nats.message import client, header_of
from eventsource.sources.nats import Nats
from spine.errors import EventError
from spine.lang import gojson
from spine.model import InvalidModel

PLAIN = {"url": "nats://broker:4222", "subject": "orders.*"}


read = reader(Nats, PLAIN)


@pytest.mark.parametrize(
    "case",
    [
        Wrong("no server", {"url": ""}, "url"),
        Wrong("an empty word", {"subject": "a..b"}, "words joined by dots"),
        Wrong("a space", {"subject": "a b"}, "words joined by dots"),
        Wrong("all in the middle", {"subject": "a.>.b"}, "words joined by dots"),
        Wrong("a word with a star", {"subject": "a*"}, "words joined by dots"),
        Wrong("an empty queue", {"queue": ""}, "queue"),
        Wrong("a queue with a space", {"queue": "a b"}, "no spaces"),
        Wrong("a durable with a dot", {"jetStream": {"durable": "a.b"}}, "have no dots"),
        Wrong("no duration", {"jetStream": {"ackWait": "10"}}, "ackWait"),
        Wrong("hardly a wait", {"jetStream": {"ackWait": "10ms"}}, "a second at least"),
        Wrong("another start", {"jetStream": {"startFrom": "last"}}, "startFrom"),
        Wrong("nobody", {"auth": {}}, "set basic, token, nkey or credential"),
        Wrong("half a certificate", {"tls": {"clientKeySecret": {"key": "k"}}}, "set both"),
    ],
    ids=str,
)
def test_refused(case: Wrong):
    with pytest.raises(InvalidModel) as caught:
        read(**case.raw)
    assert case.why in str(caught.value)


@pytest.mark.parametrize("subject", [">", "*", "a", "a.*.b.>", "$SYS.>", "ü.b"])
def test_subjects(subject: str):
    assert read(subject=subject)[0].subject == subject


def test_first_of_several_logins_counts():
    basic, token = {"username": {"key": "u"}}, {"key": "t"}
    _, warnings = read(auth={"token": token, "basic": basic})
    assert warnings == ["basic, token: only basic counts"]


def test_a_queue_beside_a_durable():
    _, warnings = read(queue="q", jetStream={})
    assert warnings == ["queue: without effect beside jetStream, whose durable all replicas share"]


@pytest.mark.parametrize(
    ("raw", "alone"), [({}, True), ({"queue": "q"}, False), ({"jetStream": {}}, False)]
)
def test_who_listens(raw: dict[str, Any], alone: bool):
    assert read(**raw)[0].alone == alone


def payload(data: bytes, headers: dict[str, str] | None = None, **raw: Any) -> bytes:
    msg = Msg(None, "orders.<new>", "", data, headers)  # type: ignore[arg-type]  # nobody answers
    return read(**raw)[0]._taken(msg).form().encode()


HEAD = b'{"subject":"orders.\\u003cnew\\u003e","body":'


@pytest.mark.parametrize(
    ("data", "headers", "raw", "rest"),
    [
        (b"hi", None, {}, b'"aGk="}'),
        (b"", {}, {}, b'""}'),
        (b' {"f": 1.0e2} ', None, {"jsonBody": True}, b'{"f":1.0e2}}'),
        (b"hi", {"b": "1", "A": "<\r\n2"}, {}, b'"aGk=","header":{"A":["\\u003c","2"],"b":["1"]}}'),
        (b"hi", {"b": "1"}, {"metadata": {"x": "y"}},
         b'"aGk=","header":{"b":["1"]},"metadata":{"x":"y"}}'),
    ],
)  # fmt: skip
def test_payload(data: bytes, headers: Any, raw: dict[str, Any], rest: bytes):
    assert payload(data, headers, **raw) == HEAD + rest


@pytest.mark.parametrize("data", [b"", b"{oops", b"1 2"])
def test_what_is_no_json(data: bytes):
    with pytest.raises(EventError, match="it is not JSON, and jsonBody is set"):
        payload(data, jsonBody=True)


@given(st.binary())
def test_every_message_has_a_payload(data: bytes):
    assert gojson.valid(payload(data))


def test_every_value_of_a_header_is_kept():
    found = type(client())._parse_header_lines(b"A: 1\r\nB:2\r\nA: 3 \r\n\r\n")
    assert header_of(found) == {"A": ["1", "3"], "B": ["2"]}
