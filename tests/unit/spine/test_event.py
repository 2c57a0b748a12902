"""The wire format: what Argo Events writes, we write; what it reads, we read."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.errors import EventError
from spine.event import ORIGIN_SOURCE, Event, decode, encode, message_id, new_id

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "sensor"


def recorded(family: str) -> list:
    path = VECTORS / f"{family}.json"
    return json.loads(path.read_text()) if path.exists() else []


def event_of(recorded: dict) -> Event:
    context = dict(recorded["context"])
    time = context.pop("time", None)
    data = recorded.get("data")
    return Event(
        **context,
        time=datetime.fromisoformat(time) if time else None,
        data=None if data is None else data.encode(),
    )


@pytest.mark.parametrize("vector", recorded("cloudevent_encode"), ids=lambda v: v["id"])
def test_recorded_encodings(vector):
    assert encode(event_of(vector["input"]["event"])).decode() == vector["expect"]["raw"]


@pytest.mark.parametrize("vector", recorded("cloudevent_decode"), ids=lambda v: v["id"])
def test_recorded_decodings(vector):
    message = vector["input"]["message"].encode()
    if "error" in vector["expect"]:
        with pytest.raises(EventError):
            decode(message)
        return
    event, want = decode(message), vector["expect"]["result"]
    for name, value in want["context"].items():
        got = getattr(event, name)
        assert (got.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(got, datetime) else got) == value
    assert event.data == (None if want["data"] is None else want["data"].encode())


PLAIN = Event(
    id="0011",
    source="my-es",
    type="webhook",
    subject="example",
    time=datetime(2024, 1, 2, 2, 4, 5, 678900, UTC),
    data=b'{"a":1}',
)


def test_members_stand_in_the_order_of_argo_events():
    assert encode(PLAIN) == (
        b'{"specversion":"1.0","id":"0011","source":"my-es","type":"webhook","subject":"example",'
        b'"datacontenttype":"application/json","time":"2024-01-02T02:04:05.6789Z",'
        b'"data_base64":"eyJhIjoxfQ=="}'
    )


@given(
    id=st.text(min_size=1),
    type=st.text(),
    subject=st.text(),
    data=st.none() | st.binary(),
    time=st.none() | st.datetimes(timezones=st.just(UTC), min_value=datetime(1000, 1, 1)),
    extensions=st.dictionaries(st.from_regex(r"ext[a-z0-9]{1,5}", fullmatch=True), st.text()),
)
def test_what_is_written_is_read_again(**members):
    event = Event(source="es", **members)
    assert decode(encode(event)) == event


@given(st.binary())
def test_no_bytes_raise_anything_but_our_error(message):
    try:
        decode(message)
    except EventError:
        pass


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"nope", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"specversion":"2.0"}', "specversion is '2.0', not 1.0"),
        (b'{"specversion":"1.0","id":5}', "id is not a string"),
        (b'{"specversion":"1.0","source":"s","time":"noon"}', "Invalid RFC3339"),
        (b'{"specversion":"1.0","source":"s","time":"2024-01-01T00:00:00"}', "timezone"),
        (b'{"specversion":"1.0","source":"s","data_base64":"*"}', "base64"),
        (b'{"specversion":"1.0","source":"s"} x', "more text after"),
    ],
)
def test_refusals_name_the_message_and_the_reason(message: bytes, why: str):
    with pytest.raises(EventError, match="reading CloudEvent") as caught:
        decode(message)
    assert why in str(caught.value)


def test_one_id_under_two_names_is_two_messages():
    ids = {
        message_id(PLAIN),
        message_id(Event(id="0011", source="my-es", type="webhook", subject="other")),
        message_id(Event(id="0011", source="other", type="webhook", subject="example")),
        message_id(
            Event(
                id="0011",
                source="my-es",
                type="webhook",
                subject="example",
                extensions={ORIGIN_SOURCE: "/shop"},
            )
        ),
    }
    assert len(ids) == 4
    assert message_id(PLAIN) == message_id(
        Event(id="0011", source="my-es", type="x", subject="example")
    )


def test_new_ids_are_32_hex_digits_and_differ():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(i) == 32 and int(i, 16) >= 0 for i in ids)
