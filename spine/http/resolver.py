"""Connections of aiohttp that never go to an address that must not be reached."""

import aiohttp
from typing_extensions import override

from spine.http.egress import check_address, guarded_socket
from spine.http.nearby import nearby


class Resolver(aiohttp.ThreadedResolver):
    """Resolves names, less the addresses that must not be reached."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: int = 0
    ) -> list[aiohttp.abc.ResolveResult]:
        where, port = nearby(host, port) or (host, port)
        found = await super().resolve(where, port, family)  # type: ignore[arg-type]  # any family
        for one in found:
            check_address(host, one["host"])
        return found


def guarded_connector(limit: int = 0) -> aiohttp.TCPConnector:
    """Return the connector of a session; `limit` is how many connections it has, 0: any number."""
    return aiohttp.TCPConnector(limit=limit, resolver=Resolver(), socket_factory=guarded_socket)
