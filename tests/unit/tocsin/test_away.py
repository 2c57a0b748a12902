"""What is said while the bus is away, and what is asked: each once, and never into the void."""

import io
import logging
import signal
import sys
from typing import Any

import click
import pytest

from spine.errors import ConfigError
from tocsin import away
from tocsin.asking import agreed

LOG = logging.getLogger("eventbus.jetstream.connection")


def test_each_thing_is_said_once_until_it_is_over(capsys):
    with away.told_once():
        LOG.info("connected to the bus at x")
        for _ in range(3):
            LOG.warning("the bus is away: %s", "refused")
        LOG.warning("[Errno -2] another thing")
        LOG.info("created stream x")
        LOG.info("connected to the bus at x")
        LOG.warning("the bus is away: %s", "refused")

    assert capsys.readouterr().err.splitlines() == [
        "tocsin: the bus is away: refused",
        "tocsin: another thing",
        "tocsin: connected to the bus at x",
        "tocsin: the bus is away: refused",
    ]


def test_logging_is_left_as_it_was():
    bus = logging.getLogger("eventbus")
    before = (bus.level, bus.propagate, list(bus.handlers))
    with away.told_once():
        pass
    assert (bus.level, bus.propagate, list(bus.handlers)) == before


def test_what_was_said_is_bounded(capsys):
    with away.told_once():
        for number in range(away._REMEMBERED + 1):
            LOG.warning("thing %d", number)
        LOG.warning("thing 0")
    assert capsys.readouterr().err.count("thing 0\n") == 2


def test_the_connection_goes_on_where_nobody_reads_of_it(monkeypatch):
    def gone(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(click, "echo", gone)
    with away.told_once():
        LOG.warning("the bus is away")


@pytest.mark.parametrize(("typed", "answer"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_question_is_answered(monkeypatch, capsys, typed, answer):
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert agreed("Do it?") is answer
    out, err = capsys.readouterr()
    assert (out.strip(), err) == ("", "Do it? [y/N]: ")


def test_where_nobody_answers_the_way_out_is_told(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(ConfigError, match=r"'Do it\?': nobody answers.*--yes"):
        agreed("Do it?")


def test_an_interrupted_question_is_an_interruption(monkeypatch):
    def press(_: str) -> Any:
        signal.raise_signal(signal.SIGINT)

    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))  # as asyncio has it
    monkeypatch.setattr("click.termui.visible_prompt_func", press)
    try:
        with pytest.raises(click.Abort):
            agreed("Do it?")
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [1], "the handler is what it was"
