"""Small pure parts: keys as subjects, replies, time stamps, limits."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.jetstream.api import rfc3339, unix
from eventbus.jetstream.dialing import Options
from eventbus.jetstream.kv import escape, unescape
from eventbus.jetstream.replies import message_of
from eventbus.jetstream.watch import _reached_at, _share


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_key_is_a_subject_and_comes_back(key):
    token = escape(key)
    assert unescape(token) == key
    assert all(part for part in token.split("."))
    assert not set(token) & set(" *>\t\r\n\x00")


def test_usual_keys_are_themselves():
    assert escape("sensor/trigger.dep-1_x") == "sensor/trigger.dep-1_x"


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.default.sensor.3.17.5.1763700000500000000.9",
        "$JS.ACK._.acc.default.sensor.3.17.5.1763700000500000000.9",
        "$JS.ACK.hub.acc.default.sensor.3.17.5.1763700000500000000.9.token",
    ],
)
def test_replies_of_every_server(reply):
    found = message_of(SimpleNamespace(subject="a.b", data=b"1", reply=reply, headers=None))
    assert (found.deliveries, found.sequence, found.number, found.pending) == (3, 17, 5, 9)
    assert found.stored == 1763700000.5


@pytest.mark.parametrize("reply", ["", "_INBOX.x", "$JS.ACK.a.b"])
def test_other_replies_are_refused(reply):
    with pytest.raises(ValueError, match="no acknowledgement subject"):
        message_of(SimpleNamespace(subject="a.b", data=b"1", reply=reply, headers=None))


def test_time_stamps():
    assert unix("2025-11-21T04:40:00.123456789Z") == pytest.approx(1763700000.123456789)
    assert unix("2025-11-21T04:40:00Z") == 1763700000.0
    assert unix("2025-11-21T05:40:00.5+01:00") == 1763700000.5
    assert rfc3339(1763700000.5) == "2025-11-21T04:40:00.500000Z"


def test_the_share_that_is_unread():
    state = {"first_seq": 101, "last_seq": 200, "messages": 100, "bytes": 1000}
    config = {"max_msgs": 200, "max_bytes": 2000}
    assert _share(state, config, 101) == 0.5
    assert _share(state, config, 151) == 0.25
    assert _share(state, config, 201) == 0.0
    assert _share(state, {"max_msgs": -1, "max_bytes": -1}, 101) == 0.0
    assert _reached_at(state, config, 101, 0.9) == 281
    assert _reached_at(state, {"max_msgs": -1, "max_bytes": -1}, 101, 0.9) == 0


def test_servers_are_shown_without_credentials():
    assert Options(("nats://u:p@h:1", "nats://h:2")).shown == "nats://h:1, nats://h:2"
