"""What came from outside is valid as JSON and harmless to a terminal, wherever it is shown."""

import base64
import json

import pytest

from delivery.dead import DeadLetter, Entry
from eventbus.bus import Message
from spine.event import Event, encode
from tocsin import letters, tail
from tocsin.shown import one_line, value_of

ODD = [b"NaN", b'{"a":-Infinity}', b"[1e400]", b"[" * 100_000 + b"]" * 100_000, b"{", b"9" * 5000]


@pytest.mark.parametrize("data", ODD, ids=lambda data: repr(data[:12]))
def test_what_no_reader_takes_is_text(data: bytes) -> None:
    assert value_of(data) == data.decode()


def test_what_is_json_is_its_value() -> None:
    assert value_of(b'{"a":[1,null,"x"]}') == {"a": [1, None, "x"]}


def test_a_line_is_one_line_and_moves_no_cursor() -> None:
    assert one_line("plain ümläut") == "plain ümläut"
    assert one_line("a\nb\x1b[31mc\u009b2Jd\u202ee") == r"a\nb\x1b[31mc\x9b2Jd\u202ee"


def test_an_event_is_shown_harmless() -> None:
    data = json.dumps({"a": "\u009b31m"}, ensure_ascii=False).encode()
    event = Event(id="x\ny", source="s", subject="e", type="t", data=data)
    line = tail._record("event", Message("default.s.e", encode(event), 1, 0.0))
    assert line is not None
    shown = tail._text(line, whole=True)
    assert shown.isprintable() or "\x1b" in shown.split("event", 1)[0]
    assert r"x\ny" in shown
    assert r"\x9b31m" in shown


def test_a_letter_is_one_line_and_its_data_json() -> None:
    inside = base64.b64encode(b"[1e400]").decode()
    letter = DeadLetter(
        kind="event", component="sensor", object="s", place="p", code="Bug",
        message="a\nb", time=0.0, subject="default.s.e", sequence=1,
        data=json.dumps({"data_base64": inside}).encode(),
    )  # fmt: skip
    entry = Entry(1, letter)
    assert letters.line(entry).endswith(r"Bug: a\nb")
    found = json.loads(letters.as_json(entry), parse_constant=pytest.fail)
    assert found["event"] == {"data": "[1e400]"}
