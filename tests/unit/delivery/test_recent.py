"""Messages that are delivered again though they were finished."""

from dataclasses import replace

from delivery.recent import Recent
from eventbus.bus import Message

FIRST = Message("default.src.a", b"", 7, 100.0)
AGAIN = replace(FIRST, deliveries=2)


def test_knows_what_was_finished() -> None:
    recent = Recent()
    assert not recent.has(AGAIN)
    recent.add(FIRST)

    assert recent.has(AGAIN)
    assert recent.has(FIRST), "a server may forget that it delivered something"
    assert not recent.has(replace(AGAIN, sequence=8))


def test_message_of_a_stream_made_anew_is_another_one() -> None:
    recent = Recent()
    recent.add(FIRST)

    assert not recent.has(replace(AGAIN, stored=200.0))


def test_forgets_the_oldest() -> None:
    recent = Recent(most=2)
    for sequence in (1, 2, 3):
        recent.add(replace(FIRST, sequence=sequence))

    assert [recent.has(replace(AGAIN, sequence=n)) for n in (1, 2, 3)] == [False, True, True]
