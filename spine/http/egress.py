"""Where a process may go by HTTP.

Events may choose an address by parameters, and who writes a manifest need not be trusted with the
machine that runs it. So addresses of the machine's own link, and those at which clouds hand out
credentials, are refused wherever they turn up: in a URL, behind a name, in a redirect, as a proxy,
written as IPv6. Two variables of the process say more:

    TOCSIN_EGRESS            the only hosts that are allowed: `raw.example.com,*.internal.example`
    TOCSIN_EGRESS_ADDRESSES  addresses that are allowed all the same: `169.254.20.10`
"""

import ipaddress
import os
import socket
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from spine.errors import ConfigError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CREDENTIALS = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google Cloud
        "fd00:42::42",  # Scaleway
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure, from a node's own network
        "192.0.0.192",  # Oracle Cloud
    )
)
"""Where machines ask for credentials at addresses that are of no link."""
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""IPv6 with an IPv4 address as its end: what NAT64 translates (RFC 6052), and the old compatible
form (RFC 4291)."""


class Refused(OSError):
    """A host has an address that must not be reached."""


def check_address(host: str, address: str) -> None:
    """Raise Refused for an address of a host that must not be reached."""
    if refused(address):
        raise Refused(f"{host} has the address {address}, which is never fetched from")


def refused(host: str) -> bool:
    """Return whether a host is an address that is never fetched from; a name is none."""
    address = _address(host)
    return address is not None and any(_is_refused(one) for one in _meant(address))


@lru_cache(maxsize=1024)
def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _is_refused(address: Address) -> bool:
    if not (address.is_link_local or address in _CREDENTIALS):
        return False
    return str(address) not in _listed("TOCSIN_EGRESS_ADDRESSES")


def _meant(address: Address) -> Iterator[Address]:
    """Yield an address and the IPv4 addresses that it is another form of."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    for inner in (address.ipv4_mapped, address.sixtofour):
        if inner is not None:
            yield inner
    if any(address in network for network in _TRANSLATED):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def allowed(host: str) -> bool:
    """Return whether TOCSIN_EGRESS allows a host; it allows all where it is not set."""
    patterns = _listed("TOCSIN_EGRESS")
    return not patterns or any(fnmatchcase(host.lower(), p.lower()) for p in patterns)


def _listed(variable: str) -> list[str]:
    return [p.strip() for p in os.environ.get(variable, "").split(",") if p.strip()]


def check_host(host: str, what: str) -> None:
    """Raise ConfigError where a host may not be asked; `what` is what was being done."""
    if not allowed(host):
        raise ConfigError(f"{what}: TOCSIN_EGRESS does not allow {host}")
    if refused(host):
        raise ConfigError(f"{what}: this address is never fetched from")


def guarded_socket(found: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an entry of getaddrinfo, to be connected to its address.

    It is the last look before a connection, whatever named the address: a URL, a name that meant
    something else a moment ago, a proxy. Raises Refused.
    """
    family, kind, protocol, _, place = found
    check_address(str(place[0]), str(place[0]))
    return socket.socket(family, kind, protocol)
