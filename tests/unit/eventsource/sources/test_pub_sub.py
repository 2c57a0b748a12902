"""The pubSub source: its configuration, the names it makes up, and the event of a message."""

import json
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from config_kit import Wrong, reader
from hypothesis import given
from hypothesis import strategies as st

from eventsource.pubsub import names
from eventsource.pubsub.connection import connect
from eventsource.pubsub.credentials import Credentials
from eventsource.pubsub.message import Received, event_id
from eventsource.sources.pub_sub import PubSub
from spine.compat.files import FILE
from spine.errors import BusError, ConfigError, EventError
from spine.model import InvalidModel
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets, SecretRef

MESSAGE = Received("11", b'{"n":1}', {"b": "2", "a": "<1>"}, 1_719_828_000, 5_000)
PUSH = {
    "endpoint": "/p",
    "port": "12000",
    "url": "https://x.example/",
    "serviceAccountEmail": "a@b",
}


read = reader(PubSub, {})


class Emitted:
    """Takes events as the runner does."""

    def __init__(self, *failures: Exception) -> None:
        self.payloads: list[bytes] = []
        self.said: list[dict[str, Any]] = []
        self.failures = list(failures)

    async def __call__(self, payload, **said):
        if self.failures:
            raise self.failures.pop(0)
        self.payloads.append(payload.encode())
        self.said.append(said)


# ---------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    "case",
    [
        Wrong("nothing to receive", {"projectID": "p"}, "needs topic or subscriptionID"),
        Wrong(
            "project of no topic",
            {"subscriptionID": "s", "topicProjectID": "p"},
            "topicProjectID needs topic",
        ),
        Wrong("no room", {"topic": "t", "maxOutstanding": 0}, "greater than 0"),
        Wrong(
            "too much room", {"topic": "t", "maxOutstanding": 10_001}, "less than or equal to 10000"
        ),
        Wrong("misspelled", {"topic": "t", "subscriptionId": "s"}, ""),
        Wrong("push without port", {"push": {"endpoint": "/p"}}, "push.port"),
        Wrong(
            "push without an account",
            {"push": {"endpoint": "/p", "port": "1", "audience": "x"}},
            "needs serviceAccountEmail",
        ),
        Wrong(
            "push without an audience",
            {"push": {"endpoint": "/p", "port": "1", "serviceAccountEmail": "a@b"}},
            "needs serviceAccountEmail, and audience or url",
        ),
        Wrong(
            "half a certificate",
            {"push": {**PUSH, "serverCertSecret": {"name": "n", "key": "k"}}},
            "serverCertSecret and serverKeySecret go together",
        ),
    ],
    ids=str,
)
def test_refused(case: Wrong):
    if not case.why:  # Go's decoder does not mind upper and lower case, so neither do we
        assert read(**case.raw)[1]
        return
    with pytest.raises(InvalidModel) as caught:
        read(**case.raw)
    assert case.why in str(caught.value)


def test_what_has_no_effect_on_push_is_said():
    _, warnings = read(topic="t", push=PUSH)
    (warning,) = warnings
    assert warning.startswith("push: topic, topicProjectID, credentialSecret and")


@pytest.mark.parametrize(
    ("push", "audience"),
    [
        (PUSH, "https://x.example/p"),
        ({**PUSH, "audience": "us"}, "us"),
        ({**PUSH, "url": "", "audience": "us"}, "us"),
        ({"endpoint": "/p", "port": "1", "authenticated": False}, ""),
    ],
)
def test_audience(push, audience):
    source, warnings = read(push=push)
    assert source.push
    assert (source.push.audience_wanted, warnings) == (audience, [])


# ---------------------------------------------------------------------------- names


def place(event: str = "example", project: str = "p", **raw: Any) -> Any:
    env = Env("es", event, "ns", GivenSecrets(), Shared())
    return read(**raw)[0]._place(env, project)


def test_made_up_names_are_those_of_argo_events():
    assert (
        place(projectID="p", topic="t").subscription
        == "projects/p/subscriptions/example-1540997543"
    )
    full = place(
        topic="t",
        credentialSecret={"name": "n", "key": "k"},
        jsonBody=True,
        metadata={"b": "<x>", "a": "1"},
        filter={"expression": "a > 1 && b"},
    )
    assert full.subscription_id == "example-4013195091"


def test_what_argo_events_does_not_know_leaves_the_name_as_it_is():
    plain = place(topic="t")
    file = {"name": FILE, "key": "/app/credentials/key.json"}
    assert place(topic="t", maxOutstanding=5, credentialSecret=file) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "u"},
        {"topicProjectID": "q"},
        {"jsonBody": True},
        {"deleteSubscriptionOnFinish": True},
        {"metadata": {"a": "1"}},
        {"filter": {"expression": "true"}},
        {"credentialSecret": {"name": "n", "key": "k"}},
        {"credentialSecret": {"name": "n", "key": "k", "optional": False}},
    ],
    ids=str,
)
def test_whatever_argo_events_hashes_changes_the_name(change):
    known = place(topic="t").subscription_id
    assert place(**{"topic": "t", **change}).subscription_id != known


def test_places():
    assert place(subscriptionID="s").subscription == "projects/p/subscriptions/s"
    assert place(subscriptionID="s").topic == ""
    assert place(subscriptionID="s", topic="t").topic == "projects/p/topics/t"
    assert place(topic="t", topicProjectID="q").topic == "projects/q/topics/t"


@pytest.fixture
def nowhere(monkeypatch):
    """A machine that is in no project."""
    for name in ("PUBSUB_EMULATOR_HOST", "PUBSUB_PROJECT_ID", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)

    async def none() -> str:
        return ""

    monkeypatch.setattr(names, "_machine_project", none)


async def test_project_of_the_key_then_of_the_environment(nowhere, monkeypatch):
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "of-environment")
    assert await names.project("of-key") == "of-key"
    assert await names.project("") == "of-environment"


async def test_project_of_the_emulator_is_never_that_of_the_machine(nowhere, monkeypatch):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "localhost:1")
    monkeypatch.setenv("PUBSUB_PROJECT_ID", "local")
    assert await names.project("of-key") == "local"


async def test_no_project(nowhere):
    with pytest.raises(ConfigError, match=r"projectID is not given.*\(write projectID\)"):
        await names.project("")


# ---------------------------------------------------------------------------- events


def taker(emitted: Emitted, **raw: Any) -> Any:
    env = Env("es", "ev", "ns", GivenSecrets(), Shared())
    return read(topic="t", **raw)[0]._taker(env, emitted)


@dataclass(frozen=True)
class Payload:
    name: str
    raw: dict[str, Any]
    message: Received
    payload: bytes

    def __str__(self) -> str:
        return self.name


START = b'{"id":"11","body":'
REST = (
    b',"attributes":{"a":"\\u003c1\\u003e","b":"2"}'
    b',"publishTime":"2024-07-01 10:00:00.000005 +0000 UTC"'
)


@pytest.mark.parametrize(
    "case",
    [
        Payload("base64", {}, MESSAGE, START + b'"eyJuIjoxfQ=="' + REST + b"}"),
        Payload("JSON", {"jsonBody": True}, MESSAGE, START + b'{"n":1}' + REST + b"}"),
        Payload(
            "spelling is kept, spaces are not",
            {"jsonBody": True},
            Received("1", b' {"z": 1.0e2, "a": 12345678901234567890, "t": "a > b"} ', {}, 0, 0),
            b'{"id":"1","body":{"z":1.0e2,"a":12345678901234567890,"t":"a \\u003e b"},'
            b'"attributes":null,"publishTime":"1970-01-01 00:00:00 +0000 UTC"}',
        ),
        Payload(
            "metadata",
            {"metadata": {"b": "<", "a": "1"}},
            MESSAGE,
            START + b'"eyJuIjoxfQ=="' + REST + b',"metadata":{"a":"1","b":"\\u003c"}}',
        ),
        Payload(
            "attributes alone",
            {"jsonBody": True},
            Received("1", b"", {"objectId": "ü"}, 1, 120_000_000),
            '{"id":"1","body":null,"attributes":{"objectId":"ü"},'
            '"publishTime":"1970-01-01 00:00:01.12 +0000 UTC"}'.encode(),
        ),
        Payload(
            "attributes alone, base64",
            {},
            Received("1", b"", {}, 1, 123_456_789),
            b'{"id":"1","body":null,"attributes":null,'
            b'"publishTime":"1970-01-01 00:00:01.123456789 +0000 UTC"}',
        ),
    ],
    ids=str,
)
async def test_payload(case: Payload):
    emitted = Emitted()
    await taker(emitted, **case.raw)("projects/p/subscriptions/s", case.message)
    assert emitted.payloads == [case.payload]
    assert json.loads(case.payload)


@given(st.binary(), st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_every_message_has_a_payload(data, attributes):
    from eventsource.pubsub.message import base64_body, former

    message = Received("1", data, attributes, 0, 0)
    read_back = json.loads(former(base64_body, {})(message).encode())
    assert read_back["attributes"] == (attributes or None)


async def test_id_is_that_of_the_message_for_this_event():
    one, other, changed = Emitted(), Emitted(), Emitted()
    await taker(one)("s", MESSAGE)
    await taker(other, jsonBody=True)("s", MESSAGE)
    await taker(changed)("s2", MESSAGE)
    assert one.said == other.said
    assert one.said[0]["id"] == event_id(("es", "ev"), "s", MESSAGE)
    ids = {
        one.said[0]["id"],
        changed.said[0]["id"],
        event_id(("es2", "ev"), "s", MESSAGE),
        event_id(("es", "ev2"), "s", MESSAGE),
        event_id(("es", "ev"), "s", Received("12", b"", {}, MESSAGE.seconds, MESSAGE.nanos)),
        event_id(("es", "ev"), "s", Received("11", b"", {}, MESSAGE.seconds, 5_001)),
    }
    assert len(ids) == 6


async def test_what_is_not_json_is_handed_over_as_unusable():
    emitted = Emitted()
    await taker(emitted, jsonBody=True)("s", Received("7", b"{oops", {"a": "1"}, 1, 0))
    (said,) = emitted.said
    assert "it is not JSON, and jsonBody is set" in str(said["unusable"])
    assert said["time"] == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert json.loads(emitted.payloads[0])["body"] == "e29vcHM="


async def test_a_bug_sets_one_message_aside(caplog):
    emitted = Emitted(RuntimeError("oh"))
    with caplog.at_level(logging.ERROR):
        await taker(emitted)("s", MESSAGE)
    assert str(emitted.said[0]["unusable"]) == "handling message 11: RuntimeError: oh"
    assert "handling a message" in caplog.text


async def test_a_bus_that_is_away_is_the_callers_affair():
    emitted = Emitted(BusError("away"))
    with pytest.raises(BusError):
        await taker(emitted)("s", MESSAGE)


async def test_an_event_that_the_bus_never_takes_is_unusable():
    emitted = Emitted(EventError("too large"))
    await taker(emitted)("s", MESSAGE)
    assert str(emitted.said[0]["unusable"]) == "too large"


# ---------------------------------------------------------------------------- credentials

KEY = {"type": "service_account", "client_email": "a@b", "token_uri": "https://x.example"}


@dataclass(frozen=True)
class Bad:
    name: str
    text: str
    why: str

    def __str__(self) -> str:
        return self.name


@pytest.mark.parametrize(
    "case",
    [
        Bad("no JSON", "top-secret", "it is not JSON"),
        Bad("no object", '["top-secret"]', "its type is 'list'"),
        Bad(
            "of a user", '{"type":"authorized_user","x":"top-secret"}', "type is 'authorized_user'"
        ),
        Bad("nothing in it", '{"type":"service_account"}', "missing fields"),
        Bad(
            "a key that is none",
            json.dumps({**KEY, "private_key": "top-secret"}),
            "private_key is none",
        ),
        Bad(
            "a list for a key",
            json.dumps({**KEY, "private_key": ["top-secret"]}),
            "private_key is none",
        ),
    ],
    ids=str,
)
async def test_bad_credentials_never_show(env, case: Bad, monkeypatch):
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    secrets = GivenSecrets({("gcp", "key"): case.text})
    given_env = Env("es", "ev", "ns", secrets, env.shared)
    with pytest.raises(ConfigError) as caught:
        async with connect(given_env, SecretRef(name="gcp", key="key")):
            pass
    assert case.why in str(caught.value)
    assert "top-secret" not in str(caught.value)


async def test_no_secret_is_read_for_the_emulator(env, monkeypatch):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    async with connect(env, SecretRef(name=FILE, key="/does/not/exist")) as connection:
        assert not connection.real


async def test_no_credentials_anywhere(env, monkeypatch, tmp_path):
    from spine.errors import SourceError

    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(
        SourceError, match=r"finding credentials for Pub/Sub: .*give credentialSecret"
    ):
        await Credentials(env, None).open()


async def test_missing_library_is_named(env, monkeypatch):
    from eventsource.pubsub import connection

    monkeypatch.setitem(sys.modules, "google.pubsub_v1.types", None)
    connection.methods.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"pip install 'tocsin\[gcp\]'"):
            async with connect(env, None):
                pass
    finally:
        connection.methods.cache_clear()
