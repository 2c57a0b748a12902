"""The network of the pods: a namespace for each, a bridge between them, an address range.

The bridge is in a namespace of its own, the router's, which also has every address of a Service.
The machine has one end of a cable to it, so tests reach pods and Services by their addresses.
Whoever holds the open files holds all of it.
"""

import asyncio
import ipaddress
import os
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass

from kubelet import kernel

LATE = 5.0
"""Seconds for which the address of a pod that is gone still refuses, where nothing would answer."""


@dataclass(frozen=True)
class Link:
    """The network of one pod."""

    network: int
    """The open file that holds its namespace."""
    address: str

    @property
    def path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self.network}"


async def ip(network: int, *lines: str) -> str:
    """Run lines of `ip` in a namespace and return what it says. Raises OSError.

    Whoever is cancelled waits no more.
    """
    words = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{network}", "ip", "-batch", "-"]
    done = await asyncio.to_thread(
        subprocess.run, words, input="\n".join(lines) + "\n", text=True, capture_output=True
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")
    return done.stdout


class Network:
    """All of it; `await Network.of(pods, services)` makes one."""

    def __init__(self, pods: str, services: str) -> None:
        self.pods = ipaddress.IPv4Network(pods)
        self.services = ipaddress.IPv4Network(services)
        self.router = kernel.new_network()
        self._mine = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._used: dict[str, Link] = {}
        self._next = 9

    @classmethod
    async def of(cls, pods: str, services: str) -> "Network":
        made = cls(pods, services)
        await made._cut_old()
        width, cable = made.pods.prefixlen, f"tk{os.getpid()}"
        await ip(
            made.router,
            # an address of its own: else it changes with the cables, and who knew it waits
            "link add br0 address 02:00:00:00:00:01 type bridge",
            "link set br0 up",
            "link set lo up",
            f"addr add {made.gateway}/{width} dev br0",
            f"route add local {services} dev lo",
            f"link add host type veth peer name {cable} netns /proc/{os.getpid()}/ns/net",
            "link set host master br0 up",
        )
        await ip(
            made._mine,
            f"addr add {made.machine}/{width} dev {cable}",
            f"link set {cable} up",
            f"route add {services} via {made.gateway}",
        )
        return made

    async def _cut_old(self) -> None:
        """Remove the cable of a kubelet that has ended, which the kernel may do much later."""
        said = await ip(self._mine, f"addr show to {self.machine}")
        for name in re.findall(r"^\d+: (tk\d+)@", said, re.MULTILINE):
            with suppress(OSError):  # it has gone meanwhile
                await ip(self._mine, f"link del {name}")

    @property
    def gateway(self) -> str:
        """Where the pods' names are resolved, and the way to Services."""
        return str(self.pods[1])

    @property
    def machine(self) -> str:
        """The address of the machine, thus of the tests."""
        return str(self.pods[2])

    async def join(self) -> Link:
        """Make the network of one more pod."""
        link = Link(kernel.new_network(), self._free())
        self._used[link.address] = link
        try:
            await self._wire(link)
        except BaseException:
            self.leave(link)
            raise
        return link

    async def _wire(self, link: Link) -> None:
        name = f"pod{int(ipaddress.IPv4Address(link.address)) - int(self.pods[0])}"
        await ip(
            self.router,
            f"link add {name} type veth peer name eth0 netns {link.path}",
            f"link set {name} master br0 up",
        )
        await ip(
            link.network,
            f"addr add {link.address}/{self.pods.prefixlen} dev eth0",
            "link set lo up",
            "link set eth0 up",
            f"route add default via {self.gateway}",
        )

    def leave(self, link: Link) -> None:
        """Give the network of a pod back, after a while in which latecomers are refused."""
        asyncio.get_running_loop().call_later(LATE, self._leave, link)

    def _leave(self, link: Link) -> None:
        if self._used.pop(link.address, None):
            os.close(link.network)

    def _free(self) -> str:
        size = self.pods.num_addresses
        for step in range(size):
            address = str(self.pods[10 + (self._next - 9 + step) % (size - 20)])
            if address not in self._used:
                self._next += step + 1
                return address
        raise OSError("no address is left for a pod")
