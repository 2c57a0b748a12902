"""What the API server asks, and what it is told: AdmissionReview of admission.k8s.io/v1.

Objects stay bytes here: whatever is in them is read in a process that may be killed. The answer
to a wrong object has a cause for each field, which kubectl prints as a list.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from spine.errors import ConfigError

VERSION = "admission.k8s.io/v1"
INVALID, BUSY = 422, 429
MOST_CAUSES = 20
"""Complaints in one refusal."""
MOST_CHARACTERS = 1_000
"""Of one complaint."""
MOST_WARNING = 250
"""Characters of a warning: the API server may cut longer ones."""
MOST_WARNINGS = 3_500
"""Characters of all warnings together: the API server keeps 4,096 bytes, of all webhooks."""


class Said(msgspec.Struct, frozen=True):
    """One thing to say of an object."""

    path: str
    """Where in the object, such as `spec.triggers[0].template`; may be empty."""
    message: str

    @property
    def text(self) -> str:
        """Path and message, as `lint` prints them."""
        return f"{self.path}: {self.message}" if self.path else self.message


class Kind(msgspec.Struct, frozen=True):
    """Kind of an object."""

    group: str = ""
    version: str = ""
    kind: str = ""


class Person(msgspec.Struct, frozen=True):
    """Who asks."""

    username: str = ""


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """What decides about an object before anybody looks into it."""

    name: str = ""
    generate_name: str = ""
    deletion_timestamp: str | None = None


class Head(msgspec.Struct, frozen=True):
    """An object whose spec has not been read."""

    metadata: Metadata = Metadata()
    spec: msgspec.Raw = msgspec.Raw(b"{}")


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """One question."""

    uid: str
    kind: Kind
    operation: str
    object: msgspec.Raw = msgspec.Raw(b"null")
    old_object: msgspec.Raw = msgspec.Raw(b"null")
    namespace: str = ""
    user_info: Person = Person()


class _Review(msgspec.Struct, frozen=True):
    request: Request


_read = msgspec.json.Decoder(_Review).decode
_head = msgspec.json.Decoder(Head | None).decode
_encode = msgspec.json.Encoder().encode


def read(body: bytes) -> Request:
    """Return the question of a request. Raises ConfigError."""
    try:
        return _read(body).request
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading an AdmissionReview: {exc}") from exc


def head(raw: msgspec.Raw) -> Head | None:
    """Return the outside of an object; None where there is none. Raises ConfigError."""
    try:
        found: Head | None = _head(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading the metadata of an object: {exc}") from exc
    return found


# ---------------------------------------------------------------------------- answers


def allowed(request: Request, warnings: Iterable[Said] = ()) -> bytes:
    """Let an object pass."""
    return _answer(request, {"allowed": True}, warnings)


def refused(
    request: Request, name: str, errors: Sequence[Said], warnings: Iterable[Said] = ()
) -> bytes:
    """Refuse an object because of what is in it."""
    causes = [
        {"reason": "FieldValueInvalid", "field": one.path, "message": one.message}
        for one in errors[:MOST_CAUSES]
    ]
    if len(errors) > MOST_CAUSES:
        said = "and more (tocsin lint tells all)"
        causes.append({"reason": "FieldValueInvalid", "field": "spec", "message": said})
    text = "; ".join(one.text for one in errors[:MOST_CAUSES])
    status = {
        "code": INVALID,
        "reason": "Invalid",
        "message": f"{request.kind.kind} {name!r} is not valid: {text}",
        "details": {
            "group": request.kind.group,
            "kind": request.kind.kind,
            "name": name,
            "causes": causes,
        },
    }
    return _answer(request, {"allowed": False, "status": status}, warnings)


def busy(request: Request, why: str) -> bytes:
    """Refuse an object because nobody could look at it just now."""
    status = {"code": BUSY, "reason": "TooManyRequests", "message": why}
    return _answer(request, {"allowed": False, "status": status}, ())


def _answer(request: Request, response: dict[str, Any], warnings: Iterable[Said]) -> bytes:
    response["uid"] = request.uid
    if said := bounded(one.text for one in warnings):
        response["warnings"] = said
    return _encode({"apiVersion": VERSION, "kind": "AdmissionReview", "response": response})


def bounded(warnings: Iterable[str]) -> list[str]:
    """Return warnings, each once, as many and as long as the API server passes on."""
    found = list(dict.fromkeys(_plain(one, MOST_WARNING) for one in warnings))
    told: list[str] = []
    left = MOST_WARNINGS
    for one in found:
        left -= len(one.encode())
        if left < 0:
            told.append("and more warnings (tocsin lint tells all)")
            break
        told.append(one)
    return told


def cut(text: str) -> str:
    """Return a text that is not too long to be told."""
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."


def _plain(text: str, most: int) -> str:
    """Return a text as one line that fits a header."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
