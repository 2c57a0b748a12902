"""Finding a file in the folders of a commit, as a checkout would have it.

Links between folders are followed inside the repository; one that leads out of it, and a link in
place of the file itself, are refused, as there is nothing outside that is meant to be read.
"""

import difflib
import io
import stat
from collections.abc import Callable
from dataclasses import dataclass

from dulwich.config import ConfigFile, parse_submodules
from dulwich.objects import S_ISGITLINK, Blob, Commit, ShaFile, Tag, Tree

from spine.errors import ConfigError

LINKS = 10
"""Links that are followed for one path."""
TAGS = 5
"""Tags of tags."""

Get = Callable[[bytes], ShaFile]
"""Returns the object with an id. Raises ConfigError where there is none."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The file is in a submodule."""

    url: str
    commit: bytes
    path: str


def commit_of(get: Get, sha: bytes, what: str) -> Commit:
    """Return the commit that an id stands for, by itself or through tags. Raises ConfigError."""
    found = get(sha)
    for _ in range(TAGS):
        if not isinstance(found, Tag):
            break
        found = get(found.object[1])
    if not isinstance(found, Commit):
        raise ConfigError(f"{what}: {sha.decode()} is a {found.type_name.decode()}, no commit")
    return found


def file_of(get: Get, commit: Commit, path: str, what: str) -> bytes | Elsewhere:
    """Return what a file of a commit holds, or in which submodule it is. Raises ConfigError."""
    return _Walk(get, commit, what).follow(path)


class _Walk:
    """The way from a commit's root to a file."""

    def __init__(self, get: Get, commit: Commit, what: str) -> None:
        self._get, self._what = get, f"{what} at {commit.id[:10].decode()}"
        self._folders = [self._folder(commit.tree)]
        self._names: list[bytes] = []
        self._links = 0

    def follow(self, path: str) -> bytes | Elsewhere:
        todo = _parts(path.encode())
        while todo:
            name = todo.pop(0)
            if name == b"..":
                self._up()
                continue
            mode, sha = self._entry(name)
            if stat.S_ISLNK(mode):
                todo = self._link(name, sha, todo)
            elif S_ISGITLINK(mode):
                return self._submodule(name, sha, todo)
            elif stat.S_ISDIR(mode):
                self._names.append(name)
                self._folders.append(self._folder(sha))
            elif todo:
                raise ConfigError(f"{self._what}: {self._shown(name)} is a file, not a folder")
            else:
                return self._blob(sha)
        raise ConfigError(f"{self._what}: it is a folder", hint="name the file in it")

    def _up(self) -> None:
        if not self._names:
            raise ConfigError(f"{self._what}: a link leads out of the repository")
        self._names.pop()
        self._folders.pop()

    def _entry(self, name: bytes) -> tuple[int, bytes]:
        here = self._folders[-1]
        try:
            return here[name]
        except KeyError:
            names = [one.decode(errors="replace") for one in here]
            near = difflib.get_close_matches(name.decode(), names, 1)
            hint = f"did you mean {near[0]}" if near else f"there is {', '.join(names[:10])}"
            raise ConfigError(f"{self._what}: there is no {self._shown(name)}", hint=hint) from None

    def _link(self, name: bytes, sha: bytes, todo: list[bytes]) -> list[bytes]:
        target = self._blob(sha)
        if not todo:
            raise ConfigError(
                f"{self._what}: it is a symbolic link, and no file",
                hint=f"name what it leads to: {target.decode(errors='replace')}",
            )
        self._links += 1
        if self._links > LINKS:
            raise ConfigError(f"{self._what}: more than {LINKS} links, as in a circle")
        if target.startswith(b"/"):
            raise ConfigError(f"{self._what}: link {self._shown(name)} leads out of the repository")
        return _parts(target) + todo

    def _submodule(self, name: bytes, sha: bytes, todo: list[bytes]) -> Elsewhere:
        place = b"/".join([*self._names, name])
        if not todo:
            raise ConfigError(f"{self._what}: it is a submodule", hint="name the file in it")
        try:
            _, config = self._folders[0][b".gitmodules"]
            modules = parse_submodules(ConfigFile.from_file(io.BytesIO(self._blob(config))))
            url = next(url for path, url, _ in modules if path == place)
        except (KeyError, StopIteration, ValueError):
            raise ConfigError(
                f"{self._what}: .gitmodules has no URL of submodule {place.decode()}"
            ) from None
        return Elsewhere(url.decode(), sha, b"/".join(todo).decode())

    def _folder(self, sha: bytes) -> Tree:
        found = self._get(sha)
        if not isinstance(found, Tree):
            raise ConfigError(f"{self._what}: {sha.decode()} is no folder")
        return found

    def _blob(self, sha: bytes) -> bytes:
        found = self._get(sha)
        if not isinstance(found, Blob):
            raise ConfigError(f"{self._what}: {sha.decode()} is no file")
        return found.data

    def _shown(self, name: bytes) -> str:
        return b"/".join([*self._names, name]).decode(errors="replace")


def _parts(path: bytes) -> list[bytes]:
    return [part for part in path.split(b"/") if part not in {b"", b"."}]
