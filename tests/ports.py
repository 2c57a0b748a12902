"""Ports of loopback for the servers of tests."""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CLIENTS = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
_given: set[int] = set()
_random = random.SystemRandom()  # whatever a test seeds, workers choose differently
_ours = os.open(
    Path(tempfile.gettempdir(), f"tocsin-test-ports-{os.getuid()}"), os.O_RDWR | os.O_CREAT
)
"""Has a byte for each port; who was given one holds a lock on it."""


def free_port() -> int:
    """Return a port that nobody listens at, and that no process of tests was given before.

    None of those that clients' sockets are given: one that keeps asking for a server that is gone
    may be given the server's port and then talks to itself, and the server cannot come back.
    """
    while True:
        port = _random.randrange(10_000, _CLIENTS)
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            fcntl.lockf(_ours, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)  # until this process ends
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
