"""The redis source: its configuration and payloads; `tests/live` has the rest."""

import sys
from typing import Any

import pytest
from config_kit import Wrong, reader
from hypothesis import given
from hypothesis import strategies as st

from eventsource.redisdb import split
from eventsource.sources.redis import Redis
from spine.errors import ConfigError
from spine.lang import gojson
from spine.model import InvalidModel

PLAIN = {"hostAddress": "redis:6379", "channels": ["a"]}


read = reader(Redis, PLAIN)


@pytest.mark.parametrize(
    "case",
    [
        Wrong("no channels", {"channels": []}, "write the names of the channels"),
        Wrong("an empty channel", {"channels": ["a", ""]}, "write the names of the channels"),
        Wrong("a URL", {"hostAddress": "redis://x:1"}, "write host and port alone"),
        Wrong("no host", {"hostAddress": ":6379"}, "write host and port"),
        Wrong("no port", {"hostAddress": "x:"}, "write host and port"),
        Wrong("a port too high", {"hostAddress": "x:65536"}, "write host and port"),
        Wrong("a negative database", {"db": -1}, "greater than or equal to 0"),
        Wrong("a text for a number", {"db": "1"}, "valid integer"),
        Wrong("nothing for TLS", {"tls": {}}, "set caCertSecret, clientCertSecret"),
        Wrong("patterns", {"patterns": ["a*"]}, "patterns: unknown field"),
    ],
    ids=str,
)
def test_refused(case: Wrong):
    with pytest.raises(InvalidModel) as caught:
        read(**case.raw)
    assert case.why in str(caught.value)


def test_what_argo_events_asks_for_beside_a_password_is_taken():
    password = {"name": "n", "key": "k"}
    assert read(password=password, namespace="argo-events")[1] == []
    assert read(password=password)[1] == []


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("x:1", ("x", 1)),
        ("x", ("x", 6379)),
        ("[::1]:7", ("::1", 7)),
        ("[::1]", ("::1", 6379)),
        ("x:y", ("x", 0)),
        ("x:٣", ("x", 0)),
    ],
)
def test_address(address: str, place: tuple[str, int]):
    assert split(address) == place


def payload(data: bytes, **raw: Any) -> bytes:
    source, _ = read(**raw)
    return source._taken({"channel": b"a", "data": data}).form().encode()


@pytest.mark.parametrize(
    ("data", "raw", "body"),
    [
        (b"hi", {}, b'"hi"'),
        (b"", {}, b'""'),
        (b'<\xff\xfe">', {}, '"\\u003c\ufffd\ufffd\\"\\u003e"'.encode()),
        (b' {"f": 1.0e2} ', {"jsonBody": True}, b'{"f":1.0e2}'),
    ],
)
def test_body(data: bytes, raw: dict[str, Any], body: bytes):
    assert payload(data, **raw) == b'{"channel":"a","pattern":"","body":%b}' % body


def test_metadata():
    assert payload(b"x", metadata={"b": "1", "a": "<"}).endswith(
        b',"metadata":{"a":"\\u003c","b":"1"}}'
    )


@given(st.binary())
def test_every_message_has_a_payload(data: bytes):
    assert gojson.valid(payload(data))


def test_one_replica_listens():
    assert read()[0].alone


async def test_missing_library_is_named(env, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match=r"pip install 'tocsin\[redis\]'"):
        async with read()[0].connection(env, ""):
            pass
