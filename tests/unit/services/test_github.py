"""What is done on GitHub."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from github_kit import FULL, PRIVATE_KEY, GithubServer, Refusal, Repository, github_server, invalid

import services.github
import services.github_api
from services.github import Github
from services.github_block import GithubBlock
from services.service import Client, Message, Receipt
from spine.errors import ConfigError, TriggerError
from spine.lang import gotemplate
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

CONFIG = {"appID": 5, "installationID": "6", "privateKey": PRIVATE_KEY}
ABOUT = {"repoURLPath": "https://github.com/o/r.git", "revisionPath": "abc"}


@dataclass
class Scene:
    """A server, and a client of it."""

    at: GithubServer
    client: Client
    repo: Repository = field(default_factory=Repository)

    async def tell(self, text: str = "it is done", key: str = "k-1", **block: Any) -> Receipt:
        block = {**ABOUT, **block}
        load(GithubBlock, block)
        return await self.client.send(Message(text=text, block=block), "", key)

    def writes(self) -> list[tuple[str, str]]:
        return [one for one in self.at.requests if one[0] != "GET"]


@asynccontextmanager
async def client_of(at: GithubServer, **config: Any) -> AsyncIterator[Client]:
    service = load(Github, {"enterpriseBaseURL": at.url, **CONFIG, **config})
    async with Shared() as shared:
        env = Env("alerts", "one", "ns", GivenSecrets(), shared, host="127.0.0.1")
        async with service.open(env) as client:
            yield client


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with github_server() as at, client_of(at) as client:
        yield Scene(at, client, at.repositories["o/r"])


def refused(path: str, refusal: Refusal) -> Any:
    return lambda _, asked: refusal if asked.endswith(path) else None


# ---------------------------------------------------------------------------- who asks


async def test_one_token_serves_all(scene: Scene) -> None:
    for number in range(3):
        await scene.tell(key=f"k-{number}", status={"state": "success"})
    assert scene.at.given == 1
    assert len(scene.repo.statuses) == 3


async def test_a_token_that_ends_soon_is_not_used() -> None:
    async with github_server() as at, client_of(at) as client:
        at.lifetime = 299
        one = Scene(at, client)
        await one.tell(key="k-1", status={"state": "success"})
        await one.tell(key="k-2", status={"state": "success"})
        assert at.given == 2


async def test_a_token_that_is_good_no_more_is_replaced(scene: Scene) -> None:
    await scene.tell(key="k-1", status={"state": "success"})
    scene.at.tokens.clear()
    await scene.tell(key="k-2", status={"state": "success"})
    assert scene.at.given == 2
    assert len(scene.repo.statuses) == 2


@pytest.mark.parametrize(
    ("config", "why"),
    [({"appID": "7"}, "Integration not found"), ({"installationID": 8}, "Bad credentials")],
    ids=["app", "installation"],
)
async def test_an_app_that_is_not_known(config: dict[str, Any], why: str) -> None:
    async with github_server() as at, client_of(at, **config) as client:
        with pytest.raises(TriggerError, match=why) as caught:
            await Scene(at, client).tell(status={"state": "success"})
    assert caught.value.permanent
    assert "look at appID" in str(caught.value)


async def test_a_key_may_stand_in_one_line() -> None:
    key = PRIVATE_KEY.replace("\n", "\\n")
    async with github_server() as at, client_of(at, privateKey=key) as client:
        await Scene(at, client).tell(status={"state": "success"})
        assert at.given == 1


def other_key() -> str:
    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@pytest.mark.parametrize(
    ("key", "why"), [("secret", "no private key in PEM"), (other_key(), "no RSA key")]
)
async def test_a_key_that_is_none(key: str, why: str) -> None:
    async with github_server() as at:
        with pytest.raises(ConfigError, match=why) as caught:
            async with client_of(at, privateKey=key):
                pytest.fail("opened")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://git.corp.test/api/v3/", "https://git.corp.test/api/v3"),
        ("https://git.corp.test", "https://git.corp.test/api/v3"),
        ("https://api.corp.ghe.com", "https://api.corp.ghe.com"),
    ],
)
def test_where_an_own_server_is(url: str, base: str) -> None:
    assert load(Github, {**CONFIG, "enterpriseBaseURL": url}).base_url == base


def test_where_it_is_otherwise() -> None:
    assert load(Github, CONFIG).base_url == "https://api.github.com"
    with pytest.raises(ConfigError, match="https://HOST/api/v3"):
        load(Github, {**CONFIG, "enterpriseBaseURL": "git.corp.test"})


# ---------------------------------------------------------------------------- which repository


@pytest.mark.parametrize(
    "url", ["git@github.com:o/r.git", "ssh://git@github.com:22/o/r", "https://x:y@g.test/o/r/"]
)
async def test_a_repository_by_any_url(scene: Scene, url: str) -> None:
    receipt = await scene.tell(repoURLPath=url, status={"state": "success"})
    assert receipt.detail == {"repository": "o/r", "revision": "abc"}


@dataclass(frozen=True)
class Bad:
    name: str
    block: dict[str, Any]
    why: str

    def __str__(self) -> str:
        return self.name


S = {"state": "success"}
BAD = [
    Bad("nothing to do", ABOUT, "says nothing to do"),
    Bad("no block", {}, "says nothing to do"),
    Bad("no repository", {"status": S, "revisionPath": "abc"}, "names no repository"),
    Bad("no value", {**ABOUT, "repoURLPath": "<no value>", "status": S}, "names no repository"),
    Bad("no path", {**ABOUT, "repoURLPath": "https://me:pw@g.test/o", "status": S}, "'g.test/o'"),
    Bad("no revision", {**ABOUT, "revisionPath": "", "status": S}, "there is no revision"),
    Bad("a step", {**ABOUT, "revisionPath": "..", "status": S}, "there is no revision"),
    Bad("steps", {**ABOUT, "repoURLPath": "https://g/../app", "status": S}, "names no repository"),
    Bad(
        "no revision of a deployment",
        {**ABOUT, "revisionPath": "<no value>", "deployment": S},
        "there is no revision",
    ),
    Bad("no conclusion", {**ABOUT, "checkRun": {"status": "completed"}}, "needs a conclusion"),
    Bad("no time", {**ABOUT, "checkRun": {"started_at": "now"}}, "'now' is no time"),
    Bad("no zone", {**ABOUT, "checkRun": {"completed_at": "2026-01-01T00:00:00"}}, "is no time"),
    Bad(
        "no JSON",
        {**ABOUT, "repositoryDispatch": {"client_payload": "{a"}},
        "client_payload is no JSON at line 1",
    ),
    Bad(
        "no object",
        {**ABOUT, "repositoryDispatch": {"client_payload": "[1]"}},
        "client_payload is no object",
    ),
    Bad("no comment", {**ABOUT, "pullRequestComment": {"commentTag": "a"}}, "comment is empty"),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
async def test_what_can_never_work_asks_for_nothing(scene: Scene, bad: Bad) -> None:
    with pytest.raises(TriggerError, match=bad.why) as caught:
        await scene.client.send(Message(block=bad.block), "", "k")
    assert caught.value.permanent
    assert "pw" not in str(caught.value)
    assert scene.at.requests == []


async def test_a_repository_that_is_not_there(scene: Scene) -> None:
    with pytest.raises(TriggerError, match="404") as caught:
        await scene.tell(repoURLPath="https://github.com/o/other", status=S)
    assert caught.value.permanent


# ---------------------------------------------------------------------------- status


async def test_a_status(scene: Scene) -> None:
    status = {"state": "failure", "label": "cd/app", "targetURL": "https://x.test"}
    receipt = await scene.tell("it broke\n", status=status)
    assert scene.writes() == [("POST", "/repos/o/r/statuses/abc")]
    (made,) = scene.repo.statuses
    del made["id"]
    assert made == {
        "sha": "abc",
        "state": "failure",
        "description": "it broke",
        "context": "cd/app",
        "target_url": "https://x.test",
    }
    assert receipt.summary == "status failure"


@pytest.mark.parametrize(("length", "sent"), [(140, "ü" * 140), (141, "ü" * 137 + "...")])
async def test_a_description_is_cut_by_characters(scene: Scene, length: int, sent: str) -> None:
    await scene.tell("ü" * length, status=S)
    assert scene.repo.statuses[0]["description"] == sent


async def test_too_many_statuses_are_given_up_and_said(scene: Scene) -> None:
    scene.repo.statuses += [{"sha": "abc", "context": "cd"}] * 1000
    receipt = await scene.tell(status={**S, "label": "cd"}, repositoryDispatch={"event_type": "e"})
    assert receipt.problems == ("GitHub takes no more statuses of this commit and label",)
    assert len(scene.repo.statuses) == 1000
    assert len(scene.repo.events) == 1


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ({"revisionPath": "def", "status": S}, "No commit found for SHA: def"),
        ({"status": {"state": "fine"}}, "State is not included"),
    ],
    ids=["unknown commit", "unknown state"],
)
async def test_other_refusals_are_errors(scene: Scene, block: dict[str, Any], why: str) -> None:
    with pytest.raises(TriggerError, match=why) as caught:
        await scene.tell(**block)
    assert caught.value.permanent
    assert FULL not in str(caught.value)


@pytest.mark.parametrize(
    ("refusal", "permanent", "retry_after"),
    [
        (Refusal(403, "Resource not accessible by integration"), True, None),
        (Refusal(403, "API rate limit exceeded for installation ID 6."), False, None),
        (Refusal(403, "You have exceeded a limit.", Retry_After="60"), False, 60),
        (Refusal(429, "Slow down", Retry_After="5"), False, 5),
        (Refusal(503, "No server is currently available"), False, None),
    ],
    ids=["forbidden", "limit", "second limit", "too many", "down"],
)
async def test_what_passes_and_what_stays(
    scene: Scene, refusal: Refusal, permanent: bool, retry_after: float | None
) -> None:
    scene.at.refuse = refused("/statuses/abc", refusal)
    with pytest.raises(TriggerError) as caught:
        await scene.tell(status=S)
    assert (caught.value.permanent, caught.value.retry_after) == (permanent, retry_after)


# ---------------------------------------------------------------------------- deployment


async def test_a_deployment(scene: Scene) -> None:
    part = {"state": "success", "environment": "prod", "logURL": "https://l.test"}
    part |= {"environmentURL": "https://e.test", "extra": {"auto_inactive": False}}
    await scene.tell(deployment=part)
    (made,) = scene.repo.deployments
    assert {key: made[key] for key in made if key not in {"id", "statuses"}} == {
        "ref": "abc",
        "environment": "prod",
        "auto_merge": True,
        "transient_environment": False,
    }
    (status,) = made["statuses"]
    del status["id"]
    assert status == {
        "state": "success",
        "description": "it is done",
        "environment": "prod",
        "environment_url": "https://e.test",
        "log_url": "https://l.test",
        "auto_inactive": False,
    }


async def test_a_deployment_that_is_there_is_used(scene: Scene) -> None:
    scene.repo.deployments += [
        {"id": 90, "ref": "v1", "environment": "dev", "statuses": []},
        {"id": 91, "ref": "v1", "environment": "prod & co", "statuses": []},
        {"id": 92, "ref": "v1", "environment": "prod & co", "statuses": []},
    ]
    part = {"state": "failure", "environment": "prod & co", "reference": "v1"}
    await scene.tell(deployment=part, revisionPath="")
    assert [len(one["statuses"]) for one in scene.repo.deployments] == [0, 1, 0]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"autoMerge": False, "transientEnvironment": True}, (False, True)),
        ({"autoMerge": "false", "transientEnvironment": "true"}, (False, True)),
    ],
    ids=["as YAML", "as text"],
)
async def test_flags_of_a_deployment(scene: Scene, written: Any, sent: tuple[bool, bool]) -> None:
    part = {**S, **written, "requiredContexts": []}
    scene.repo.green = False
    await scene.tell(deployment=part)
    made = scene.repo.deployments[0]
    assert (made["auto_merge"], made["transient_environment"]) == sent
    assert made["required_contexts"] == []


async def test_a_merge_is_followed_by_the_deployment(scene: Scene) -> None:
    scene.repo.behind = 1
    await scene.tell(deployment=S)
    assert len(scene.repo.deployments) == 1

    scene.repo.behind = 2
    scene.repo.deployments.clear()
    with pytest.raises(TriggerError, match="merged the default branch twice") as caught:
        await scene.tell(deployment=S, key="k-2")
    assert not caught.value.permanent


async def test_checks_that_still_run_are_waited_for(scene: Scene) -> None:
    scene.repo.green = False
    with pytest.raises(TriggerError, match="409") as caught:
        await scene.tell(deployment=S)
    assert not caught.value.permanent


# ---------------------------------------------------------------------------- comments

MARK = "<!-- argocd-notifications app -->"


def bodies(scene: Scene, number: int = 1) -> list[str]:
    return [one["body"] for one in scene.repo.comments.get(number, [])]


async def test_a_comment_on_each_pull_request(scene: Scene) -> None:
    numbers = list(range(1, 121))  # three pages
    scene.repo.commits["abc"] = numbers
    receipt = await scene.tell(pullRequestComment={"content": "deployed"})
    assert [bodies(scene, n) for n in numbers] == [["deployed\n\n<!-- tocsin k-1 -->"]] * 120
    assert receipt.summary.startswith("comment on #1, #2, ")


async def test_a_tagged_comment_is_edited_wherever_it_stands(scene: Scene) -> None:
    others = [{"id": 1000 + n, "body": f"{n}", "user": {"type": "User"}} for n in range(130)]
    quoted = {"id": 1, "body": f"> {MARK}", "user": {"type": "User"}}
    old = {"id": 2, "body": f"old\n{MARK}\n{MARK}", "user": {"type": "Bot"}}
    scene.repo.comments[1] = [quoted, *others, old]
    part = {"content": "new", "commentTag": "app"}
    await scene.tell(pullRequestComment=part)

    assert scene.writes() == [("PATCH", "/repos/o/r/issues/comments/2")]
    assert bodies(scene)[-1] == f"new\n\n{MARK}"
    assert bodies(scene)[0] == f"> {MARK}"
    await scene.tell(key="k-2", pullRequestComment=part)
    assert len(scene.writes()) == 1, "the same once more is no change"


async def test_a_tag_is_written_once_and_does_not_pile_up(scene: Scene) -> None:
    scene.repo.commits["abc"] = [1, 2, 3]
    for text in ("one", "two"):
        await scene.tell(key=text, pullRequestComment={"content": text, "commentTag": "app"})
    assert [bodies(scene, n) for n in (1, 2, 3)] == [[f"two\n\n{MARK}"]] * 3


@pytest.mark.parametrize("tag", ["app", ""])
async def test_a_long_comment_is_cut_with_its_mark(scene: Scene, tag: str) -> None:
    await scene.tell(pullRequestComment={"content": "ü" * 70_000, "commentTag": tag})
    (body,) = bodies(scene)
    assert len(body) == 65_536
    assert body.endswith(f"ü...\n\n{MARK}" if tag else "ü...\n\n<!-- tocsin k-1 -->")


async def test_the_message_is_the_comment_where_nothing_is_written(scene: Scene) -> None:
    await scene.tell("told", pullRequestComment={"commentTag": "a-->b"})
    assert bodies(scene) == ["told\n\n<!-- argocd-notifications ab -->"]


async def test_no_pull_request_is_no_failure(scene: Scene) -> None:
    scene.repo.commits["abc"] = []
    receipt = await scene.tell(pullRequestComment={"content": "a"})
    assert receipt.summary == "no pull request has this commit"


async def test_one_that_is_locked_does_not_keep_others_back(scene: Scene) -> None:
    scene.repo.commits["abc"] = [1, 2, 3]
    scene.at.refuse = lambda method, path: (
        Refusal(403, "locked")
        if (method, path) == ("POST", "/repos/o/r/issues/2/comments")
        else None
    )
    with pytest.raises(TriggerError, match=r"#2 of o/r: 403 Forbidden: .*locked"):
        await scene.tell(pullRequestComment={"content": "a"})
    assert [len(bodies(scene, n)) for n in (1, 2, 3)] == [1, 0, 1]

    scene.at.refuse = lambda _method, _path: None
    await scene.tell(pullRequestComment={"content": "a"})
    assert [len(bodies(scene, n)) for n in (1, 2, 3)] == [1, 1, 1]


async def test_a_comment_is_not_written_twice_by_another_process() -> None:
    async with github_server() as at:
        for key in ("k-1", "k-1", "k-2"):
            async with client_of(at) as client:
                await Scene(at, client).tell(key=key, pullRequestComment={"content": "a"})
        assert len(at.repositories["o/r"].comments[1]) == 2


async def test_a_list_that_never_ends_does(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(services.github_api, "PAGES", 2)
    scene.repo.comments[1] = [{"id": n, "body": ""} for n in range(1000)]
    await scene.tell(pullRequestComment={"content": "a"})
    assert scene.at.requests.count(("GET", "/repos/o/r/issues/1/comments")) == 2


# ---------------------------------------------------------------------------- checks, events


async def test_a_check(scene: Scene) -> None:
    part = {
        "name": "sync",
        "details_url": "https://d.test",
        "conclusion": "success",
        "started_at": "2026-01-01T00:00:00Z",
        "completed_at": "2026-01-01T00:01:00+01:00",
        "output": {"text": "x" * 70_000},
        "extra": {"actions": []},
    }
    await scene.tell(checkRun=part)
    (made,) = scene.repo.checks
    del made["id"]
    assert made.pop("output") == {
        "title": "sync",
        "summary": "it is done",
        "text": "x" * 65_532 + "...",
    }
    assert made == {
        "name": "sync",
        "head_sha": "abc",
        "external_id": "argocd-notifications",
        "details_url": "https://d.test",
        "status": "completed",
        "conclusion": "success",
        "started_at": "2026-01-01T00:00:00Z",
        "completed_at": "2026-01-01T00:01:00+01:00",
        "actions": [],
    }


@pytest.mark.parametrize("output", [None, {}, {"title": ""}], ids=str)
async def test_a_check_that_goes_on(scene: Scene, output: Any) -> None:
    part = {"name": "sync", "status": "in_progress"}
    receipt = await scene.tell(checkRun=part | ({} if output is None else {"output": output}))
    (made,) = scene.repo.checks
    assert made["status"] == "in_progress"
    assert not made.keys() & {"conclusion", "output", "started_at"}
    assert receipt.summary == "check in_progress"


@pytest.mark.parametrize("payload", ['{"a": {"b": 1}}', {"a": {"b": 1}}], ids=["text", "YAML"])
async def test_an_event(scene: Scene, payload: Any) -> None:
    part = {"event_type": "deployed", "client_payload": payload}
    await scene.tell(repositoryDispatch=part, revisionPath="")
    assert scene.repo.events == [{"event_type": "deployed", "client_payload": {"a": {"b": 1}}}]


async def test_an_event_without_a_payload(scene: Scene) -> None:
    await scene.tell(repositoryDispatch={"event_type": "deployed"})
    assert scene.repo.events == [{"event_type": "deployed"}]


# ---------------------------------------------------------------------------- all of them

EVERYTHING = {
    "status": S,
    "deployment": S,
    "pullRequestComment": {"content": "a"},
    "checkRun": {"name": "sync"},
    "repositoryDispatch": {"event_type": "e"},
}


def counts(repo: Repository) -> tuple[int, ...]:
    kept = (repo.statuses, repo.deployments, repo.comments.get(1, []), repo.checks, repo.events)
    return tuple(len(one) for one in kept)


async def test_all_parts_are_done(scene: Scene) -> None:
    receipt = await scene.tell(**EVERYTHING)
    assert counts(scene.repo) == (1, 1, 1, 1, 1)
    assert receipt.summary == (
        "status success; deployment success; comment on #1; check queued; event e"
    )


async def test_the_same_message_once_more_does_nothing(scene: Scene) -> None:
    first = await scene.tell(**EVERYTHING)
    asked = len(scene.at.requests)
    assert await scene.tell(**EVERYTHING) == first
    assert len(scene.at.requests) == asked


async def test_what_is_remembered_is_bounded(scene: Scene, monkeypatch) -> None:
    monkeypatch.setattr(services.github, "REMEMBERED", 2)
    for key in ("k-1", "k-2", "k-1", "k-3", "k-1", "k-2"):
        await scene.tell(key=key, status=S)
    assert len(scene.repo.statuses) == 4, "k-2 is done once more: it was not asked for longest"


PLACES = ["/statuses/abc", "/deployments", "/issues/1/comments", "/check-runs", "/dispatches"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", [503, 422], ids=["passes", "stays"])
async def test_one_that_fails_keeps_none_back_and_is_done_alone(
    scene: Scene, place: str, status: int
) -> None:
    scene.at.refuse = refused(place, Refusal(503, "down") if status == 503 else invalid("no"))
    with pytest.raises(TriggerError) as caught:
        await scene.tell(**EVERYTHING)
    assert caught.value.permanent == (status == 422)
    wanted = [int(one != place) for one in PLACES]
    assert list(counts(scene.repo)) == wanted

    scene.at.refuse = lambda _method, _path: None
    await scene.tell(**EVERYTHING)
    assert counts(scene.repo) == (1, 1, 1, 1, 1)
    assert sum(len(one["statuses"]) for one in scene.repo.deployments) == 1

    await scene.tell(**EVERYTHING, key="k-2")
    assert counts(scene.repo) == (2, 1, 2, 2, 2), "a new message is told, all of it"


async def test_one_that_passes_makes_the_message_worth_another_try(scene: Scene) -> None:
    scene.at.refuse = lambda _, path: (
        Refusal(503, "down") if path.endswith("/dispatches") else invalid("no")
    )
    with pytest.raises(TriggerError) as caught:
        await scene.tell(status=S, repositoryDispatch={"event_type": "e"})
    assert not caught.value.permanent


# ---------------------------------------------------------------------------- of an Application

COMMIT = {"operationState": {"syncResult": {"revision": "abc"}}}
COMMITS = {"operationState": {"syncResult": {"revisions": ["abc", "def"]}}}


@dataclass(frozen=True)
class Application:
    name: str
    app: dict[str, Any]
    told: tuple[str, str]

    def __str__(self) -> str:
        return self.name


APPLICATIONS = [
    Application("one", {"spec": {"source": {"repoURL": "u"}}, "status": COMMIT}, ("u", "abc")),
    Application(
        "several",
        {"spec": {"sources": [{"repoURL": "u"}, {"repoURL": "v"}]}, "status": COMMITS},
        ("u", "abc"),
    ),
    Application("new", {"spec": {"source": {"repoURL": "u"}}}, ("u", "")),
    Application("none", {"spec": {}, "status": {"operationState": {}}}, ("", "")),
]


@pytest.mark.parametrize("case", APPLICATIONS, ids=str)
def test_what_is_not_written_comes_from_the_application(case: Application) -> None:
    texts = GithubBlock.defaults
    rendered = [gotemplate.compile(texts[k]).render({"app": case.app}) for k in texts]
    assert list(texts) == ["repoURLPath", "revisionPath"]
    assert tuple(rendered) == case.told
