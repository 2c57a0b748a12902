"""The bare loops that our figures are compared with.

`ingest PORT`: uvicorn with httptools, an application that reads the body and answers.
`drain BUS_CONFIG_JSON SINK_URL CONSUMER`: our puller and our HTTP client with a constant body; no
decoding, filter, transform, parameters, metrics or retries.

Run: python -m benchmarks.bare ingest 8000
"""

import asyncio
import json
import sys
from typing import Any

import uvloop


async def _application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"7")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"success"})


def ingest(port: int) -> None:
    """Serve the bare application."""
    import uvicorn

    uvicorn.run(
        _application,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


async def drain(config: dict[str, Any], url: str, durable: str) -> None:
    """Pull and post until killed."""
    import aiohttp

    from eventbus import open_bus
    from eventbus.bus import Message, Reader
    from eventbus.config import BusConfig
    from spine.secrets import GivenSecrets

    body = b'{"id":"k-123456","text":"' + b"x" * 64 + b'"}'
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        open_bus(BusConfig.model_validate(config), GivenSecrets()) as bus,
        aiohttp.ClientSession(connector=connector) as session,
    ):

        async def post(_: Message) -> None:
            async with session.post(url, data=body) as answer:
                await answer.read()

        reader = Reader(durable, ("default.bench.post",), start="all")
        await bus.consume(reader, post, in_flight=256)


if __name__ == "__main__":
    if sys.argv[1] == "ingest":
        ingest(int(sys.argv[2]))
    else:
        uvloop.install()
        asyncio.run(drain(json.loads(sys.argv[2]), sys.argv[3], sys.argv[4]))
