"""Objects that stand behind a URL: fetched with a bound, from where it is allowed.

Events may choose a URL by parameters, so what a process may fetch is not left to them: addresses
of the machine's own link, where clouds hand out credentials, are refused, and TOCSIN_EGRESS names
the hosts that are allowed, such as `raw.example.com,*.internal.example`.
"""

import ipaddress
import os
from fnmatch import fnmatchcase

import aiohttp
from typing_extensions import override
from yarl import URL

from spine.errors import ConfigError

MOST = 512 * 1024
"""Bytes of a document; an object of Kubernetes cannot be much larger."""
SECONDS = 30.0


class Refused(OSError):
    """A host has an address that must not be reached."""


class _Resolver(aiohttp.ThreadedResolver):
    """Resolves names, less the addresses that must not be reached."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: int = 0
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await super().resolve(host, port, family)  # type: ignore[arg-type]  # any family
        for one in found:
            if refused(one["host"]):
                raise Refused(f"{host} has the address {one['host']}, which is never fetched from")
        return found


def refused(host: str) -> bool:
    """Return whether a host is an address that is never fetched from."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_link_local


def allowed(host: str) -> bool:
    """Return whether TOCSIN_EGRESS allows a host; it allows all where it is not set."""
    patterns = [p.strip() for p in os.environ.get("TOCSIN_EGRESS", "").split(",") if p.strip()]
    return not patterns or any(fnmatchcase(host.lower(), p.lower()) for p in patterns)


async def fetch(address: str, *, verify: bool) -> str:
    """Return the text behind a URL. Raises ConfigError for what cannot be had."""
    url = URL(address)
    host = url.host or ""
    if url.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"fetching {address!r}: it is no URL of http or https")
    if not allowed(host):
        raise ConfigError(f"fetching {address}: TOCSIN_EGRESS does not allow {host}")
    if refused(host):
        raise ConfigError(f"fetching {address}: this address is never fetched from")
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    connector = aiohttp.TCPConnector(resolver=_Resolver(), limit=1)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as client,
            client.get(url, ssl=verify, allow_redirects=False) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 -- as documented: nothing else
                raise ConfigError(f"fetching {address}: status {answer.status}, not 200")
            content = await answer.content.read(MOST + 1)
            while len(content) <= MOST and not answer.content.at_eof():
                content += await answer.content.read(MOST + 1 - len(content))
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        why = str(exc.__cause__ or exc) or type(exc).__name__
        raise ConfigError(f"fetching {address}: {why}") from exc
    if len(content) > MOST:
        raise ConfigError(f"fetching {address}: it is larger than {MOST // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"fetching {address}: it is no UTF-8") from None
