"""Objects that stand behind a URL: fetched with a bound, from where it is allowed."""

import aiohttp
from yarl import URL

from spine.errors import ConfigError
from spine.http.egress import check_host
from spine.http.resolver import guarded_connector

MOST = 512 * 1024
"""Bytes of a document; an object of Kubernetes cannot be much larger."""
SECONDS = 30.0


async def content_of(answer: aiohttp.ClientResponse, most: int) -> bytes:
    """Return what an answer holds, of a larger one the beginning: one byte more than `most`."""
    content = b""
    while len(content) <= most and not answer.content.at_eof():
        content += await answer.content.read(most + 1 - len(content))
    return content


async def fetch(address: str, *, verify: bool) -> str:
    """Return the text behind a URL. Raises ConfigError for what cannot be had."""
    url = URL(address)
    host = url.host or ""
    if url.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"fetching {address!r}: it is no URL of http or https")
    check_host(host, f"fetching {address}")
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    connector = guarded_connector(limit=1)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True) as client,
            client.get(url, ssl=verify, allow_redirects=False) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 -- as documented: nothing else
                raise ConfigError(f"fetching {address}: status {answer.status}, not 200")
            content = await content_of(answer, MOST)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        why = str(exc.__cause__ or exc) or type(exc).__name__
        raise ConfigError(f"fetching {address}: {why}") from exc
    if len(content) > MOST:
        raise ConfigError(f"fetching {address}: it is larger than {MOST // 1024} KiB")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"fetching {address}: it is no UTF-8") from None
