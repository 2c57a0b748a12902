"""Ports of loopback for the servers of tests."""

import os
import random
import socket
from contextlib import suppress
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CLIENTS = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 32_768
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_given: set[int] = set()
_random = random.SystemRandom()  # whatever a test seeds


def free_port() -> int:
    """Return a port that nobody listens at, and that this process was not given before.

    None of those that clients' sockets are given: one that keeps asking for a server that is gone
    may be given the server's port and then talks to itself, and the server cannot come back.
    Each worker has ports of its own: none takes that of another's server, as it starts or is down.
    """
    while True:
        port = _random.randrange(10_000 + _WORKER, _CLIENTS, _WORKERS)
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given.add(port)
            return port
