"""What pods know each other by: names of Services, and addresses that lead to ready pods.

A DNS server at the bridge answers for `NAME.NAMESPACE.svc.cluster.local`: the address of the
Service, those of its pods where it is headless, `POD.NAME...` for one of them. Each port of a
Service's address leads, one connection after the other, to its ready pods; where there is none
nobody listens, as on a real node.
"""

import asyncio
import itertools
import logging
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from kubelet import kernel
from kubelet.network import Network
from kubelet.store import Manifest, Seen, Store, steadily

log = logging.getLogger(__name__)

SUFFIX = ".svc.cluster.local"
A, ANY = 1, 255


class Front(NamedTuple):
    """A port of a Service."""

    address: str
    port: int


class Back(NamedTuple):
    """A port of a pod."""

    address: str
    port: int


class Names:
    """Resolver and forwarders, as the Services are now."""

    def __init__(self, store: Store, network: Network, api: Back) -> None:
        self._store, self._network, self._api = store, network, api
        self._changed = asyncio.Event()
        self._changed.set()
        self._ports: dict[Front, Port] = {}

    def look(self, seen: Seen) -> None:
        """Look again where a change is one of names."""
        if seen.kind in {"Service", "EndpointSlice"}:
            self._changed.set()

    async def run(self) -> None:
        """Answer and forward for ever."""
        address = (self._network.gateway, 53)
        loop = asyncio.get_running_loop()
        sock = kernel.within(self._network.router, lambda: _bound(socket.SOCK_DGRAM, address))
        transport, _ = await loop.create_datagram_endpoint(lambda: _Dns(self), sock=sock)
        try:
            await steadily(self._changed, self._renew)
        finally:
            transport.close()
            for port in self._ports.values():
                port.close()

    # ------------------------------------------------------------------------ forwarding

    async def _renew(self) -> None:
        """Listen at each port of a Service that has a ready pod, and nowhere else."""
        wanted: dict[Front, list[Back]] = {}
        for service in self._store.all("Service"):
            address = service["spec"].get("clusterIP", "None")
            if address in {"None", ""}:
                continue
            for port in service["spec"].get("ports", []):
                if backs := self._backs(service, port):
                    wanted[Front(address, port["port"])] = backs
        for front in set(self._ports) - set(wanted):
            self._ports.pop(front).close()
        for front, backs in wanted.items():
            if front not in self._ports:
                self._ports[front] = await Port.open(front, backs, self._network.router)
            self._ports[front].lead(backs)

    def _backs(self, service: Manifest, port: Manifest) -> list[Back]:
        metadata = service["metadata"]
        if port.get("protocol", "TCP") != "TCP":
            return []
        if (metadata["namespace"], metadata["name"]) == ("default", "kubernetes"):
            return [self._api]
        return [
            Back(address, given["port"])
            for part in self._slices(metadata["namespace"], metadata["name"])
            for given in part.get("ports") or []
            if (given.get("name") or "") == (port.get("name") or "")
            for endpoint in part.get("endpoints") or []
            if endpoint.get("conditions", {}).get("ready")
            for address in endpoint["addresses"]
        ]

    def _slices(self, namespace: str, name: str) -> list[Manifest]:
        label = "kubernetes.io/service-name"
        return [
            part
            for part in self._store.all("EndpointSlice", namespace)
            if part["metadata"].get("labels", {}).get(label) == name
        ]

    # ------------------------------------------------------------------------ resolving

    def resolve(self, name: str) -> list[str] | None:
        """Return the addresses of a name; None where there is no such name."""
        if not name.endswith(SUFFIX):
            return None
        *host, service, namespace = ["", *name.removesuffix(SUFFIX).split(".")][-3:]
        found = self._store.get("Service", namespace, service)
        if found is None or len(name.removesuffix(SUFFIX).split(".")) > 3:
            return None
        address = found["spec"].get("clusterIP", "None")
        if address != "None" and not host[0]:
            return [address]
        pods = [
            address
            for part in self._slices(namespace, service)
            for endpoint in part.get("endpoints") or []
            if endpoint.get("conditions", {}).get("ready")
            and host[0] in {"", endpoint.get("hostname")}
            for address in endpoint["addresses"]
        ]
        return pods or None if host[0] else pods


class Port:
    """One port of a Service: what listens there, and where it leads."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._server: asyncio.Server | None = None
        self._backs: Iterator[Back] = iter(())
        self._given: list[Back] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def open(cls, front: Front, backs: list[Back], router: int) -> "Port":
        made = cls(front)
        made.lead(backs)
        sock = kernel.within(router, lambda: _bound(socket.SOCK_STREAM, tuple(front)))
        made._server = await asyncio.start_server(made._forward, sock=sock)
        return made

    def lead(self, backs: list[Back]) -> None:
        """Lead new connections to these, in turn."""
        if backs != self._given:
            self._given, self._backs = backs, itertools.cycle(backs)

    def close(self) -> None:
        """Take no more connections; those that there are stay."""
        if self._server:
            self._server.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back = next(self._backs)
        try:
            there, away = await asyncio.open_connection(*back)
        except OSError as exc:
            log.warning("%s leads to %s: %s", self._front, back, exc)
            writer.transport.abort()
            return
        try:
            await asyncio.gather(_pump(reader, away), _pump(there, writer), return_exceptions=True)
        finally:
            for one in (writer, away):
                one.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _bound(kind: int, address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(address)
    if kind == socket.SOCK_STREAM:
        sock.listen(128)
    return sock


class _Dns(asyncio.DatagramProtocol):
    """Answers questions for addresses."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        try:
            self._transport.sendto(answer(data, self._names.resolve), addr)
        except (struct.error, IndexError, UnicodeDecodeError) as exc:
            log.warning("a question that cannot be read: %s", exc)


def answer(question: bytes, resolve) -> bytes:
    """Return the answer to a question of DNS: addresses, nothing, or that there is no such name."""
    labels, at = [], 12
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode().lower())
        at += 1 + size
    kind = struct.unpack("!H", question[at + 1 : at + 3])[0]
    asked = question[12 : at + 5]
    found = resolve(".".join(labels))
    addresses = (found or []) if kind in {A, ANY} else []
    flags = 0x8580 if found is not None else 0x8583
    head = question[:2] + struct.pack("!HHHHH", flags, 1, len(addresses), 0, 0)
    records = b"".join(
        struct.pack("!HHHIH", 0xC00C, A, 1, 0, 4) + socket.inet_aton(one) for one in addresses[:25]
    )
    return head + asked + records
