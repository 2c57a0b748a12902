"""The redisStream source: its configuration, payloads and ids; `tests/live` has the rest."""

import json
from typing import Any

import pytest
from config_kit import Wrong, reader
from hypothesis import given
from hypothesis import strategies as st

from eventsource.redisstream.entry import values
from eventsource.redisstream.group import Group, Reading, _order
from eventsource.sources.redis_stream import RedisStream
from eventsource.taking import Taker
from spine.model import InvalidModel

PLAIN = {"hostAddress": "redis:6379", "streams": ["orders"]}


read = reader(RedisStream, PLAIN)


@pytest.mark.parametrize(
    "case",
    [
        Wrong("no streams", {"streams": []}, "write the names of the streams"),
        Wrong("an empty stream", {"streams": [""]}, "write the names of the streams"),
        Wrong("JSON bodies, which it has none of", {"jsonBody": True}, "jsonBody: unknown field"),
        Wrong("a member that lives for ever", {"claimAfter": 0}, "greater than or equal to 1"),
        Wrong("a count that is a text", {"maxMsgCountPerRead": "1"}, "valid integer"),
        Wrong("a filter that is none", {"filter": {"expression": "values."}}, "compiling"),
    ],
    ids=str,
)
def test_refused(case: Wrong):
    with pytest.raises(InvalidModel) as caught:
        read(**case.raw)
    assert case.why in str(caught.value)


def test_defaults_are_those_of_argo_events():
    source, warnings = read(consumerGroup="")
    assert (source.consumer_group, source.max_msg_count_per_read) == ("argo-events-cg", 10)
    assert warnings == []
    assert not source.alone


@pytest.mark.parametrize(
    "expression", ['values.a == "1"', 'values["a"] == "1"', "len(values(values)) == 1"]
)
def test_a_filter_means_the_fields_by_values(expression: str):
    from eventsource.expression import compile_filter

    found = read(filter={"expression": expression})[0].filter
    assert found
    check = compile_filter(found.expression, found.members)
    assert check(b'{"stream":"s","values":{"a":"1"}}') is None


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b"{}"),
        ({b"b": b"1", b"a": b"<\xff>"}, '{"a":"\\u003c\ufffd\\u003e","b":"1"}'.encode()),
    ],
)
def test_values(fields: dict[bytes, bytes], text: bytes):
    assert values(fields) == text


@given(st.dictionaries(st.binary(), st.binary(), max_size=4))
def test_every_entry_has_values(fields: dict[bytes, bytes]):
    assert isinstance(json.loads(values(fields)), dict)


def group(*place: str) -> Group:
    async def emit(*_: Any, **__: Any) -> None: ...

    return Group(Reading("g", ("s",), place, b"", 10, 30), Taker("ev", emit))


def test_id_is_that_of_the_entry_for_this_event():
    def known(*place: str, stream: str = "s", entry: str = "1-0", data: bytes = b"1") -> str:
        return group(*place)._taken((stream, entry), {b"a": data}).id

    assert known("es", "ev") == known("es", "ev")
    different = {
        known("es", "ev"),
        known("es2", "ev"),
        known("es", "ev2"),
        known("es", "ev", stream="t"),
        known("es", "ev", entry="1-1"),
        known("es", "ev", data=b"2"),  # a stream that was deleted and counts anew
    }
    assert len(different) == 6


def test_order_of_ids():
    assert sorted(["10-0", "9-5", "9-10", "9"], key=_order) == ["9", "9-5", "9-10", "10-0"]
