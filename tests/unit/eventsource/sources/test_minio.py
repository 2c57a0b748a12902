"""The minio source without a server: its configuration, its payloads, and how far it has told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from eventsource.buckets.listening import Wanted, _lines
from eventsource.buckets.notification import Notification, Unread, id_of, records_of
from eventsource.buckets.position import MOST, OVERLAP, Position
from eventsource.sources.minio import Minio
from spine.errors import EventError
from spine.model import InvalidModel, load
from spine.sigv4 import query_text

REF = {"name": "minio", "key": "k"}


def read(**raw: Any) -> tuple[Minio, list[str]]:
    warnings: list[str] = []
    given = {
        "endpoint": "minio:9000",
        "bucket": {"name": "b"},
        "events": ["s3:ObjectCreated:*"],
        "accessKey": REF,
        "secretKey": REF,
        **raw,
    }
    return load(Minio, given, on_warning=warnings.append), warnings


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"endpoint": "http://minio:9000"}, "write HOST or HOST:PORT; insecure: true is for http"),
        ({"endpoint": ""}, "write HOST or HOST:PORT"),
        ({"endpoint": "s3.eu-west-1.amazonaws.com"}, "there are no such notifications at AWS"),
        ({"bucket": None}, "bucket: required field is missing"),
        ({"bucket": {}}, "bucket.name: required field is missing"),
        ({"bucket": {"name": "a/b"}}, "bucket.name"),
        ({"accessKey": None}, "accessKey: required field is missing"),
        ({"secretKey": None}, "secretKey: required field is missing"),
        ({"filter": {"expression": "true"}}, "filter.expression: unknown field"),
        ({"event": []}, "did you mean events"),
    ],
)
def test_refused(raw, message):
    with pytest.raises(InvalidModel) as caught:
        read(**raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        ({"events": []}, "events: empty: nothing ever becomes an event"),
        ({"events": ["ObjectCreated"]}, "no server knows it"),
        ({"insecure": True, "caCertificate": REF}, "caCertificate: of no effect"),
        ({"bucket": {"name": "b", "key": "k"}}, "bucket.key: of no effect"),
    ],
)
def test_taken_with_a_warning(raw, warning):
    assert any(warning in w for w in read(**raw)[1])


def test_taken_without_a_warning():
    assert read(caCertificate=REF, region="eu", filter={"prefix": "a"})[1] == []


# ---------------------------------------------------------------------------- payloads


def test_what_is_missing_is_as_go_has_it():
    (record,) = records_of(b'{"Records":[{"unknown":1}]}')
    assert Notification([record]).encode() == (
        b'{"notification":[{"eventVersion":"","eventSource":"","awsRegion":"","eventTime":"",'
        b'"eventName":"","userIdentity":{"principalId":""},"requestParameters":null,'
        b'"responseElements":null,"s3":{"s3SchemaVersion":"","configurationId":"",'
        b'"bucket":{"name":"","ownerIdentity":{"principalId":""},"arn":""},'
        b'"object":{"key":"","sequencer":""}},"source":{"host":"","port":"","userAgent":""}}]}'
    )


def test_maps_are_sorted_and_texts_escaped():
    line = {
        "Records": [
            {
                "requestParameters": {"z": "<", "a": "&"},
                "responseElements": {"b": "", "a": ""},
                "s3": {"object": {"key": "ü>", "userMetadata": {"y": "1", "x": "2"}}},
            }
        ]
    }
    text = Notification(records_of(json.dumps(line).encode())).encode().decode()
    assert '"requestParameters":{"a":"\\u0026","z":"\\u003c"}' in text
    assert '"responseElements":{"a":"","b":""}' in text
    assert '"object":{"key":"ü\\u003e","userMetadata":{"x":"2","y":"1"},"sequencer":""}' in text


@pytest.mark.parametrize("line", [b"{}", b'{"Records":null}', b'{"Records":[]}'])
def test_signs_of_life(line):
    assert records_of(line) == []


@pytest.mark.parametrize("line", [b"", b"[]", b"{", b'{"Records":{}}', b'{"Records":[{"s3":1}]}'])
def test_what_is_no_notification(line):
    with pytest.raises(EventError, match="reading a notification of MinIO"):
        records_of(line)
    assert json.loads(Unread(line).encode()) == {"notification": line.decode()}


def record(name: str = "s3:ObjectCreated:Put", request: str = "r", **made: Any) -> list[Any]:
    found = {"key": "k", "eTag": "e", "sequencer": "18EA2C0892B7F7A9", **made}
    one = {
        "eventName": name,
        "s3": {"bucket": {"name": "b"}, "object": found},
        "responseElements": {"x-amz-request-id": request},
    }
    return records_of(json.dumps({"Records": [one]}).encode())


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (record(), True),
        (record("s3:ObjectCreated:Copy", "another"), True),  # a listing cannot tell
        (record(sequencer="18EA2C0892B7F7AA"), True),  # nor parts of a millisecond
        (record(sequencer="18EA2C0893B7F7A9"), False),
        (record(key="l"), False),
        (record(eTag="f"), False),
        (record("s3:ObjectCreated:PutTagging"), False),
        (record("s3:ObjectRemoved:Delete"), False),
    ],
)
def test_ids(other, same):
    assert (id_of(("es", "ev"), record()) == id_of(("es", "ev"), other)) == same


def test_each_request_is_an_event_of_its_own():
    name = "s3:ObjectAccessed:Get"
    first, second = (id_of(("es", "ev"), record(name, request)) for request in "12")
    assert first != second
    assert first == id_of(("es", "ev"), record(name, "1"))
    assert first != id_of(("es", "other"), record(name, "1"))


async def test_lines_of_a_stream():
    async def chunks():
        for chunk in (b" ", b'{"a"', b":1}\n{}", b"\n\n", b"  x", b"\n"):
            yield chunk

    assert [one async for one in _lines(chunks()) if one != b"{}"] == [b'{"a":1}', b"x"]


@pytest.mark.parametrize(
    ("events", "tag", "name"),
    [
        (["s3:ObjectCreated:*"], "e", "s3:ObjectCreated:Put"),
        (["s3:ObjectCreated:*"], "e-2", "s3:ObjectCreated:CompleteMultipartUpload"),
        (["s3:ObjectCreated:Put"], "e", "s3:ObjectCreated:Put"),
        (["s3:ObjectCreated:Put"], "e-2", ""),
        (["s3:ObjectRemoved:*"], "e", ""),
    ],
)
def test_which_new_objects_of_a_listing_are_wanted(events, tag, name):
    assert Wanted(tuple(events), "", "", {}, catchup=True).made(tag) == name


def test_a_query_has_a_name_more_than_once_and_is_sorted():
    query = [("events", "s3:b*"), ("prefix", "a b&/"), ("events", "s3:a")]
    assert query_text(query) == "events=s3%3Aa&events=s3%3Ab%2A&prefix=a%20b%26%2F"


# ---------------------------------------------------------------------------- position


class Store:
    def __init__(self) -> None:
        self.value: bytes | None = None

    async def get(self) -> bytes | None:
        return self.value

    async def put(self, value: bytes) -> None:
        self.value = value


@pytest.fixture
def kept(env):
    return replace(env, memory=Store())


async def reopened(env: Any, bucket: str = "b") -> Position:
    one = Position(env, bucket)
    await one.load()
    return one


async def test_it_moves_when_all_before_is_on_the_bus(kept):
    one = await reopened(kept)
    one.listens_since(100)
    first, second, third = one.begin("1", 200), one.begin("2", 300), one.begin("3", 0)
    await one._write()
    assert (await reopened(kept)).told == {}
    third()
    second()
    assert one.until == 200
    first()
    assert one.until == 300
    one.listens_since(900)
    assert one.until == 300


async def test_it_stays_where_something_may_have_been_missed(kept):
    one = await reopened(kept)
    one.listens_since(100)
    one.doubt()
    one.begin("1", 200)()
    one.doubt()
    assert one.until == 100
    await one._write()
    assert (await reopened(kept)).until == 100
    one.settle()
    assert one.until == 200
    await one._write()
    again = await reopened(kept)
    assert again.until == 200
    assert again.told == {"1": 200}
    assert (await reopened(kept, "another")).until == 0


async def test_what_was_there_before_the_first_start_is_never_looked_for(kept):
    one = await reopened(kept)
    one.listens_since(10_000)
    one.begin("1", 10_100)()
    assert one.since == 10_000
    await one._write()
    again = await reopened(kept)
    again.listens_since(20_000)
    again.doubt()
    assert again.since == 10_000, "though others overlap"
    again.settle()
    again.begin("2", 30_000)()
    assert again.since == 30_000 - OVERLAP


async def test_what_was_told_is_remembered_for_a_while_and_in_bounds(kept):
    one = await reopened(kept)
    one.listens_since(1)
    for number in range(MOST + 50):
        one.begin(str(number), 1_000_000)()
    assert len(one.told) == MOST
    one.begin("last", 1_000_001 + OVERLAP)()
    await one._write()
    assert one.told == {"last": 1_000_001 + OVERLAP}


async def test_unreadable_position_is_begun_anew(kept, caplog):
    kept.memory.value = b"{"
    assert (await reopened(kept)).until == 0
    assert "starting from now" in caplog.text
