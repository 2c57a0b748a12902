"""A NATS message, and the payload that is made of it."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from typing_extensions import override

from spine.lang import gojson

if TYPE_CHECKING:
    from nats.aio.client import Client

BETWEEN = "\r\n"
"""Stands between values of one header, as no value can hold it."""


class NatsMessage:
    """The payload of one message."""

    __slots__ = ("_body", "_header", "_metadata", "_subject")

    def __init__(
        self,
        subject: str,
        body: bytes,
        header: Mapping[str, list[str]] | None = None,
        metadata: bytes = b"",
    ) -> None:
        """Take `body` as JSON text; `metadata` is empty, or the member with its comma."""
        self._subject, self._body = subject, body
        self._header, self._metadata = header, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        header = b',"header":%b' % gojson.dumps(dict(self._header)) if self._header else b""
        subject = gojson.quote(self._subject)
        return b'{"subject":%b,"body":%b%b%b}' % (subject, self._body, header, self._metadata)


def header_of(headers: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Return the values of each header of a message."""
    return {name: value.split(BETWEEN) for name, value in (headers or {}).items()}


def client() -> "Client":
    """Return a client that keeps every value of a header that comes more than once."""
    return _kind()()


@cache
def _kind() -> "type[Client]":
    from nats.aio.client import Client

    class Keeping(Client):
        """The library keeps the last value alone; its version is pinned for this."""

        @staticmethod
        @override
        def _parse_header_lines(raw: bytes) -> dict[str, str]:
            found: dict[str, str] = {}
            for line in raw.split(b"\r\n"):
                for name, value in Client._parse_header_lines(line).items():  # noqa: SLF001 -- pinned
                    found[name] = found[name] + BETWEEN + value if name in found else value
            return found

    return Keeping
