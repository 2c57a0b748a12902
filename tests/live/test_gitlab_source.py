"""GitLab's deliveries to a real process on a real bus: with the token, without, and killed."""

import json
from pathlib import Path
from typing import Any

import pytest
from gitlab_kit import Refusal, gitlab_server
from source_process import Place, killed_under_load, place

pytestmark = pytest.mark.timeout(180)
SECRET = "it is between us"
HOOK_URL = "https://hooks.example.com/gitlab"


@pytest.fixture
async def at(tmp_path: Path):
    async with place(tmp_path) as one:
        yield one


def spec(at: Place, **more: Any) -> dict[str, Any]:
    hook = {"endpoint": "/gitlab", "port": str(at.port), **more.pop("webhook", {})}
    secret = at.secret("gitlab", "webhook", SECRET)
    return {"gitlab": {"gl": {"webhook": hook, "secretToken": secret, **more}}}


def delivery(
    number: int, *, token: str = SECRET, old: bool = False, **headers: str
) -> tuple[str, bytes, dict[str, str]]:
    body = json.dumps({"object_kind": "issue", "object_attributes": {"iid": number}}).encode()
    key = {} if old else {"Idempotency-Key": f"f5e5f430-f57b-4e6e-9fac-{number:012}"}
    told = {
        "Content-Type": "application/json",
        "User-Agent": "GitLab/18.5.0-pre",
        "X-Gitlab-Event": "Issue Hook",
        # of a chain of hooks all have the same
        "X-Gitlab-Event-UUID": f"13792a34-cac6-4fda-95a8-{number // 10:012}",
        "X-Gitlab-Token": token,
        **key,
        **headers,
    }
    return "/gitlab", body, {name: value for name, value in told.items() if value}


def iid(event: Any) -> int:
    number = json.loads(event.data)["body"]["object_attributes"]["iid"]
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("old", [False, True], ids=["idempotency-key", "event-uuid"])
async def test_each_delivery_is_one_event_though_the_process_is_killed(at, old):
    await at.start(spec(at))
    deliveries = [delivery(number, old=old) for number in range(100)]

    in_vain = await killed_under_load(at, spec(at), deliveries)

    events = await at.events()
    assert sorted(iid(event) for event in events) == list(range(100))
    assert in_vain, "the process was away for a while"
    assert all(SECRET.encode() not in (event.data or b"") for event in events)
    assert b'"X-Gitlab-Token":["*** Masked Auth Secret ***"]' in (events[0].data or b"")


async def test_forged_requests_are_refused_and_counted(at):
    await at.start(spec(at))  # no hooks are registered, and the token is wanted all the same
    path, _, headers = delivery(1)
    forged = [
        (delivery(1, token=""), 401),
        (delivery(1, token="guessed"), 403),
        (delivery(1, token=SECRET[:-1]), 403),
        ((path, b"{", headers), 400),
        ((path, b"", headers), 400),
    ]
    for request, status in forged:
        assert await at.post(*request) == status
    assert await at.events() == []
    metrics = await at.metrics()
    for status, count in ((401, 1), (403, 2), (400, 2)):
        line = next(one for one in metrics.splitlines() if f'"{status}"' in one)
        assert line.endswith(f" {count}.0"), line
    assert at.run is not None
    assert SECRET not in at.run.text


async def test_a_token_is_replaced_without_a_restart_and_without_a_loss(at):
    await at.start(spec(at))
    assert await at.post(*delivery(1)) == 200
    at.secret("gitlab", "webhook", "a new one")
    await at.deliver(*delivery(2, token="a new one"))
    assert await at.post(*delivery(3)) == 200, "sent just before GitLab learned of it"
    assert len(await at.events()) == 3


# ---------------------------------------------------------------------------- hooks


def managed(at: Place, gitlab: Any, **more: Any) -> dict[str, Any]:
    return spec(
        at,
        webhook={"url": "https://hooks.example.com"},
        accessToken=at.secret("gitlab", "token", "glpat-good"),
        gitlabBaseURL=gitlab.url,
        projects=["shop/web"],
        events=["PushEvents", "ReleasesEvents"],
        enableSSLVerification=True,
        **more,
    )


async def test_hooks_are_made_brought_up_to_date_and_taken_away(at):
    async with gitlab_server() as gitlab:
        for number in range(120):  # of which a page has a part
            gitlab.add("projects/shop/web", f"https://other.example.com/{number}")
        ours = gitlab.add("projects/shop/web", HOOK_URL, issues_events=True)
        wanted = managed(at, gitlab, groups=["warehouse"], deleteHookOnFinish=True)
        run = await at.start(wanted)
        of_group = gitlab.hooks["groups/warehouse"]
        await run.until(lambda: of_group)
        assert len(gitlab.hooks["projects/shop/web"]) == 121
        assert (ours["push_events"], ours["releases_events"], ours["issues_events"]) == (
            True,
            True,
            False,
        )
        assert (ours["token"], ours["enable_ssl_verification"]) == (SECRET, True)
        made = of_group[0]
        assert (made["url"], made["token"], made["push_events"]) == (HOOK_URL, SECRET, True)
        assert made["releases_events"] is False, "not for groups"
        assert made["enable_ssl_verification"] is True

        at.secret("gitlab", "webhook", "a new one")
        await run.until(lambda: ours["token"] == made["token"] == "a new one")

        assert await at.stop() == 0
        assert of_group == []
        assert len(gitlab.hooks["projects/shop/web"]) == 120
        assert "glpat-good" not in run.text
        assert SECRET not in run.text


async def test_events_are_served_while_the_api_is_away_and_refuses(at):
    async with gitlab_server() as gitlab:
        gitlab.refuse = lambda _method, _path: Refusal(502, {"message": "502 Bad Gateway"})
        run = await at.start(managed(at, gitlab))
        await run.until("the hook of project shop/web is not in place")
        assert await at.post(*delivery(1)) == 200
        told = {"error": "insufficient_scope", "scope": "api"}
        gitlab.refuse = lambda _method, _path: Refusal(403, told)
        await run.until("it needs the scope api and the role Maintainer of the project")
        gitlab.refuse = lambda _method, _path: None
        await run.until(lambda: gitlab.hooks["projects/shop/web"])
        assert await at.post(*delivery(2)) == 200
        assert await at.stop() == 0
        assert len(gitlab.hooks["projects/shop/web"]) == 1, "it was not said to delete it"


async def test_an_access_token_that_is_replaced_is_acted_on(at):
    async with gitlab_server() as gitlab:
        wanted = managed(at, gitlab)
        at.secret("gitlab", "token", "glpat-revoked")
        run = await at.start(wanted)
        await run.until("the access token is not good")
        at.secret("gitlab", "token", "glpat-good")
        await run.until(lambda: gitlab.hooks["projects/shop/web"])
        assert "glpat-revoked" not in run.text
