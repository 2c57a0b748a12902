"""Standard output, and that whoever reads it may go away, as in `tocsin tail | head -1`.

What prints and ends is ended by that, quietly, as SIGPIPE ends `cat`. What runs on has more to
lose, so it says where to stop in order: `stopping`. The signal itself stays ignored, as Python has
it: a connection to somebody else may break as well, and that is no reason to end.
"""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

GONE = 141
"""Exit code where nobody reads the output any more: what a shell makes of SIGPIPE."""

_SAID = "tocsin: nobody reads the output any more; stopping\n"


class _State:
    """What is known of the output of this process."""

    lost = False
    stop: Callable[[], object] | None = None


def is_lost() -> bool:
    """Return whether the reader of standard output went away, as far as was noticed."""
    return _State.lost


def give_up() -> bool:
    """Write to nobody what goes to a pipe without a reader; return whether there was one.

    So what stands in buffers breaks no more either, not even at the exit.
    """
    broken = [stream for stream in (sys.stdout, sys.stderr) if _is_broken(stream)]
    for stream in broken:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    _State.lost = _State.lost or bool(broken)
    return bool(broken)


def lose() -> bool:
    """Stop what runs on, as a line broke the pipe; return False where the pipe was not the output.

    May be called from any thread.
    """
    first = not _State.lost
    if give_up() and first and _State.stop is not None:
        with suppress(OSError):
            os.write(2, _SAID.encode())  # not by a stream, whose lock may be held
        _State.stop()
    return _State.lost


@contextmanager
def stopping(stop: Callable[[], object]) -> Iterator[None]:
    """Have `stop` called once, from any thread, where the reader of standard output goes away."""
    _State.stop = stop
    try:
        if _State.lost:
            stop()
        yield
    finally:
        _State.stop = None


def _is_broken(stream: TextIO | None) -> bool:
    """Return whether nobody reads at the other end: a full disk or a closed file is not that."""
    if stream is None or sys.platform == "win32":
        return False
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # it has no descriptor, as in tests, or was closed
        return False
