"""What one conversation with a git server may use: addresses, bytes and time.

The library that speaks git does so in a thread, which nobody can end. What it reads can be: each
socket is known here, and when time is up they are shut under the thread's hands.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable

from spine.errors import ConfigError
from spine.http.egress import check_address

MOST = 64 * 1024 * 1024
"""Bytes that a server may send in one conversation."""
PATIENCE = 20.0
"""Seconds for a connection, and for a server to say something."""


class Line:
    """The sockets of one conversation and what came through them."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._left = MOST
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut = False

    def joined(self, joined: socket.socket, host: str) -> socket.socket:
        """Take note of a socket that was connected to a host.

        Raises Refused, an OSError, where its address must not be reached.
        """
        try:
            check_address(host, joined.getpeername()[0])
            with self._lock:
                if self._cut:
                    raise TimeoutError("there is no time left")
                # a second handle, as TLS takes the first one over
                self._sockets.append(socket.socket(fileno=os.dup(joined.fileno())))
        except OSError:
            joined.close()
            raise
        return joined

    def counted(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """Return a way to read that ends where the server has sent too much."""

        def counting(size: int = 65536) -> bytes:
            if self._cut:
                raise TimeoutError("there is no time left")
            data = read(size)
            self._left -= len(data)
            if self._left < 0:
                raise ConfigError(
                    f"{self.what}: the server sends more than {MOST // 1024**2} MiB",
                    hint="of a server with uploadpack.allowFilter only the file is asked for",
                )
            return data

        return counting

    def cut(self) -> None:
        """End what is still going on, from any thread."""
        with self._lock:
            self._cut = True
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._sockets.clear()
