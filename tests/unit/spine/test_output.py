"""Output that nobody reads any more: what runs on is told once, and no logger complains."""

import logging
import os
import sys
from contextlib import contextmanager

import pytest

from spine import output
from spine.telemetry.logs import _Lines
from tocsin.console import Console


@contextmanager
def unread(monkeypatch):
    """Have standard output be a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(output._State, "lost", False)
    with os.fdopen(writer, "w") as stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        yield


def logger_to_output():
    logger = logging.getLogger("tests.output")
    logger.propagate = False
    logger.handlers[:] = [_Lines(sys.stdout)]
    return logger


def test_what_runs_on_is_told_once(monkeypatch, capfd):
    told = []
    with unread(monkeypatch), output.stopping(lambda: told.append(1)):
        logger, console = logger_to_output(), Console("text")
        assert not output.is_lost()
        logger.warning("one")
        console.say("two")
        logger.warning("three")

        assert output.is_lost()
    assert told == [1]
    assert capfd.readouterr().err == "tocsin: nobody reads the output any more; stopping\n"


@pytest.mark.parametrize("by", ["logs", "console"])
def test_what_begins_to_run_on_afterwards_is_told_too(monkeypatch, capfd, by):
    told = []
    with unread(monkeypatch):
        if by == "logs":
            logger_to_output().warning("one")
        else:
            Console("text").say("one")
        with output.stopping(lambda: told.append(1)):
            assert told == [1]
    assert capfd.readouterr().err == ""


def test_another_pipe_that_breaks_is_told(monkeypatch, capsys):
    class Peer:
        def __str__(self) -> str:
            raise BrokenPipeError("of a peer")

    monkeypatch.setattr(output._State, "lost", False)

    logger_to_output().warning("%s", Peer())

    assert not output.is_lost()
    assert "of a peer" in capsys.readouterr().err
