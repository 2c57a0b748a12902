"""Key-value buckets with compare-and-set.

A value is the last message of its subject. On a bucket with one replica it is read directly from
the server that wrote it; with several, from the leader, as a follower may be behind what this
process has just written. Deleting leaves no marker, so keys that come and go cost nothing.
"""

import re
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import Any

from typing_extensions import override

from eventbus.bus import Store
from eventbus.jetstream.api import NO_MESSAGE, NO_STREAM, SECONDS, Api, ApiError
from eventbus.jetstream.connection import NoAnswererError
from eventbus.jetstream.publisher import Publisher
from spine.errors import BusError, ConflictError

_UNSAFE = re.compile(rb"[^A-Za-z0-9_/.-]|^\.|\.(?=\.)|\.$")
_ESCAPED = re.compile(rb"=([0-9A-F]{2})")


def escape(key: str) -> str:
    """Return a key as a subject may have it; any text is a key."""
    return _UNSAFE.sub(lambda m: b"=%02X" % m[0][0], key.encode()).decode()


def unescape(token: str) -> str:
    """Undo `escape`."""
    return _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), token.encode()).decode()


class Bucket(Store):
    """A store in a stream of its own."""

    def __init__(
        self,
        name: str,
        api: Api,
        publisher: Publisher,
        ensure_stream: Callable[[str], Awaitable[dict[str, Any]]],
    ) -> None:
        self._name = name
        self._stream = f"KV_{name}"
        self._api = api
        self._publisher = publisher
        self._ensure_stream = ensure_stream
        self._single: bool | None = None

    @override
    async def get(self, key: str) -> tuple[bytes, int] | None:
        if not key:
            raise ValueError("a key is never empty")
        if self._single is None:
            info = await self._ensure_stream(self._stream)
            config = info["config"]
            self._single = config["num_replicas"] == 1 and bool(config.get("allow_direct"))
        subject = f"$KV.{self._name}.{escape(key)}"
        return await (self._direct(key, subject) if self._single else self._leader(key, subject))

    async def _direct(self, key: str, subject: str) -> tuple[bytes, int] | None:
        what = f"reading key {key!r} of bucket {self._name}"
        try:
            answer = await self._api.connection.request(
                f"$JS.API.DIRECT.GET.{self._stream}.{subject}", b"", seconds=SECONDS, what=what
            )
        except NoAnswererError:  # the bucket is gone, or came back without direct access
            self._single = None
            return await self._leader(key, subject)
        headers = answer.headers or {}
        if status := headers.get("Status"):
            if status == "404":
                return None
            raise BusError(f"{what}: {status} {headers.get('Description', '')}")
        if headers.get("KV-Operation"):  # deleted by another program
            return None
        return answer.data, int(headers["Nats-Sequence"])

    async def _leader(self, key: str, subject: str) -> tuple[bytes, int] | None:
        what = f"reading key {key!r} of bucket {self._name}"
        method, body = f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": subject}
        try:
            found = (await self._api.call(method, body, what=what))["message"]
        except ApiError as exc:
            if exc.reason == NO_STREAM:
                await self._ensure_stream(self._stream)
            elif exc.reason != NO_MESSAGE:
                raise
            return None
        if b"KV-Operation" in b64decode(found.get("hdrs", "")):
            return None
        return b64decode(found.get("data", "")), int(found["seq"])

    @override
    async def put(self, key: str, value: bytes, *, revision: int | None) -> int:
        if not key:
            raise ValueError("a key is never empty")
        subject = f"$KV.{self._name}.{escape(key)}"
        try:
            ack = await self._publisher.publish(self._stream, subject, value, expect=revision or 0)
        except ConflictError as exc:
            raise ConflictError(
                f"writing key {key!r} of bucket {self._name}: changed by another", retry_after=0
            ) from exc
        return ack.seq

    @override
    async def delete(self, key: str, *, revision: int | None = None) -> None:
        body: dict[str, Any] = {"filter": f"$KV.{self._name}.{escape(key)}"}
        if revision is not None:
            body["seq"] = revision + 1  # removes what is older than that
        what = f"deleting key {key!r} of bucket {self._name}"
        try:
            await self._api.call(f"STREAM.PURGE.{self._stream}", body, what=what)
        except ApiError as exc:
            if exc.reason != NO_STREAM:
                raise

    @override
    async def keys(self, prefix: str = "") -> list[str]:
        start = f"$KV.{self._name}."
        whole, dot, _ = escape(prefix + "x")[:-1].rpartition(".")
        body = {"subjects_filter": f"{start}{whole}{dot}>"}
        what = f"listing keys of bucket {self._name}"
        found: list[str] = []
        offset = 0
        while True:
            try:
                method = f"STREAM.INFO.{self._stream}"
                page = await self._api.call(method, body | {"offset": offset}, what=what)
            except ApiError as exc:
                if exc.reason == NO_STREAM:
                    return []
                raise
            subjects = page["state"].get("subjects") or {}
            found += [unescape(subject.removeprefix(start)) for subject in subjects]
            offset += len(subjects)
            if not subjects or offset >= page.get("total", 0):
                return sorted(key for key in found if key.startswith(prefix))
