"""The objects of one commit, as far as they have been fetched; all of it runs in a thread."""

import contextlib
from collections.abc import Iterator, Mapping

from dulwich.client import GitClient
from dulwich.objects import Commit, ShaFile

from sensor.kubernetes.git.http import http_client
from sensor.kubernetes.git.line import Line
from sensor.kubernetes.git.packs import Objects, Request, fetch
from sensor.kubernetes.git.place import Auth, Place
from sensor.kubernetes.git.tree import Elsewhere, commit_of, file_of
from sensor.kubernetes.git.wanted import Wanted
from spine.errors import ConfigError, Fault

MOST = 1024 * 1024
"""Bytes of a file; an object of Kubernetes cannot be much larger."""
SINGLE = 64
"""Files fetched one by one and kept for a commit."""


@contextlib.contextmanager
def _client(place: Place, auth: Auth, line: Line) -> Iterator[tuple[GitClient, str]]:
    """Yield a client; what the library stumbles over becomes a ConfigError."""
    if place.scheme == "ssh":
        from sensor.kubernetes.git.ssh import ssh_client as opening
    else:
        opening = http_client  # type: ignore[assignment]  # both give a client and a path
    try:
        with opening(place, auth, line) as (client, path):
            yield client, path
    except (Fault, ImportError):
        raise
    except Exception as exc:  # a server may say anything, and the library stumbles in many ways
        raise ConfigError(f"{line.what}: {_why(exc)}") from exc


def _why(exc: BaseException) -> str:
    """Return the innermost words of a failure."""
    while (inner := exc.__cause__ or exc.__context__) is not None and isinstance(inner, OSError):
        exc = inner
    for one in exc.args:
        if isinstance(one, OSError):
            return _why(one)
    return str(exc) or type(exc).__name__


class Snapshot:
    """One commit of a repository."""

    def __init__(self, sha: bytes, objects: Objects) -> None:
        self.sha = sha
        """Id of what was asked for: a commit, or a tag of one."""
        self._objects = objects
        self._single: list[Objects] = []

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._objects.size + sum(one.size for one in self._single)

    def close(self) -> None:
        """Let go of the files."""
        self._objects.close()
        for one in self._single:
            one.close()
        self._single.clear()

    def read(self, place: Place, auth: Auth, line: Line, path: str) -> bytes | Elsewhere:
        """Return what a file holds, fetching it where it was left out. Raises ConfigError."""

        def get(sha: bytes) -> ShaFile:
            for objects in (self._objects, *self._single):
                found = objects.get(sha)
                if found is not None:
                    return found
            return self._fetched(place, auth, line, sha)

        commit: Commit = commit_of(get, self.sha, line.what)
        content = file_of(get, commit, path, line.what)
        if isinstance(content, bytes) and len(content) > MOST:
            raise ConfigError(f"{line.what}: it is larger than {MOST // 1024} KiB")
        return content

    def _fetched(self, place: Place, auth: Auth, line: Line, sha: bytes) -> ShaFile:
        request = Request(lambda _: [sha], [b"refs/none/"], shallow=False, largest=MOST)
        with _client(place, auth, line) as (client, path):
            _, objects = fetch(client, path, request, line.what)
        if len(self._single) >= SINGLE:
            self._single.pop(0).close()
        self._single.append(objects)
        found = objects.get(sha)
        if found is None:
            raise ConfigError(f"{line.what}: the server does not send {sha.decode()}")
        return found


def look(
    place: Place, auth: Auth, line: Line, wanted: Wanted, known: Snapshot | None
) -> Snapshot | None:
    """Return the commit that is meant now; None where it is the one that is known.

    Raises ConfigError.
    """
    chosen = b""

    def wants(references: Mapping[bytes, bytes]) -> list[bytes]:
        nonlocal chosen
        chosen = wanted.of(references, line.what)
        return [] if known is not None and known.sha == chosen else [chosen]

    with _client(place, auth, line) as (client, path):
        _, objects = fetch(client, path, Request(wants, wanted.prefixes), line.what)
    if known is not None and known.sha == chosen:
        return None
    return Snapshot(chosen, objects)
