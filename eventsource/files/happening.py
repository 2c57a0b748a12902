"""What happens to files, in the words of Argo Events, and which files count.

An event has one bit of `op`: CREATE 1, WRITE 2, REMOVE 4, RENAME 8, CHMOD 16.
"""

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Self

from pydantic import field_validator, model_validator

from spine.errors import ConfigError
from spine.lang import gojson, regex
from spine.model import Model, warn

CREATE, WRITE, REMOVE, RENAME, CHMOD = 1, 2, 4, 8, 16
OPS: Mapping[str, int] = {
    "CREATE": CREATE,
    "WRITE": WRITE,
    "REMOVE": REMOVE,
    "RENAME": RENAME,
    "CHMOD": CHMOD,
    "MOVE": 0,
}
"""The words of `eventType`; MOVE is one of Argo Events' polling, and never happens."""


class FileEvent:
    """The payload of one event."""

    __slots__ = ("_metadata", "_name", "_op")

    def __init__(self, name: str, op: int, metadata: bytes = b"null") -> None:
        """Take `metadata` as JSON text; it is null where there is none."""
        self._name, self._op, self._metadata = name, op, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        name = gojson.quote(self._name)
        return b'{"name":%b,"op":%d,"metadata":%b}' % (name, self._op, self._metadata)


def metadata_value(metadata: Mapping[str, str]) -> bytes:
    """Return the member `metadata` of a payload; null where there is none."""
    return gojson.dumps(dict(metadata)) if metadata else b"null"


def check_type(event_type: str, possible: int) -> str:
    """Return an `eventType` that is one of ours. Raises ValueError.

    `possible` has the bits of what can happen at all; what cannot is taken with a warning.
    """
    words = [word.strip() for word in event_type.split("|")]
    for word in words:
        if word.upper() not in OPS:
            msg = f"{word!r} is none of {', '.join(OPS)}"
            raise ValueError(msg)
    if len(words) > 1 or event_type != event_type.upper():
        warn(f"eventType: {event_type}: Argo Events never matches it; Tocsin does")
    if never := [word for word in words if not OPS[word.upper()] & possible]:
        warn(f"eventType: {' and '.join(never)} never happens here: no event comes of it")
    return event_type


def mask_of(event_type: str) -> int:
    """Return the bits of what becomes an event."""
    mask = 0
    for word in event_type.split("|"):
        mask |= OPS[word.strip().upper()]
    return mask


class WatchPathConfig(Model):
    """A directory, and which of the files in it count."""

    directory: str
    """The directory, an absolute path; what is in its sub-directories is not watched."""
    path: str = ""
    """Name of the one file that counts."""
    path_regexp: str = ""
    """Which files count: a regular expression (RE2) that matches anywhere in their name."""

    @field_validator("directory")
    @classmethod
    def _absolute(cls, directory: str) -> str:
        if not directory.startswith("/"):
            raise ValueError("must be an absolute path, beginning with a slash")
        return directory

    @field_validator("path_regexp")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            regex.compile(text)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return text

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.path) == bool(self.path_regexp):
            msg = "needs path or pathRegexp, and not both, to know which files count"
            raise ValueError(msg)
        if self.path.startswith("/"):
            raise ValueError("path: must be relative to directory, without a slash in front")
        if "/" in self.path:
            warn(f"path: {self.path}: never matches, as sub-directories are not watched")
        return self

    @property
    def folder(self) -> str:
        """The directory without what a path can do without; `/` ends no other than itself."""
        return "/" + posixpath.normpath(self.directory).strip("/")

    @property
    def says_slash(self) -> bool:
        """Whether the directory is written with a slash at its end."""
        return self.directory.endswith("/")

    def by_name(self) -> Callable[[str], bool]:
        """Return what says whether a file of a name counts."""
        if self.path:
            return self.path.__eq__
        return regex.compile(self.path_regexp).search

    def by_rest(self) -> Callable[[str], bool]:
        """Return what says so as a watch of Argo Events does: by the path less `directory`.

        Without a slash at the end of `directory` the rest has one in front, so that `path` and
        `^x` never match there; here they do, and `^/x` does, too.
        """
        by_name = self.by_name()
        if self.says_slash or self.path:
            return by_name
        return lambda name: by_name(name) or by_name(f"/{name}")

    def warn_of_slash(self) -> None:
        """Tell during a load what Argo Events never matches."""
        if not self.says_slash and (self.path or re.match(r"\^(?!/)", self.path_regexp)):
            warn(f"directory: write {self.directory}/: Argo Events matches nothing without it")
