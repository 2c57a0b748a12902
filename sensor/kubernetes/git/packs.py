"""Packs of objects as a git server sends them, taken within bounds.

A pack lies in an unnamed file and is looked at before the library unfolds it: how many objects,
how large each says it is, and all together. So a small pack cannot become a large process.
"""

import mmap
import tempfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from dulwich.client import FetchPackResult, GitClient
from dulwich.object_format import get_object_format
from dulwich.objects import ObjectID, ShaFile
from dulwich.pack import MemoryPackIndex, Pack, PackData
from dulwich.refs import Ref

from spine.errors import ConfigError

OBJECTS = 250_000
"""Objects of a pack: more than the folders and files of the largest repositories."""
EACH = 32 * 1024 * 1024
"""Bytes of one object, unpacked."""
ALL = 256 * 1024 * 1024
"""Bytes of all of them, unpacked."""

Wants = Callable[[Mapping[bytes, bytes]], Sequence[bytes]]
"""Chooses, of the references that a server has, the ids of objects to fetch."""


@dataclass(slots=True)
class Objects:
    """The objects of one or several packs."""

    packs: list[Pack] = field(default_factory=list)
    size: int = 0
    """Bytes on disk."""

    def get(self, sha: bytes) -> ShaFile | None:
        """Return an object, None where it is not among these."""
        oid = ObjectID(sha)
        return next((pack[oid] for pack in self.packs if oid in pack), None)

    def add(self, more: "Objects") -> None:
        """Take over what others have."""
        self.packs += more.packs
        self.size += more.size

    def close(self) -> None:
        """Let go of the files."""
        for pack in self.packs:
            pack.close()
        self.packs.clear()


class _NoHistory:
    """Tells a server that nothing is here yet."""

    def __next__(self) -> None:
        return None

    def ack(self, sha: bytes) -> None:
        """Take note of nothing."""

    def nak(self) -> None:
        """Take note of nothing."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a server."""

    wants: Wants
    prefixes: Sequence[bytes]
    """Beginnings of the references that are of interest."""
    shallow: bool = True
    """Whether it is a commit without its history and files, not a single object."""
    largest: int = EACH
    """Bytes of the largest object."""


def fetch(
    client: GitClient, path: str, request: Request, what: str
) -> tuple[FetchPackResult, Objects]:
    """Return what a server says and sends; no objects where none were wanted.

    Raises ConfigError for what is too large, and whatever the library stumbles over.
    """

    def wants(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:  # noqa: ARG001 -- it is called with it
        known = {bytes(name): bytes(sha) for name, sha in refs.items()}
        return [ObjectID(one) for one in request.wants(known)]

    objects = Objects()
    with tempfile.TemporaryFile() as file:
        result = client.fetch_pack(
            path,
            wants,
            _NoHistory(),
            file.write,
            depth=1 if request.shallow else None,
            ref_prefix=list(request.prefixes),
            filter_spec=b"blob:none" if request.shallow else None,
        )
        file.flush()
        if file.tell():
            _add(objects, file, result.object_format or "sha1", request.largest, what)
    return result, objects


def _add(objects: Objects, file: IO[bytes], form: str, largest: int, what: str) -> None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        _check(content, 32 if form == "sha256" else 20, largest, what)
    data = PackData.from_file(file, get_object_format(form))
    try:
        pack = Pack.from_objects(data, MemoryPackIndex.for_pack(data))
    except BaseException:
        data.close()
        raise
    objects.packs.append(pack)
    objects.size += file.tell()


def _check(content: mmap.mmap, hash_bytes: int, largest: int, what: str) -> None:
    """Raise ConfigError for a pack that unpacks to too much."""
    if content[:4] != b"PACK":
        raise ConfigError(f"{what}: what the server sends is no pack")
    count = int.from_bytes(content[8:12], "big")
    if count > OBJECTS:
        raise ConfigError(f"{what}: it has {count} objects, more than {OBJECTS}")
    at, total = 12, 0
    for _ in range(count):
        at, size = _entry(content, at, hash_bytes, largest, what)
        total += size
        if total > ALL:
            raise ConfigError(f"{what}: it is larger than {ALL // 1024**2} MiB")


def _entry(
    content: mmap.mmap, at: int, hash_bytes: int, largest: int, what: str
) -> tuple[int, int]:
    """Return where an object of a pack ends, and what it unpacks to."""
    kind = content[at] >> 4 & 7
    size, shift = content[at] & 15, 4
    while content[at] & 128:
        at += 1
        size |= (content[at] & 127) << shift
        shift += 7
    at += 1
    if kind == 6:  # noqa: PLR2004 -- a change of an object so many bytes before
        while content[at] & 128:
            at += 1
        at += 1
    elif kind == 7:  # noqa: PLR2004 -- a change of an object with this id
        at += hash_bytes
    if size > largest:
        raise _large(size, largest, what)
    at, first = _end(content, at, size)
    if kind in {6, 7}:
        _, skipped = _number(first, 0)
        result, _ = _number(first, skipped)
        if result > largest:
            raise _large(result, largest, what)
        size += result
    return at, size


def _large(size: int, largest: int, what: str) -> ConfigError:
    return ConfigError(f"{what}: an object of {size} bytes is larger than {largest // 1024} KiB")


def _end(content: mmap.mmap, at: int, size: int) -> tuple[int, bytes]:
    """Return where deflated data of a known size ends, and its first bytes."""
    inflating, first = zlib.decompressobj(), b""
    while not inflating.eof:
        piece = content[at : at + 65536]
        if not piece:
            raise zlib.error("the pack ends in the middle of an object")
        at += len(piece)
        while piece and not inflating.eof:
            out = inflating.decompress(piece, 65536)
            first = first or out[:32]
            size -= len(out)
            if size < 0:
                raise zlib.error("an object is larger than it says")
            piece = inflating.unconsumed_tail
    return at - len(inflating.unused_data), first


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a size as changes of objects have it; return it and where it ends."""
    value, shift = 0, 0
    while data[at] & 128:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1
