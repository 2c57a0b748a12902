# ruff: noqa: INP001, T201 -- a program to copy, in no package
"""A service of one's own that is an event source: it tells the time to whoever asks.

    pip install 'tocsin[grpc]'
    python generic_server.py 127.0.0.1:8080 change-me

An EventSource calls it with `url: 127.0.0.1:8080`, `insecure: true`, `jsonBody: true`, a `config`
with the seconds between two events, and an `authSecret` that holds `change-me`. In another
language, make the server of eventsource/generic/eventing.proto.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator

import grpc.aio

from eventsource.generic.protocol import handler


async def ticks(name: str, config: bytes) -> AsyncIterator[bytes]:
    """Give the data of one event after the other."""
    pause = float(config)
    while True:
        yield json.dumps({"event": name, "time": time.time()}).encode()
        await asyncio.sleep(pause)


async def main(address: str, token: str) -> None:
    """Serve until interrupted."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler(ticks, token),))
    port = server.add_insecure_port(address)
    await server.start()
    print(f"listening on port {port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
