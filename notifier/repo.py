"""`repo`: addresses of Git repositories, and what an Argo CD repo-server knows of a commit.

Three functions only look at a text. The other two ask a repo-server, where one is configured;
without one they give empty values, and a warning once.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit

from spine.lang import EvaluationError

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


class Repo:
    """The functions of `repo` for objects."""

    def functions(self, obj: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
        """Return the functions for one Application, given as plain JSON."""
        del obj
        return _OFFLINE


_OFFLINE: dict[str, Callable[..., Any]] = {
    **PURE,
    "GetCommitMetadata": lambda _sha: {"Message": "", "Author": "", "Date": None, "Tags": []},
    "GetAppDetails": lambda: {"Type": "", "Helm": None, "Kustomize": None, "Directory": None},
}
OFFLINE = Repo()
"""Without a repo-server."""
