"""CloudEvents that are posted: what they call themselves, and what makes them invalid."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cloudevents.v1.conversion import to_binary, to_structured
from cloudevents.v1.http import CloudEvent

from eventsource import cloudevents
from eventsource.source import Origin

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "a1",
    "source": "/shop/1",
    "type": "order.made",
    "subject": "order 7",
    "time": "2026-01-02T03:04:05.5+01:00",
    "traceparent": "00-ab-cd-01",
}
NOON = datetime(2026, 1, 2, 3, 4, 5, 500_000, timezone(timedelta(hours=1)))


def fields(**attributes: str) -> dict[bytes, bytes]:
    return {f"ce-{k}".encode(): v.encode() for k, v in attributes.items()}


def test_binary():
    found = cloudevents.binary(fields(**ATTRIBUTES) | {b"content-type": b"application/json"})

    assert (found.id, found.time) == ("a1", NOON)
    assert found.origin == Origin(
        "/shop/1", "order.made", "order 7", {"traceparent": "00-ab-cd-01"}
    )


def test_structured():
    found = cloudevents.structured(json.dumps({**ATTRIBUTES, "data": {"n": 1}}).encode())

    assert (found.id, found.time) == ("a1", NOON.astimezone(UTC))
    assert found.origin == Origin(
        "/shop/1", "order.made", "order 7", {"traceparent": "00-ab-cd-01"}
    )


def test_the_sdk_posts_what_we_read():
    event = CloudEvent({k: ATTRIBUTES[k] for k in ("id", "source", "type")}, {"n": 1})
    headers, _ = to_binary(event)
    _, body = to_structured(event)

    given = {k.encode(): str(v).encode() for k, v in headers.items()}
    for found in (cloudevents.binary(given), cloudevents.structured(body)):
        assert (found.id, found.origin.source, found.origin.type) == ("a1", "/shop/1", "order.made")


def test_percent_encoded_header():
    found = cloudevents.binary(fields(**ATTRIBUTES | {"id": "%E2%82%AC%20x"}))
    assert found.id == "€ x"


def test_standard_attributes_are_no_extensions():
    more = {"dataschema": "http://s", "datacontenttype": "application/json", "data": "x"}
    assert cloudevents.binary(fields(**ATTRIBUTES | more)).origin.extensions == {
        "traceparent": "00-ab-cd-01"
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specversion": "2.0"}, "ce-specversion is '2.0'"),
        ({"id": ""}, "needs ce-id"),
        ({"source": "", "type": ""}, "needs ce-source and ce-type"),
        ({"time": "yesterday"}, "ce-time 'yesterday'"),
        ({"time": "2026-01-02T03:04:05"}, "has no time zone"),
    ],
)
def test_bad_binary(change, message):
    with pytest.raises(ValueError, match=message):
        cloudevents.binary(fields(**ATTRIBUTES | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"specversion": "2.0"}, "specversion"),
        ({"id": ""}, "needs id"),
        ({"id": 7}, "id is not a string"),
        ({"type": ""}, "needs type"),
        ({"time": "yesterday"}, "RFC3339|RFC 3339"),
        ({"data": 1, "data_base64": "eA=="}, "both data and data_base64"),
    ],
)
def test_bad_structured(change, message):
    with pytest.raises(ValueError, match=message):
        cloudevents.structured(json.dumps({**ATTRIBUTES, **change}).encode())
