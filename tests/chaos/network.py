"""A network for one storm: a namespace for each process, a router between, lines to be cut.

The whole storm lives in namespaces of its own (`enter`), which vanish with it. Each node has a
subnet; what goes from one to another passes the router, where a rule drops it without a word,
as a broken switch does. Needs root, or a kernel that lets users have namespaces.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

INSIDE = "CHAOS_INSIDE"
RUN = Path("/run/netns")


def missing() -> str:
    """Return why no storm can be had here; empty where one can."""
    for program in ("ip", "unshare", "nsenter", "redis-server"):
        if shutil.which(program) is None:
            return f"needs {program}"
    words = [*_unshare(), "sh", "-c", "mount -t tmpfs tmpfs /run && ip link add name a type veth"]
    done = subprocess.run(words, capture_output=True, check=False, text=True)
    if done.returncode:
        return f"needs namespaces of its own: {done.stderr.strip()}"
    return ""


def _unshare() -> list[str]:
    """Return words that begin a command in namespaces of its own; all in them ends with it."""
    words = ["unshare", "--net", "--mount", "--propagation", "private"]
    words += ["--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
    return words if os.geteuid() == 0 else [*words, "--user", "--map-root-user"]


def enter() -> None:
    """Begin this program anew in namespaces of its own, unless it is in them."""
    if os.environ.get(INSIDE) == "1":
        return
    words = [*_unshare(), sys.executable, "-m", "chaos", *sys.argv[1:]]
    os.execvpe(words[0], words, {**os.environ, INSIDE: "1"})


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, check=False, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Node:
    """Where one process runs."""

    def __init__(self, name: str, number: int) -> None:
        self.name, self.number = name, number
        self.address = f"10.77.{number}.2"

    @property
    def prefix(self) -> list[str]:
        """Words before a command that is to run here; its pid is that of the command."""
        return ["nsenter", f"--net={RUN / self.name}"]


class Network:
    """All nodes, and what is cut between them."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._cuts: dict[tuple[str, str], int] = {}
        RUN.mkdir(exist_ok=True, parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(RUN)], check=True)
        _ip("link", "set", "lo", "up")
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

    def add(self, name: str) -> Node:
        """Make a node."""
        node = Node(name, len(self.nodes) + 1)
        self.nodes[name] = node
        gate, here = f"10.77.{node.number}.1", f"v{node.number}"
        _ip("netns", "add", name)
        _ip("link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("addr", "add", f"{gate}/24", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", name, "addr", "add", f"{node.address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "route", "add", "default", "via", gate)
        return node

    def cut(self, ones: Iterable[str], others: Iterable[str]) -> None:
        """Drop what goes between each of some nodes and each of others, both ways."""
        for one in ones:
            for other in others:
                if one == other:
                    continue
                for pair in ((one, other), (other, one)):
                    if pair not in self._cuts:
                        self._cuts[pair] = number = self._free()
                        _ip("rule", "add", *self._rule(number, pair))

    def mend(self, ones: Iterable[str], others: Iterable[str]) -> None:
        """Undo `cut`."""
        for one in ones:
            for other in others:
                for pair in ((one, other), (other, one)):
                    number = self._cuts.pop(pair, None)
                    if number is not None:
                        _ip("rule", "del", "pref", str(number))

    def _free(self) -> int:
        return next(n for n in range(100, 30_000) if n not in self._cuts.values())

    def _rule(self, number: int, pair: tuple[str, str]) -> list[str]:
        one, other = (self.nodes[name].address for name in pair)
        return ["pref", str(number), "from", one, "to", other, "blackhole"]
