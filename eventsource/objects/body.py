"""The JSON of an object on its way into an event, without decoding more than its first levels."""

import zlib
from collections.abc import Mapping

import msgspec

from spine.lang import gojson

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def without_managed_fields(raw: bytes) -> bytes:
    """Return an object without `metadata.managedFields`, which is most of many objects."""
    if b'"managedFields"' not in raw:
        return raw
    members = _decode(raw)
    metadata = _decode(members.get("metadata", msgspec.Raw(b"{}")))
    if metadata.pop("managedFields", None) is None:
        return raw
    members["metadata"] = msgspec.Raw(_encode(metadata))
    return _encode(members)


def outline(raw: bytes) -> bytes:
    """Return what is remembered of an object for the case that it is gone when we are back.

    That is its kind and its metadata, so that a deletion can be told with name, labels and
    annotations.
    """
    members = _decode(raw)
    metadata = _decode(members.get("metadata", msgspec.Raw(b"{}")))
    metadata.pop("managedFields", None)
    if "annotations" in metadata:
        annotations = _decode(metadata["annotations"])
        if annotations.pop(_LAST_APPLIED, None) is not None:
            metadata["annotations"] = msgspec.Raw(_encode(annotations))
    kept = {key: members[key] for key in ("apiVersion", "kind") if key in members}
    return _encode({**kept, "metadata": msgspec.Raw(_encode(metadata))})


class Bodies:
    """The last body of each object, packed; what UPDATE events tell as `oldBody`."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes] = {}

    def get(self, uid: str) -> bytes | None:
        """Return the last body of an object, None where it was not seen by this process."""
        packed = self._packed.get(uid)
        return None if packed is None else zlib.decompress(packed)

    def put(self, uid: str, raw: bytes) -> None:
        """Keep a body."""
        self._packed[uid] = zlib.compress(raw, 1)

    def pop(self, uid: str) -> None:
        """Forget an object."""
        self._packed.pop(uid, None)


class Observed:
    """One change of an object: the payload of its event.

    The members are those of Argo Events; `changes` is there where `onChange` is.
    """

    __slots__ = ("_body", "_changes", "_kind", "_metadata", "_old", "_type")

    def __init__(
        self,
        type: str,
        body: bytes,
        old: bytes | None,
        kind: tuple[str, str, str],
        metadata: Mapping[str, str],
        changes: bytes = b"",
    ) -> None:
        self._type, self._body, self._old = type, body, old
        self._kind, self._metadata, self._changes = kind, metadata, changes

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        group, version, resource = (gojson.quote(text) for text in self._kind)
        changes = b',"changes":%b' % self._changes if self._changes else b""
        metadata = b',"metadata":%b' % gojson.dumps(dict(self._metadata)) if self._metadata else b""
        return b'{"type":"%b","body":%b,"oldBody":%b,"group":%b,"version":%b,"resource":%b%b%b}' % (
            self._type.encode(),
            gojson.compact(self._body),
            b"null" if self._old is None else gojson.compact(self._old),
            group,
            version,
            resource,
            changes,
            metadata,
        )
