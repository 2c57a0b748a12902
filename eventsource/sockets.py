"""Sockets that listen, and what to say when a port cannot be had."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

from spine.errors import ConfigError, Fault, SourceError

_EVERYWHERE = "0.0.0.0"  # noqa: S104 -- compared with, not bound here


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on a port; all addresses means IPv6 too, where the machine has it.

    Raises SourceError where the port is in use, ConfigError where it never can be had.
    """
    sockets = [_bound(host, port)]
    if host == _EVERYWHERE and socket.has_ipv6:
        with suppress(SourceError, ConfigError):  # IPv6 without an address, or only IPv4 free
            sockets.append(_bound("::", port))
    return sockets


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(2048)  # here, where two that bound the same port still can be told apart
    except (OSError, OverflowError) as exc:
        sock.close()
        raise _unbound(host, port, exc) from exc
    return sock


def _unbound(host: str, port: int, exc: Exception) -> Fault:
    doing = f"listening on {host}:{port}"
    number = exc.errno if isinstance(exc, OSError) else None
    if number == errno.EADDRINUSE:
        return SourceError(
            f"{doing}: the port is in use by {owner(port)}",
            hint="stop that, choose another port in the manifest, or give --port-offset",
        )
    why = exc.strerror if isinstance(exc, OSError) else str(exc)
    if number in {errno.EACCES, errno.EPERM}:
        return ConfigError(f"{doing}: {why}", hint="take a port from 1024 on")
    return ConfigError(f"{doing}: {why}")


def owner(port: int) -> str:
    """Return `NAME (pid N)` of the process that listens on a port, as far as we may know."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        except OSError:
            continue
        listening = f":{port:04X}"
        inodes |= {r[9] for r in rows if r[3] == "0A" and r[1].endswith(listening)}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        if wanted & _open_files(process):
            with suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return "another process"


def _open_files(process: Path) -> set[str]:
    """Return what the descriptors of a process point to; nothing where it is not ours to see."""
    found = set()
    with suppress(OSError):
        for descriptor in os.listdir(process / "fd"):  # noqa: PTH208 -- a Path for each is slow
            with suppress(OSError):  # closed meanwhile
                found.add(os.readlink(process / "fd" / descriptor))  # noqa: PTH115 -- `socket:[N]` is no path
    return found
