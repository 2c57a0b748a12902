"""The calls of the kernel that Python 3.11 does not have: namespaces, mounts, capabilities."""

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

NEW_NET = 0x40000000
READ_ONLY, REMOUNT, BIND, RECURSIVE = 1, 32, 4096, 16384
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> int:
    """Call a function of libc. Raises OSError."""
    result = getattr(_libc, name)(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return int(result)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount something. Raises OSError."""
    try:
        call(
            "mount", source.encode(), target.encode(), kind.encode() or None,
            ctypes.c_ulong(flags), data.encode() or None,
        )  # fmt: skip
    except OSError as exc:
        raise OSError(exc.errno, f"mounting {source} at {target}: {exc.strerror}") from None


def bind(source: str, target: str, *, read_only: bool = False) -> None:
    """Show a file or folder at another place. Raises OSError."""
    mount(source, target, flags=BIND | RECURSIVE)
    if read_only:
        mount(source, target, flags=BIND | REMOUNT | READ_ONLY)


def aside(function: Callable[[], T]) -> T:
    """Call a function in a thread that lives for it alone, as one may change its namespaces."""
    result: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            result.append(function())
        except BaseException as exc:
            failed.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return result[0]


def new_network() -> int:
    """Make a network namespace and return what holds it: an open file."""

    def make() -> int:
        call("unshare", NEW_NET)
        lowest = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        lowest.write_text("0")  # as containers have it: every port is for everybody
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return aside(make)


def within(network: int, function: Callable[[], T]) -> T:
    """Call a function with a network namespace; sockets that it makes stay there."""

    def go() -> T:
        call("setns", network, NEW_NET)
        return function()

    return aside(go)
