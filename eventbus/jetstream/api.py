"""JetStream's own API: JSON requests and answers over a connection.

Configurations stay plain dicts in the server's terms, so that an update of a stream or consumer
keeps every setting that we do not know.
Reference: https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from eventbus.jetstream.connection import Connection
from spine.errors import BusError

SECONDS = 5.0
"""How long an answer may take."""
NANO = 1_000_000_000

NO_MESSAGE = 10037
NO_CONSUMER = 10014
NO_STREAM = 10059
STREAM_NAME_IN_USE = 10058
WRONG_SEQUENCES = frozenset({10071, 10164})
TOO_LARGE = 10054
NO_REPLICAS = 10074
"""`replicas > 1 not supported in non-clustered mode`."""
UNAVAILABLE = 10008


class ApiError(BusError):
    """The server understood and refused."""

    def __init__(self, message: str, status: int, reason: int) -> None:
        super().__init__(message)
        self.status = status
        """The server's `code`, as in HTTP."""
        self.reason = reason
        """The server's `err_code`."""


class Api:
    """Calls of `$JS.API.METHOD`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def call(
        self, method: str, body: Mapping[str, Any] | None = None, *, what: str
    ) -> dict[str, Any]:
        """Return the answer to a request. Raises ApiError, or BusError when there is none."""
        data = b"" if body is None else orjson.dumps(body)
        answer = await self.connection.request(
            f"$JS.API.{method}", data, seconds=SECONDS, what=what
        )
        try:
            found: dict[str, Any] = orjson.loads(answer.data)
        except orjson.JSONDecodeError as exc:
            raise BusError(f"{what}: the answer is not JSON") from exc
        if error := found.get("error"):
            why = error.get("description", "refused")
            raise ApiError(f"{what}: {why}", error.get("code", 0), error.get("err_code", 0))
        return found

    async def pages(self, method: str, key: str, *, what: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the entries of a list that comes in pages."""
        offset = 0
        while True:
            page = await self.call(method, {"offset": offset}, what=what)
            entries = page.get(key) or []
            for entry in entries:
                yield entry
            offset += len(entries)
            if not entries or offset >= page.get("total", 0):
                return

    async def stream(self, name: str) -> dict[str, Any] | None:
        """Return configuration and state of a stream, or None."""
        return await self._info(f"STREAM.INFO.{name}", NO_STREAM, f"looking up stream {name}")

    async def subjects(self, name: str) -> dict[str, int]:
        """Return the number of messages of a stream by subject; none where it is not there."""
        what, found = f"counting the messages of stream {name}", dict[str, int]()
        while True:
            body = {"subjects_filter": ">", "offset": len(found)}
            try:
                page = await self.call(f"STREAM.INFO.{name}", body, what=what)
            except ApiError as exc:
                if exc.reason == NO_STREAM:
                    return found
                raise
            before = len(found)
            found |= page.get("state", {}).get("subjects") or {}
            if len(found) == before or len(found) >= page.get("total", 0):
                return found

    async def consumer(self, stream: str, name: str) -> dict[str, Any] | None:
        """Return configuration and state of a consumer, or None where it or its stream is not."""
        what = f"looking up durable {name} of stream {stream}"
        return await self._info(f"CONSUMER.INFO.{stream}.{name}", NO_CONSUMER, what)

    async def _info(self, method: str, missing: int, what: str) -> dict[str, Any] | None:
        try:
            return await self.call(method, what=what)
        except ApiError as exc:
            if exc.reason in {missing, NO_STREAM}:
                return None
            raise


def nanoseconds(seconds: float) -> int:
    """Return a duration as the API has it."""
    return int(seconds * NANO)


def rfc3339(moment: float) -> str:
    """Return unix seconds as the API has them."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def unix(text: str) -> float:
    """Return the unix seconds of a time stamp of the API, whose fraction has nine digits."""
    head, _, rest = text.partition(".")
    if not rest:
        return datetime.fromisoformat(text).timestamp()
    digits = rest.rstrip("Z").split("+")[0].split("-")[0]
    zone = rest[len(digits) :]
    return datetime.fromisoformat(head + zone).timestamp() + float(f"0.{digits}")
