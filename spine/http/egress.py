"""Where a process may fetch objects from.

Events may choose an address by parameters, so what a process may fetch is not left to them:
addresses of the machine's own link, where clouds hand out credentials, are refused, and
TOCSIN_EGRESS names the hosts that are allowed, such as `raw.example.com,*.internal.example`.
"""

import ipaddress
import os
from fnmatch import fnmatchcase

from spine.errors import ConfigError

_CREDENTIALS = ipaddress.ip_address("fd00:ec2::254")
"""Where machines of AWS ask for credentials by IPv6; no address of a link, but alike."""


class Refused(OSError):
    """A host has an address that must not be reached."""


def check_address(host: str, address: str) -> None:
    """Raise Refused for an address of a host that must not be reached."""
    if refused(address):
        raise Refused(f"{host} has the address {address}, which is never fetched from")


def refused(host: str) -> bool:
    """Return whether a host is an address that is never fetched from."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local or address == _CREDENTIALS


def allowed(host: str) -> bool:
    """Return whether TOCSIN_EGRESS allows a host; it allows all where it is not set."""
    patterns = [p.strip() for p in os.environ.get("TOCSIN_EGRESS", "").split(",") if p.strip()]
    return not patterns or any(fnmatchcase(host.lower(), p.lower()) for p in patterns)


def check_host(host: str, what: str) -> None:
    """Raise ConfigError where a host may not be asked; `what` is what was being done."""
    if not allowed(host):
        raise ConfigError(f"{what}: TOCSIN_EGRESS does not allow {host}")
    if refused(host):
        raise ConfigError(f"{what}: this address is never fetched from")
