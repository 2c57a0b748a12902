"""`repo`: addresses of Git repositories, and what an Argo CD repo-server knows of a commit.

Three functions only look at a text. The other two need a repo-server; without one they give empty
values, and a warning once. Expressions and templates do not wait, so what they ask is fetched
between two attempts: `await repo.settle(lambda: render(...))` begins again with each answer.
"""

import asyncio
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple, Protocol, TypeVar
from urllib.parse import quote_plus, urlsplit

from spine.errors import TriggerError
from spine.lang import EvaluationError, gotime

log = logging.getLogger(__name__)

NAMES = (
    *("RepoURLToHTTPS", "FullNameByRepoURL", "QueryEscape"),
    *("GetCommitMetadata", "GetAppDetails"),
)
"""What `repo` has."""

_SCP = re.compile(r"(?:[^@/:]+@)?(?P<host>[^:/@]+):(?P<path>.*)")


def _parts(url: str) -> tuple[str, str]:
    """Return host with port, and path. Raises EvaluationError."""
    if "://" not in url:
        found = _SCP.fullmatch(url)
        return (found["host"], found["path"]) if found else ("", url)
    try:
        split = urlsplit(url)
    except ValueError as exc:
        raise EvaluationError(f"reading the address of repository {url!r}: {exc}") from exc
    return split.netloc.rpartition("@")[2], split.path


def _text(name: str, value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise EvaluationError(f"repo.{name} takes a text, not {value}")
    return value or ""


def repo_url_to_https(url: Any) -> str:
    """Return the address of a repository for a browser: `git@host:a/b` is `https://host/a/b`."""
    host, path = _parts(_text("RepoURLToHTTPS", url))
    return f"https://{host}/{path.lstrip('/')}"


def full_name(url: Any) -> str:
    """Return owner and name of a repository, `a/b`."""
    _, path = _parts(_text("FullNameByRepoURL", url))
    path = path.removesuffix(".git")
    names = [part for part in path.split("/") if part]
    return "/".join(names[:2]) if len(names) > 1 else path


def query_escape(text: Any) -> str:
    """Return a text as a part of the query of a URL."""
    return quote_plus(_text("QueryEscape", text))


PURE: Mapping[str, Callable[..., Any]] = {
    "RepoURLToHTTPS": repo_url_to_https,
    "FullNameByRepoURL": full_name,
    "QueryEscape": query_escape,
}
"""Functions that need no repo-server."""


COMMIT: Mapping[str, Any] = {
    "Message": "",
    "Author": "",
    "Date": gotime.Time(gotime.ZERO),
    "Tags": [],
}
"""A commit of which nothing is known."""
DETAILS: Mapping[str, Any] = {"Type": "", "Helm": None, "Kustomize": None, "Directory": None}
"""An Application of which nothing is known."""
KEPT = 1024
"""Answers that are kept."""
FRESH, DOUBTFUL = 600.0, 30.0
"""Seconds for which an answer is kept, and for which a refusal is."""
ROUNDS = 32
"""Different questions that one expression or template may ask."""

T = TypeVar("T")


class Call(NamedTuple):
    """A question to a repo-server."""

    method: Literal["GetRevisionMetadata", "GetAppDetails"]
    project: str
    source: str
    """`spec.source` of the Application, as JSON with sorted keys."""
    about: str
    """Revision, or name of the Application."""


class RepoServer(Protocol):
    """Answers questions."""

    async def ask(self, call: Call) -> dict[str, Any]:
        """Return the answer as programs see it. Raises TriggerError."""
        ...


class Wanted(Exception):
    """A question whose answer is not there yet."""

    def __init__(self, call: Call) -> None:
        super().__init__(f"waiting for {call.method} of {call.about}")
        self.call = call


class Repo:
    """The functions of `repo`, for all objects of a process."""

    def __init__(
        self, server: RepoServer | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._server, self._clock = server, clock
        self._answers: OrderedDict[Call, tuple[float, dict[str, Any] | str]] = OrderedDict()
        self._asked: dict[Call, asyncio.Future[None]] = {}
        self._settling = self._warned = False

    @property
    def asks(self) -> bool:
        """Whether there is a repo-server, so that what reads `repo` has to be settled."""
        return self._server is not None

    def functions(self, obj: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
        """Return the functions for one Application, given as plain JSON."""
        if self._server is None:
            return self._empty
        return {
            **PURE,
            "GetCommitMetadata": lambda sha: self._answer(_commit(obj, sha)),
            "GetAppDetails": lambda: self._answer(_details(obj)),
        }

    @cached_property
    def _empty(self) -> dict[str, Callable[..., Any]]:
        return {
            **PURE,
            "GetCommitMetadata": lambda _sha: self._nothing(COMMIT),
            "GetAppDetails": lambda: self._nothing(DETAILS),
        }

    def _nothing(self, value: Mapping[str, Any]) -> dict[str, Any]:
        if not self._warned:
            self._warned = True
            log.warning(
                "repo.GetCommitMetadata and repo.GetAppDetails give empty values: "
                "no repo-server is configured (set repoServer)"
            )
        return dict(value)

    def _answer(self, call: Call) -> dict[str, Any]:
        known = self._known(call)
        if isinstance(known, dict):
            return known
        if known is not None:
            raise EvaluationError(known)
        if self._settling:
            raise Wanted(call)
        raise EvaluationError(
            f"asking the repo-server about {call.about!r}: it cannot be waited for"
        )

    def _known(self, call: Call) -> dict[str, Any] | str | None:
        """Return an answer, or why there is none; None: it was not asked for lately."""
        found = self._answers.get(call)
        if found is None or found[0] < self._clock():
            return None
        self._answers.move_to_end(call)
        return found[1]

    async def settle(self, compute: Callable[[], T]) -> T:
        """Return what a function gives; it is begun again whenever an answer has to be fetched.

        So it must not change anything but its own variables. A question that fails is an
        EvaluationError inside of it.
        """
        for _ in range(ROUNDS):
            self._settling = True
            try:
                return compute()
            except Wanted as wanted:
                call = wanted.call
            finally:
                self._settling = False
            await self._fetch(call)
        raise EvaluationError(f"asking the repo-server: more than {ROUNDS} questions at a time")

    async def _fetch(self, call: Call) -> None:
        """Have an answer, or a reason; those who want the same one wait for one question."""
        while call in self._asked:
            await asyncio.shield(self._asked[call])
            if self._known(call) is not None:
                return
        assert self._server is not None  # nobody else wants anything
        mine = self._asked[call] = asyncio.get_running_loop().create_future()
        try:
            self._keep(call, FRESH, await self._server.ask(call))
        except TriggerError as exc:
            self._keep(call, DOUBTFUL, str(exc))
        finally:
            del self._asked[call]
            mine.set_result(None)

    def _keep(self, call: Call, seconds: float, answer: dict[str, Any] | str) -> None:
        self._answers[call] = (self._clock() + seconds, answer)
        self._answers.move_to_end(call)
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)


def _commit(obj: Mapping[str, Any], sha: Any) -> Call:
    text = _text("GetCommitMetadata", sha)
    if not text:
        raise EvaluationError("repo.GetCommitMetadata takes a revision, not an empty text")
    return _call("GetRevisionMetadata", obj, text)


def _details(obj: Mapping[str, Any]) -> Call:
    metadata = obj.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return _call("GetAppDetails", obj, name if isinstance(name, str) else "")


def _call(
    method: Literal["GetRevisionMetadata", "GetAppDetails"], obj: Mapping[str, Any], about: str
) -> Call:
    spec = obj.get("spec")
    source = spec.get("source") if isinstance(spec, dict) else None
    if not isinstance(source, dict) or not isinstance(source.get("repoURL"), str):
        more = isinstance(spec, dict) and spec.get("sources")
        why = "it has several sources" if more else "it has no spec.source.repoURL"
        raise EvaluationError(f"asking the repo-server about {about!r}: {why}")
    project = spec.get("project") if isinstance(spec, dict) else None
    text = json.dumps(source, sort_keys=True)
    return Call(method, project if isinstance(project, str) else "", text, about)


OFFLINE = Repo()
"""Without a repo-server."""
