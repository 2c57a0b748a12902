"""The mqtt source: its configuration, addresses, topics and payloads; `tests/live` has the rest."""

import sys
from dataclasses import dataclass
from typing import Any

import pytest
from config_kit import Wrong, reader
from hypothesis import given
from hypothesis import strategies as st

from eventsource.mqtt import patient
from eventsource.mqtt.hands import Hands
from eventsource.mqtt.place import place_of
from eventsource.mqtt.topics import wrong_topic
from eventsource.sources.mqtt import Mqtt
from eventsource.taking import Taker
from spine.errors import ConfigError, EventError
from spine.lang import gojson
from spine.model import InvalidModel

PLAIN = {"url": "tcp://mqtt:1883", "topic": "a/#", "clientId": "c"}


read = reader(Mqtt, PLAIN)


@pytest.mark.parametrize(
    "case",
    [
        Wrong("no client id", {"clientId": ""}, "clientId"),
        Wrong("no topic", {"topic": ""}, "topic"),
        Wrong("no host", {"url": "tcp://"}, "write a URL with a host"),
        Wrong("a port that is none", {"url": "tcp://x:y"}, "its port is not a number"),
        Wrong("another scheme", {"url": "http://x"}, "scheme http is none of tcp, mqtt, ws"),
        Wrong("QoS 3", {"qos": 3}, "qos"),
        Wrong("a text for QoS", {"qos": "1"}, "qos"),
        Wrong(
            "no backoff", {"connectionBackoff": {"duration": "10"}}, "connectionBackoff.duration"
        ),
        Wrong("a factor that is a text", {"connectionBackoff": {"factor": "2"}}, "factor"),
    ],
    ids=str,
)
def test_refused(case: Wrong):
    with pytest.raises(InvalidModel) as caught:
        read(**case.raw)
    assert case.why in str(caught.value)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("tcp://x:1", ("x", 1, False, "", "", "")),
        ("x:1", ("x", 1, False, "", "", "")),
        ("mqtt://x", ("x", 1883, False, "", "", "")),
        ("SSL://x", ("x", 8883, True, "", "", "")),
        ("mqtts://x", ("x", 8883, True, "", "", "")),
        ("ws://x", ("x", 80, False, "/", "", "")),
        ("wss://x/mqtt", ("x", 443, True, "/mqtt", "", "")),
        ("tcp://ann:p%40w@[::1]:2", ("::1", 2, False, "", "ann", "p@w")),
    ],
)
def test_address(url: str, place: tuple[Any, ...]):
    assert place_of(url) == place
    assert "p@w" not in place_of(url).shown


@pytest.mark.parametrize(
    ("topic", "why"),
    [
        ("a", ""),
        ("#", ""),
        ("+", ""),
        ("/a//b/", ""),
        ("a/+/b/#", ""),
        ("$SYS/#", ""),
        ("$share/s/a/#", ""),
        ("", "empty"),
        ("a\0", "null"),
        ("a+", "whole level"),
        ("a/#/b", "at the end"),
        ("a/b#", "at the end"),
        ("$share/s", "empty"),
        ("$share//a", "$share/NAME/TOPIC"),
        ("$share/s+/a", "$share/NAME/TOPIC"),
        ("ü" * 40_000, "longer"),
    ],
)
def test_topics(topic: str, why: str):
    found = wrong_topic(topic)
    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize(
    ("raw", "clean", "alone"),
    [
        ({}, False, True),
        ({"qos": 0}, True, True),
        ({"qos": 2}, False, True),
        ({"cleanSession": True}, True, True),
        ({"qos": 0, "cleanSession": False}, False, True),
        ({"topic": "$share/s/a"}, True, False),
        ({"topic": "$share/s/a", "cleanSession": False}, False, False),
    ],
)
def test_who_is_remembered_and_who_listens(raw: dict[str, Any], clean: bool, alone: bool):
    source, warnings = read(**raw)
    assert (source.clean, source.alone, warnings) == (clean, alone, [])


@dataclass
class Message:
    """A message as the library has it."""

    mid: int = 0
    payload: bytes = b"hi"
    qos: int = 1
    topic: str = "a/<b>"


def payload(message: Message, **raw: Any) -> bytes:
    return read(**raw)[0]._taken(message).form().encode()  # type: ignore[arg-type]  # it looks the same


@pytest.mark.parametrize(
    ("message", "raw", "body"),
    [
        (Message(qos=0), {}, b'0,"body":"aGk="'),
        (Message(7), {}, b'7,"body":"aGk="'),
        (Message(7, b""), {}, b'7,"body":""'),
        (Message(7, b' {"f": 1.0e2} '), {"jsonBody": True}, b'7,"body":{"f":1.0e2}'),
        (Message(7), {"metadata": {"b": "1"}}, b'7,"body":"aGk=","metadata":{"b":"1"}'),
    ],
)
def test_payload(message: Message, raw: dict[str, Any], body: bytes):
    expected = b'{"topic":"a/\\u003cb\\u003e","messageId":%b}' % body
    assert payload(message, **raw) == expected


@pytest.mark.parametrize("data", [b"", b"{oops", b"1 2"])
def test_what_is_no_json(data: bytes):
    with pytest.raises(EventError, match="it is not JSON, and jsonBody is set"):
        payload(Message(1, data), jsonBody=True)


@given(st.binary())
def test_every_message_has_a_payload(data: bytes):
    assert gojson.valid(payload(Message(1, data)))


def test_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    patient._kind.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"pip install 'tocsin\[mqtt\]'"):
            patient.client(place_of("x"), patient.Login("c", clean=True), None)
    finally:
        patient._kind.cache_clear()


# ---------------------------------------------------------------------------- in hand


class Link:
    """Takes note of what is acknowledged."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.up = True

    def acknowledge(self, message: Message) -> bool:
        if self.up:
            self.told.append(message.mid)
        return self.up


class Scene:
    """Hands, a bus and a link."""

    def __init__(self) -> None:
        self.emitted: list[str] = []
        self.link = Link()
        self.taker = Taker("ev", self.emit)
        self.hands = Hands(self.taker, read()[0]._taken)
        self.hands.use(self.link)  # type: ignore[arg-type]  # it looks the same

    async def emit(self, payload: Any, **said: Any) -> None:
        self.emitted.append(said["id"])

    async def got(self, *messages: Message) -> None:
        for message in messages:
            self.hands.received(message)  # type: ignore[arg-type]  # it looks the same
        await self.taker.settle()


async def test_what_is_done_is_acknowledged_and_qos_0_is_not():
    scene = Scene()
    await scene.got(Message(1), Message(0, qos=0), Message(2, qos=2))
    assert sorted(scene.link.told) == [1, 2]
    assert len(scene.emitted) == 3


async def test_what_comes_again_before_it_was_acknowledged_is_one_event():
    scene = Scene()
    scene.link.up = False
    await scene.got(Message(1), Message(1))
    scene.hands.welcomed(remembered=True)
    scene.link.up = True
    await scene.got(Message(1))
    assert (len(scene.emitted), scene.link.told) == (1, [1])


async def test_what_comes_again_after_it_was_acknowledged_may_be_another():
    scene = Scene()
    await scene.got(Message(1))
    await scene.got(Message(1))
    assert (len(set(scene.emitted)), scene.link.told) == (2, [1, 1])


async def test_a_number_that_another_message_has_now_is_another_message():
    scene = Scene()
    scene.link.up = False
    await scene.got(Message(1, b"x"), Message(1, b"y"))
    assert len(scene.emitted) == 2


async def test_a_broker_that_forgot_is_told_nothing_of_former_messages():
    scene = Scene()
    scene.link.up = False
    await scene.got(Message(1))
    scene.hands.welcomed(remembered=False)
    scene.link.up = True
    await scene.got(Message(1, b"new"))
    assert scene.link.told == [1]
    assert len(scene.emitted) == 2
