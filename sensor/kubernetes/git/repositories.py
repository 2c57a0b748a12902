"""Repositories that are read from, each looked at once for all who ask at a time.

Whoever asks gets the commit that a look began after their asking has found, so an event about a
push is never answered with what was there before. Only a commit that moved is fetched.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sensor.artifact import GitArtifact
from sensor.kubernetes.git.github import Tokens
from sensor.kubernetes.git.line import Line
from sensor.kubernetes.git.place import Auth, Place, place_of
from sensor.kubernetes.git.snapshot import Snapshot, look
from sensor.kubernetes.git.tree import Elsewhere
from sensor.kubernetes.git.wanted import Missing, Wanted, wanted_of
from spine.errors import ConfigError
from spine.http.egress import check_host
from spine.secrets import SecretRef, Secrets

T = TypeVar("T")

SECONDS = 60.0
"""For one document, with all submodules on the way."""
AT_ONCE = 4
"""Conversations with servers; each takes a thread."""
KEPT = 16
"""Commits that are kept, of different repositories or branches."""
KEPT_BYTES = 256 * 1024 * 1024
"""Bytes of all that is kept."""
DEEP = 5
"""Submodules of submodules."""
LFS = "version https://git-lfs.github.com/spec/"


@dataclass(slots=True)
class _Kept:
    """What is known of one branch, tag or commit of a repository."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    snapshot: Snapshot | None = None
    looked: float = float("-inf")
    """When the look began that found it; monotonic."""
    users: int = 0
    """How many are at it, or wait to be."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one asks for, and when."""

    place: Place
    auth: Auth
    wanted: Wanted
    path: str
    at: float


class Repositories:
    """What this process knows of repositories."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Place, str, Wanted], _Kept] = OrderedDict()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tokens = Tokens()

    def close(self) -> None:
        """Let go of everything."""
        for kept in self._kept.values():
            if kept.snapshot is not None:
                kept.snapshot.close()
        self._kept.clear()

    async def read(self, artifact: GitArtifact, secrets: Secrets) -> str:
        """Return the text of a file. Raises ConfigError for what cannot be had."""
        at, places = time.monotonic(), places_of(artifact)
        what = f"reading {artifact.file_path} of {places[0].url}"
        try:
            async with asyncio.timeout(SECONDS):
                content = await self._first(artifact, places, secrets, at)
        except TimeoutError as exc:
            raise ConfigError(f"{what}: it took longer than {SECONDS:.0f} s") from exc
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise ConfigError(f"{what}: it is no UTF-8") from None
        if text.startswith(LFS):
            raise ConfigError(
                f"{what}: git has only a pointer to it, its content is in LFS",
                hint="take the file out of LFS",
            )
        return text

    async def _first(
        self, artifact: GitArtifact, places: list[Place], secrets: Secrets, at: float
    ) -> bytes:
        """Read from the first place that has the reference: another remote, then the URL."""
        wanted = wanted_of(artifact)
        for place in places[:-1]:
            try:
                auth = await self._auth(artifact, place, secrets)
                return await self._read(_Asked(place, auth, wanted, artifact.file_path, at))
            except Missing:
                continue
        auth = await self._auth(artifact, places[-1], secrets)
        return await self._read(_Asked(places[-1], auth, wanted, artifact.file_path, at))

    async def _auth(self, artifact: GitArtifact, place: Place, secrets: Secrets) -> Auth:
        """Return what to prove oneself with: creds before GitHub App before SSH key."""
        if artifact.creds is not None:
            user = _text(artifact.creds.username, secrets).strip()
            password = _text(artifact.creds.password, secrets).strip()
            auth = Auth(user, password)
        elif artifact.github_app is not None:
            key = secrets.secret(artifact.github_app.private_key)
            token = await self._tokens.get(place, artifact.github_app, key)
            auth = Auth("x-access-token", token, identity=f"app {artifact.github_app} {key}")
        elif artifact.ssh_key_secret is not None:
            auth = Auth(key=secrets.secret(artifact.ssh_key_secret))
        else:
            auth = Auth(place.user if place.scheme != "ssh" else "", place.password)
        identity = auth.identity or repr((auth.user, auth.password, auth.key))
        return replace(
            auth,
            any_host_key=artifact.insecure_ignore_host_key,
            identity=hashlib.sha256(identity.encode()).hexdigest(),
        )

    async def _read(self, asked: _Asked, deep: int = 0) -> bytes:
        what = f"reading {asked.path} of {asked.place.url}"
        check_host(asked.place.host, what)
        content = await self._content(asked, what)
        if isinstance(content, bytes):
            return content
        if deep >= DEEP:
            raise ConfigError(f"{what}: more than {DEEP} submodules in each other")
        place = asked.place.beside(content.url)
        auth = asked.auth if place.origin == asked.place.origin else Auth()
        inner = _Asked(place, auth, Wanted(commit=content.commit), content.path, asked.at)
        return await self._read(inner, deep + 1)

    async def _content(self, asked: _Asked, what: str) -> bytes | Elsewhere:
        with self._used(asked) as kept:
            async with kept.lock, self._slots:
                if kept.snapshot is None or not (asked.wanted.commit or kept.looked >= asked.at):
                    await self._look(asked, kept, what)
                snapshot = kept.snapshot
                assert snapshot is not None  # a look finds one, or raises
                return await _in_thread(
                    what, lambda line: snapshot.read(asked.place, asked.auth, line, asked.path)
                )

    async def _look(self, asked: _Asked, kept: _Kept, what: str) -> None:
        """See whether what is known of a repository is still what is there."""
        began, known = time.monotonic(), kept.snapshot
        found = await _in_thread(
            what, lambda line: look(asked.place, asked.auth, line, asked.wanted, known)
        )
        if found is not None:
            kept.snapshot = found
            if known is not None:
                known.close()
        kept.looked = began

    @contextmanager
    def _used(self, asked: _Asked) -> Iterator[_Kept]:
        """Yield what is known of what is asked for; it is not forgotten meanwhile."""
        key = (asked.place, asked.auth.identity, asked.wanted)
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        kept.users += 1
        try:
            yield kept
        finally:
            kept.users -= 1
            self._shrink()

    def _shrink(self) -> None:
        """Forget what has not been asked for the longest, until the rest is small enough."""
        sizes = {
            key: kept.snapshot.size if kept.snapshot is not None else 0
            for key, kept in self._kept.items()
        }
        total = sum(sizes.values())
        for key, size in sizes.items():
            if len(self._kept) <= KEPT and total <= KEPT_BYTES:
                return
            kept = self._kept[key]
            if kept.users == 0:
                del self._kept[key]
                total -= size
                if kept.snapshot is not None:
                    kept.snapshot.close()


def places_of(artifact: GitArtifact) -> list[Place]:
    """Return where to look, in this order. Raises ConfigError for a URL that is none."""
    urls = [*(artifact.remote.urls[:1] if artifact.remote is not None else ()), artifact.url]
    return [place_of(url) for url in urls]


def _text(ref: SecretRef | None, secrets: Secrets) -> str:
    return secrets.secret(ref) if ref is not None else ""


async def _in_thread(what: str, work: Callable[[Line], T]) -> T:
    """Return what a function gives; it is brought to an end when the waiting is."""
    line = Line(what)
    thread = asyncio.ensure_future(asyncio.to_thread(work, line))
    try:
        return await asyncio.shield(thread)
    finally:
        line.cut()
        if not thread.done():
            await asyncio.wait([thread])
            thread.exception()  # nobody waits for it any more


@asynccontextmanager
async def open_repositories() -> AsyncIterator[Repositories]:
    """Yield what reads repositories, for as long as the process runs."""
    repositories = Repositories()
    try:
        yield repositories
    finally:
        repositories.close()
