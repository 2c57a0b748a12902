"""Processes that wait for work with everything imported: what makes `tocsin run` start fast.

Interpreters that all import the same modules were most of what a start costs. So a run forks a
few of itself before it reads anything: no manifest, no secret, no thread and no loop is in them.
Those that no object needs are ended. A process that is started later, or once more, is an
interpreter of its own, and so is each where the system is not Linux.
"""

import asyncio
import gc
import importlib
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

COUNT = 8
"""Processes that wait; a folder of manifests seldom has more objects that run."""
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
"""What a process finds in its environment, for those that it starts itself."""
SHARED = ("tocsin.eventsource", "tocsin.sensor", "eventbus.jetstream", "eventsource.web", "uvloop")
"""Modules that nearly every process imports; the rest each imports for what its object has."""
_VERB = 16
"""Most bytes of the line that says what a process becomes."""


@dataclass(frozen=True, slots=True)
class Spare:
    """A process that waits."""

    pid: int
    channel: int
    """Descriptor of the socket that is its standard input."""
    output: int
    """Descriptor from which its output is read."""


@dataclass(slots=True)
class Spares:
    """Processes that wait, until they are taken or ended."""

    waiting: list[Spare] = field(default_factory=list)

    def take(self) -> Spare | None:
        """Return one that is the caller's from now on; None where none is left."""
        return self.waiting.pop(0) if self.waiting else None

    def end(self) -> None:
        """End those that nobody took."""
        while spare := self.take():
            os.close(spare.channel)
            os.close(spare.output)
            with suppress(ProcessLookupError):
                os.kill(spare.pid, signal.SIGKILL)  # it has nothing to lose
            os.waitpid(spare.pid, 0)


def fork(count: int = COUNT) -> Spares:
    """Fork processes that wait; none where that is not safe. In these it never returns."""
    if not _is_safe():
        return Spares()
    for name in SHARED:
        importlib.import_module(name)
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # what is looked at is no longer shared
    spares = Spares()
    while len(spares.waiting) < count and (spare := _fork()) is not None:
        spares.waiting.append(spare)
    return spares


def _is_safe() -> bool:
    """Whether this is a program of its own with one thread, where processes can be waited for."""
    if sys.platform != "linux" or threading.active_count() > 1 or sys.stdout is not sys.__stdout__:
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an old kernel
        return False
    return True


def _fork() -> Spare | None:
    """Fork a process that waits; None where the system allows no more of them."""
    ours, theirs = (end.detach() for end in socket.socketpair())
    output, written = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for descriptor in (ours, theirs, output, written):
            os.close(descriptor)
        return None
    if not pid:
        _wait(theirs, written)
    os.close(theirs)
    os.close(written)
    return Spare(pid, ours, output)


def _wait(channel: int, output: int) -> NoReturn:
    """Wait until the parent says what to be; be it."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing of the parent's is to be finished
    os.setsid()
    os.dup2(channel, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(write_through=True)  # type: ignore[union-attr]  # see `_is_safe`
    os.environ.update(ENVIRONMENT)
    if not sys.flags.safe_path:
        sys.path[0] = str(ROOT)  # and not the folder in which the user is
    verb = b""
    while not verb.endswith(b"\n") and len(verb) < _VERB:
        if not (byte := os.read(0, 1)):
            os._exit(0)  # the parent has gone
        verb += byte
    from tocsin.cli import main

    main([verb.decode().strip(), "--supervised"])
    raise AssertionError("unreachable: main exits")


class Taken:
    """A spare at work: what the supervisor needs of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader) -> None:
        self.pid, self.stdout = pid, stdout
        self.returncode: int | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._descriptor = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._reap)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self._ended.set_result(self.returncode)

    async def wait(self) -> int:
        """Return the exit code, or minus the signal, once it has ended."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGTERM)


async def put_to_work(spare: Spare, verb: str) -> tuple[Taken, socket.socket]:
    """Make a spare the process of a verb; return it, and the socket that leads to it."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        partial(asyncio.StreamReaderProtocol, reader), os.fdopen(spare.output, "rb", 0)
    )
    channel = socket.socket(fileno=spare.channel)
    with suppress(OSError):  # it has ended, and is seen to
        channel.sendall(f"{verb}\n".encode())
    return Taken(spare.pid, reader), channel
