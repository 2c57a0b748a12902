"""Names resolved for what is fetched: addresses that must not be reached are errors."""

import aiohttp
from typing_extensions import override

from spine.http.egress import check_address


class Resolver(aiohttp.ThreadedResolver):
    """Resolves names, less the addresses that must not be reached."""

    @override
    async def resolve(
        self, host: str, port: int = 0, family: int = 0
    ) -> list[aiohttp.abc.ResolveResult]:
        found = await super().resolve(host, port, family)  # type: ignore[arg-type]  # any family
        for one in found:
            check_address(host, one["host"])
        return found
