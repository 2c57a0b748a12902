"""The target of a storm, a process of its own that survives: counts effects, and misbehaves.

`python target.py ADDRESS PORT`. Told what to do by JSON lines on stdin; answers on stdout. It
keeps a byte and a moment for each event, so a million of them is little.
"""

import asyncio
import json
import sys
import time
from array import array
from collections import Counter
from typing import Any

RETRY_EVERY = 50
"""Every so manieth event has a trigger with a `retryStrategy`."""
GIVES_IN = (0, 1, 2, None, None)
"""Attempts in vain before that of such an event succeeds, None for never."""
PAIRS_KEPT = 400_000


def vain(number: int) -> int | None:
    """Return how many attempts of an event's retried trigger fail; None for all."""
    return GIVES_IN[number // RETRY_EVERY % len(GIVES_IN)]


class Effects:
    """The effects of one path, by number."""

    def __init__(self) -> None:
        self.counts = bytearray()
        self.first: array[float] = array("d")
        self.again: list[tuple[int, float, float, bool]] = []
        """Number, first time, this time, whether an answer was withheld before."""
        self.unanswered: set[int] = set()

    def add(self, number: int, now: float) -> None:
        if number >= len(self.counts):
            more = number + 1 - len(self.counts) + 65_536
            self.counts.extend(bytes(more))
            self.first.extend([0.0] * more)
        count = self.counts[number]
        if count == 0:
            self.first[number] = now
        else:
            self.again.append((number, self.first[number], now, number in self.unanswered))
        self.counts[number] = min(count + 1, 255)

    def missing(self, since: int, upto: int, step: int, most: int) -> list[int]:
        """Return the first numbers without an effect, of a range."""
        have = self.counts[since:upto:step].ljust(len(range(since, upto, step)), b"\0")
        found: list[int] = []
        at = have.find(0)
        while at >= 0 and len(found) < most:
            found.append(since + at * step)
            at = have.find(0, at + 1)
        return found


class Target:
    """Answers requests, in the mode that was asked for."""

    def __init__(self) -> None:
        self.mode = "well"
        self.effects: dict[str, Effects] = {}
        self.attempts: Counter[int] = Counter()
        self.pairs: dict[str, list[float]] = {}
        self.buckets: Counter[int] = Counter()
        """Effects in each tenth of a second."""
        self.requests = self.wrong = 0
        self.ends: set[Connection] = set()
        self._flip = False

    def take(self, path: str, body: bytes, connection: "Connection") -> None:
        """Take one request."""
        self.requests += 1
        now = time.time()
        mode = self.mode
        if mode == "500":
            connection.answer(500)
            return
        if mode == "hang":
            return
        if mode == "reset":
            self._flip = not self._flip
            if self._flip:
                self._effect(path, body, now, answered=False)
            connection.abort()
            return
        connection.answer(self._effect(path, body, now, answered=True))

    def _effect(self, path: str, body: bytes, now: float, *, answered: bool) -> int:
        try:
            data = json.loads(body)
            if path.startswith("/pair"):
                self._pair(path, data, now)
                return 200
            number = int(data["n"])
        except (ValueError, KeyError, TypeError):
            self.wrong += 1
            return 400
        if path == "/retry":
            self.attempts[number] += 1
            fails = vain(number)
            if fails is None:
                return 400 if number // RETRY_EVERY % 2 else 500
            if self.attempts[number] <= fails:
                return 503
        effects = self.effects.setdefault(path, Effects())
        effects.add(number, now)
        if not answered:
            effects.unanswered.add(number)
        self.buckets[int(now * 10)] += 1
        return 200

    def _pair(self, path: str, data: dict[str, Any], now: float) -> None:
        key = f"{path} {data['a']} {data['b']}"
        if len(self.pairs) < PAIRS_KEPT or key in self.pairs:
            self.pairs.setdefault(key, []).append(now)
        say({"pair": [path, int(data["a"]), int(data["b"])]})

    def set_mode(self, mode: str) -> None:
        self.mode = mode
        if mode in {"well", "reset"}:  # what hangs is cut off
            for connection in list(self.ends):
                if connection.waiting:
                    connection.abort()

    def asked(self, line: dict[str, Any]) -> Any:  # noqa: PLR0911 -- one for each question
        match line["ask"]:
            case "mode":
                self.set_mode(line["mode"])
                return self.mode
            case "missing":
                effects = self.effects.get(line["path"]) or Effects()
                return effects.missing(line["since"], line["upto"], line["step"], line["most"])
            case "counts":
                done = {path: len(e.counts) - e.counts.count(0) for path, e in self.effects.items()}
                return {"done": done, "requests": self.requests, "wrong": self.wrong}
            case "after":  # the first tenth of a second with an effect after a moment
                later = [at for at in self.buckets if at >= line["since"] * 10]
                return min(later) / 10 if later else None
            case "again":
                return {path: e.again for path, e in self.effects.items()}
            case "pairs":
                return self.pairs
            case "have":
                effects = self.effects.get(line["path"]) or Effects()
                return [n for n in line["numbers"] if any(effects.counts[n : n + 1])]
        raise ValueError(line)


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, target: Target) -> None:
        self._target, self._data = target, b""
        self._transport: asyncio.Transport | None = None
        self.waiting = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._target.ends.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._target.ends.discard(self)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            head, mark, rest = self._data.partition(b"\r\n\r\n")
            if not mark:
                return
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self._data = rest[length:]
            self.waiting = True
            self._target.take(head.split(b" ", 2)[1].decode(), rest[:length], self)

    def answer(self, status: int) -> None:
        self.waiting = False
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def say(line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def main(address: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    target = Target()
    server = await loop.create_server(lambda: Connection(target), address, port)
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say({"ready": True})
    while line := await reader.readline():
        asked = json.loads(line)
        say({"answer": asked["id"], "value": target.asked(asked)})
    server.close()


if __name__ == "__main__":
    try:
        import uvloop

        run = uvloop.run
    except ImportError:
        run = asyncio.run
    run(main(sys.argv[1], int(sys.argv[2])))
