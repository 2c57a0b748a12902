"""The parent of a process under `tocsin run`, at the other end of its standard input."""

import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from spine.errors import ConfigError

_LAST_WORDS = 3.0
"""Seconds that a process whose parent is gone takes to end by itself."""


class Parent:
    """The other end of standard input, where `tocsin run` started this process."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=os.dup(0))

    def job(self) -> dict[str, Any]:
        """Read the job. Raises ConfigError if there is no parent that sends one."""
        with suppress(OSError, ValueError):
            with self._socket.makefile("rb") as lines:
                line = lines.readline()
            job: dict[str, Any] = json.loads(line)
            return job
        raise ConfigError("reading the job from standard input: --supervised is for tocsin run")

    def tell(self, **report: Any) -> None:
        """Tell the parent how things stand."""
        with suppress(OSError):  # it is gone, and `watch` notices
            self._socket.sendall(json.dumps(report).encode() + b"\n")

    def watch(self, gone: Callable[[], None]) -> None:
        """Call back when the parent is gone, and end the process soon after in any case."""
        _die_with_parent()
        threading.Thread(target=self._wait, args=(gone,), name="parent", daemon=True).start()

    def _wait(self, gone: Callable[[], None]) -> None:
        with suppress(OSError):
            while self._socket.recv(4096):
                pass
        logging.raiseExceptions = False  # nobody reads standard output any more
        with suppress(RuntimeError):  # the loop may have ended
            gone()
        time.sleep(_LAST_WORDS)
        os._exit(1)


def _die_with_parent() -> None:
    """Have the kernel end this process with its parent, where it can (Linux)."""
    if sys.platform != "linux":
        return
    death_signal = 1  # PR_SET_PDEATHSIG, see prctl(2)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(death_signal, signal.SIGKILL, 0, 0, 0)
