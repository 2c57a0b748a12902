"""Functions of `repo`: addresses, and answers of a repo-server."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import pytest

from notifier.expressions import compile_expression
from notifier.repo import DOUBTFUL, FRESH, KEPT, PURE, ROUNDS, Call, Repo
from notifier.repo_server import messages, open_repo_server
from notifier.variables import ALWAYS, variables
from spine.errors import ConfigError, TriggerError
from spine.lang import EvaluationError, gotemplate

SERVICE = "repository.RepoServerService"
APP: dict[str, Any] = {
    "kind": "Application",
    "metadata": {"name": "shop"},
    "spec": {
        "project": "default",
        "source": {
            "repoURL": "https://git.example.com/acme/shop.git",
            "path": "deploy",
            "targetRevision": "main",
            "helm": {"valueFiles": ["prod.yaml"], "parameters": [{"name": "a", "value": "b"}]},
            "unknown": {"x": 1},
        },
    },
    "status": {"sync": {"revision": "abc123"}},
}

# ---------------------------------------------------------------------------- addresses

ADDRESSES = [
    ("git@github.com:acme/shop.git", "https://github.com/acme/shop.git", "acme/shop"),
    ("http://github.com/acme/shop.git", "https://github.com/acme/shop.git", "acme/shop"),
    ("https://me@bitbucket.org/acme/shop", "https://bitbucket.org/acme/shop", "acme/shop"),
    ("https://me:pw@git.io:8443/acme/shop.git", "https://git.io:8443/acme/shop.git", "acme/shop"),
    ("ssh://git@git.io:2222/acme/shop.git", "https://git.io:2222/acme/shop.git", "acme/shop"),
    ("https://gitlab.com/a/b/c.git", "https://gitlab.com/a/b/c.git", "a/b"),
    ("https://git.io/only", "https://git.io/only", "/only"),
]


@pytest.mark.parametrize(("url", "https", "name"), ADDRESSES)
def test_addresses(url: str, https: str, name: str) -> None:
    assert PURE["RepoURLToHTTPS"](url) == https
    assert PURE["FullNameByRepoURL"](url) == name


@pytest.mark.parametrize(
    ("text", "wanted"), [("a b&c/ü", "a+b%26c%2F%C3%BC"), ("-._~", "-._~"), (None, "")]
)
def test_query_escape(text: str | None, wanted: str) -> None:
    assert PURE["QueryEscape"](text) == wanted


@pytest.mark.parametrize("name", list(PURE))
def test_they_take_texts(name: str) -> None:
    with pytest.raises(EvaluationError, match=f"{name} takes a text"):
        PURE[name](5)


# ---------------------------------------------------------------------------- without a server


def test_without_a_server_values_are_empty_and_it_is_said_once(caplog) -> None:
    repo = Repo()
    found = variables(APP, alias="app", repo=repo)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            text = "repo.GetCommitMetadata(app.status.sync.revision).Message"
            assert compile_expression(text, variables=ALWAYS).value(found) == ""
        author = "{{ (call .repo.GetCommitMetadata .app.x).Author }}"
        kind = "{{ (call .repo.GetAppDetails).Type }}"
        assert gotemplate.compile(author + kind).render(found) == ""

    (record,) = caplog.records
    assert "no repo-server is configured (set repoServer)" in record.message


# ---------------------------------------------------------------------------- questions


class Told:
    """A server that answers from a list."""

    def __init__(self, *answers: dict[str, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Call] = []
        self.gate: asyncio.Event | None = None

    async def ask(self, call: Call) -> dict[str, Any]:
        self.asked.append(call)
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def message(repo: Repo, sha: Any = "abc123") -> Any:
    return repo.functions(APP)["GetCommitMetadata"](sha)["Message"]


async def test_what_is_asked_is_fetched_and_kept() -> None:
    server, clock = Told({"Message": "one"}, {"Message": "two"}), Clock()
    repo = Repo(server, clock)

    for _ in range(3):
        assert await repo.settle(lambda: message(repo)) == "one"
    assert message(repo) == "one"
    clock.now = FRESH + 1
    assert await repo.settle(lambda: message(repo)) == "two"

    assert [call.about for call in server.asked] == ["abc123", "abc123"]
    assert (server.asked[0].method, server.asked[0].project) == ("GetRevisionMetadata", "default")


async def test_a_question_that_fails_is_an_error_for_a_while() -> None:
    server, clock = Told(TriggerError("no such revision"), {"Message": "one"}), Clock()
    repo = Repo(server, clock)

    for _ in range(2):
        with pytest.raises(EvaluationError, match="no such revision"):
            await repo.settle(lambda: message(repo))
    clock.now = DOUBTFUL + 1

    assert await repo.settle(lambda: message(repo)) == "one"
    assert len(server.asked) == 2


async def test_many_that_want_the_same_ask_once() -> None:
    server = Told({"Message": "one"})
    server.gate = asyncio.Event()
    repo = Repo(server)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(repo.settle(lambda: message(repo))) for _ in range(5)]
        while not server.asked:
            await asyncio.sleep(0)
        server.gate.set()

    assert [task.result() for task in tasks] == ["one"] * 5
    assert len(server.asked) == 1


async def test_who_gives_up_does_not_take_the_others_along() -> None:
    server = Told({"Message": "one"}, {"Message": "one"})
    server.gate = asyncio.Event()
    repo = Repo(server)
    first = asyncio.create_task(repo.settle(lambda: message(repo)))
    while not server.asked:
        await asyncio.sleep(0)
    second = asyncio.create_task(repo.settle(lambda: message(repo)))
    await asyncio.sleep(0)

    first.cancel()
    server.gate.set()

    assert await second == "one"
    assert first.cancelled()


async def test_there_is_an_end_to_questions() -> None:
    repo = Repo(Told(*({"Message": str(n)} for n in range(100))))
    count = iter(range(100))

    with pytest.raises(EvaluationError, match=f"more than {ROUNDS} questions"):
        await repo.settle(lambda: message(repo, f"r{next(count)}"))


async def test_there_is_an_end_to_what_is_kept() -> None:
    server = Told(*({"Message": str(n)} for n in range(KEPT + 2)))
    repo = Repo(server)
    for number in range(KEPT + 1):
        await repo.settle(lambda n=number: message(repo, f"r{n}"))

    await repo.settle(lambda: message(repo, f"r{KEPT}"))
    await repo.settle(lambda: message(repo, "r0"))

    assert len(server.asked) == KEPT + 2


def test_what_nobody_settles_is_an_error_and_no_guess() -> None:
    with pytest.raises(EvaluationError, match="it cannot be waited for"):
        message(Repo(Told()))


@dataclass(frozen=True)
class Refused:
    name: str
    spec: Any
    says: str
    sha: Any = "abc"

    def __str__(self) -> str:
        return self.name


REFUSED = [
    Refused("no source", {}, r"it has no spec\.source\.repoURL"),
    Refused("no spec", None, r"it has no spec\.source\.repoURL"),
    Refused("several", {"sources": [{"repoURL": "x"}]}, "it has several sources"),
    Refused("no revision", APP["spec"], "takes a revision", None),
    Refused("a number", APP["spec"], "takes a text", 5),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
async def test_what_cannot_be_asked(case: Refused) -> None:
    repo = Repo(Told())
    functions = repo.functions({**APP, "spec": case.spec})

    with pytest.raises(EvaluationError, match=case.says):
        await repo.settle(lambda: functions["GetCommitMetadata"](case.sha))


# ---------------------------------------------------------------------------- messages


def test_bytes_on_the_wire_are_those_of_argo_cd() -> None:
    """Numbers and types of fields, as Argo CD's own encoder writes them."""
    known = messages()
    query = known["RevisionQuery"](repo={"repo": "u", "project": "p"}, revision="r")

    assert query.SerializeToString() == b"\x0a\x07\x0a\x01u\xa2\x01\x01p\x12\x01r"
    found = known["Revision"].FromString(b"\x0a\x01a\x12\x04\x08\x05\x10\x06\x1a\x01t\x22\x01m")
    assert (found.author, found.date.seconds, found.date.nanos) == ("a", 5, 6)
    assert (list(found.tags), found.message) == (["t"], "m")
    details = known["Details"].FromString(b"\x0a\x01H\x1a\x09\x0a\x01n\x22\x04\x0a\x02k\x31")
    assert (details.type, details.helm.name, details.helm.parameters[0].name) == ("H", "n", "k1")


@pytest.mark.parametrize("address", ["", "repo", "repo:x", ":1", "ftp://repo:1", "http://repo"])
async def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigError, match="it is no host:port"):
        async with open_repo_server(address):
            pass
