"""An HTTP server that answers 200 at once (or after a delay) and counts.

`GET /stats` gives `{"count", "bytes", "latencies_ms": [...]}` and empties the latencies. A body
that contains `"sent":` followed by unix seconds adds a latency.

Run: python -m benchmarks.sink PORT [DELAY_SECONDS]
"""

import asyncio
import json
import re
import sys
import time

import httptools
import uvloop

_SENT = re.compile(rb'"sent":"?([0-9.]+)')
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"


class Counter:
    """What all connections share."""

    def __init__(self, delay: float) -> None:
        self.delay, self.count, self.bytes = delay, 0, 0
        self.latencies: list[float] = []


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url, self._body = url, b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        counter = self._counter
        if self._url == b"/stats":
            stats = {
                "count": counter.count,
                "bytes": counter.bytes,
                "latencies_ms": counter.latencies,
            }
            counter.latencies = []
            text = json.dumps(stats).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text
            )
            return
        counter.count += 1
        counter.bytes += len(self._body)
        if match := _SENT.search(self._body):
            counter.latencies.append((time.time() - float(match[1])) * 1000)
        if counter.delay:
            asyncio.get_running_loop().call_later(counter.delay, self._transport.write, _OK)
        else:
            self._transport.write(_OK)


async def main(port: int, delay: float) -> None:
    """Serve until killed."""
    counter = Counter(delay)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counter), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
