"""What is said while the bus is away: each thing once, however often it is tried again.

The connection to the bus tries for ever and logs each attempt, as a pod wants it. To a person at
a terminal the same line six times is noise, in which the one that matters goes under.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
from typing_extensions import override

_BUS = logging.getLogger("eventbus")
_BACK = "connected to the bus"
_NUMBER = re.compile(r"\[Errno -?\d+\] ")
_REMEMBERED = 100
"""Things that were said; beyond that they are said anew."""


@contextmanager
def told_once() -> Iterator[None]:
    """Print what the bus logs to standard error, but nothing twice until it is back."""
    handler, level, propagate = _Once(), _BUS.level, _BUS.propagate
    _BUS.addHandler(handler)
    _BUS.setLevel(logging.INFO)
    _BUS.propagate = False
    try:
        yield
    finally:
        _BUS.removeHandler(handler)
        _BUS.setLevel(level)
        _BUS.propagate = propagate


def plain(text: str) -> str:
    """Return a reason without the numbers of the system's errors."""
    return _NUMBER.sub("", text)


class _Once(logging.Handler):
    """Prints problems, and that they are over."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    @override
    def emit(self, record: logging.LogRecord) -> None:
        text = plain(record.getMessage())
        if record.levelno < logging.WARNING:
            if not (self._said and text.startswith(_BACK)):
                return
            self._said.clear()
        elif text in self._said:
            return
        else:
            if len(self._said) == _REMEMBERED:
                self._said.clear()
            self._said.add(text)
        with suppress(BrokenPipeError):  # told by what is printed next; the bus has no part in it
            click.echo(f"tocsin: {text}", err=True)
