"""Parts of payloads that sources of messages share, byte for byte as Argo Events writes them."""

import base64
import hashlib
from collections.abc import Iterable, Mapping

from spine.errors import EventError
from spine.lang import EvaluationError, gojson


def base64_body(data: bytes) -> bytes:
    """Return data as a base64 string."""
    return b'"%b"' % base64.b64encode(data)


def json_body(data: bytes) -> bytes:
    """Return data that is JSON, numbers as they are spelled. Raises EventError if it is not."""
    try:
        return gojson.compact(data)
    except EvaluationError as exc:
        raise EventError(
            f"reading the body of a message: it is not JSON, and jsonBody is set: {exc}",
            hint="leave jsonBody away if messages are not JSON",
        ) from exc


def text(data: bytes) -> bytes:
    """Return data as a JSON string; a byte that is no UTF-8 becomes U+FFFD, as in Go."""
    return gojson.quote(data.decode(errors="surrogateescape"))


def metadata_member(metadata: Mapping[str, str]) -> bytes:
    """Return the member `metadata` with the comma before it; empty where there is none."""
    return b',"metadata":%b' % gojson.dumps(dict(metadata)) if metadata else b""


def event_id(parts: Iterable[str], content: bytes = b"") -> str:
    """Return the id of an event that is told from others by these parts and this content."""
    found = hashlib.blake2b("\x00".join(parts).encode(errors="surrogateescape"), digest_size=16)
    found.update(content)
    return found.hexdigest()
