"""GitHub's deliveries to a real process on a real bus: signed, forged, repeated, and killed."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from github_kit import APP, INSTALLATION, PRIVATE_KEY, Refusal, github_server
from source_process import Place, killed_under_load, place

pytestmark = pytest.mark.timeout(180)
SECRET = "it is between us"
HOOK_URL = "https://hooks.example.com/github"


@pytest.fixture
async def at(tmp_path: Path):
    async with place(tmp_path) as one:
        yield one


def spec(at: Place, **more: Any) -> dict[str, Any]:
    hook = {"endpoint": "/github", "port": str(at.port), **more.pop("webhook", {})}
    event = {
        "webhook": hook,
        "repositories": [{"owner": "shop", "names": ["web"]}],
        "events": ["push", "issues"],
        "webhookSecret": at.secret("github", "webhook", SECRET),
        **more,
    }
    return {"github": {"gh": event}}


def delivery(
    number: int, *, secret: str = SECRET, form: bool = False, **headers: str
) -> tuple[str, bytes, dict[str, str]]:
    body = json.dumps({"action": "opened", "issue": {"number": number}}).encode()
    kind = "application/json"
    if form:
        body, kind = urlencode({"payload": body}).encode(), "application/x-www-form-urlencoded"
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    told = {
        "Content-Type": kind,
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": f"72d3162e-cc78-11e3-81ab-{number:012}",
        "X-GitHub-Event": "issues",
        "X-Hub-Signature-256": f"sha256={signature}",
        **headers,
    }
    return "/github", body, {name: value for name, value in told.items() if value}


async def test_each_delivery_is_one_event_though_the_process_is_killed(at):
    await at.start(spec(at))
    deliveries = [delivery(number, form=number % 2 == 1) for number in range(120)]

    in_vain = await killed_under_load(at, spec(at), deliveries)

    events = await at.events()
    numbers = sorted(json.loads(e.data or b"")["body"]["issue"]["number"] for e in events)
    assert numbers == list(range(120))
    assert in_vain, "the process was away for a while"
    assert {(e.source, e.subject, e.type) for e in events} == {("hooks", "gh", "github")}


async def test_forged_requests_are_refused_and_counted(at):
    await at.start(spec(at))
    forged = [
        (delivery(1, **{"X-Hub-Signature-256": ""}), 401),
        (delivery(1, secret="guessed"), 403),
        (delivery(1, **{"X-Hub-Signature-256": "sha256="}), 403),
        (delivery(1, **{"X-Hub-Signature-256": "md5=00"}), 403),
        (("/github", b'{"other":1}', delivery(1)[2]), 403),
        (("/github", b"", delivery(1)[2]), 403),
        (("/github/", *delivery(1)[1:]), 404),
        (("/github", b"x" * 1_100_000, delivery(1)[2]), 413),
    ]
    for request, status in forged:
        assert await at.post(*request) == status
    assert await at.post(*delivery(2)) == 200
    assert [json.loads(e.data)["body"]["issue"] for e in await at.events()] == [{"number": 2}]
    metrics = await at.metrics()
    assert at.run is not None
    assert SECRET not in at.run.text
    for status, count in ((401, 1), (403, 5), (413, 1)):
        line = next(one for one in metrics.splitlines() if f'"{status}"' in one)
        assert line.endswith(f" {count}.0"), line


async def test_a_secret_is_replaced_without_a_restart_and_without_a_loss(at):
    await at.start(spec(at))
    assert await at.post(*delivery(1)) == 200
    at.secret("github", "webhook", "a new one")
    assert await at.deliver(*delivery(2, secret="a new one")) >= 1
    assert await at.post(*delivery(3)) == 200, "signed just before GitHub learned of it"
    assert await at.post(*delivery(4, secret="neither")) == 403
    assert len(await at.events()) == 3


async def test_the_bus_is_away(at):
    await at.start(spec(at))
    await at.server.kill()
    assert await at.post(*delivery(1)) == 503
    await at.server.start()
    await at.deliver(*delivery(1))
    assert len(await at.events()) == 1


# ---------------------------------------------------------------------------- hooks


def managed(at: Place, github: Any, **more: Any) -> dict[str, Any]:
    github.tokens.add("ghp_good")
    return spec(
        at,
        webhook={"url": "https://hooks.example.com/"},
        apiToken=at.secret("github", "token", "ghp_good"),
        active=True,
        githubBaseURL=github.url,
        githubUploadURL=github.url,
        **more,
    )


async def settled(at: Place, met: Any) -> None:
    assert at.run is not None
    await at.run.until(met)


async def test_hooks_are_made_and_taken_away_at_the_end(at):
    async with github_server() as github:
        github.hooks.of = {"repos/shop/web": []}
        hooks = github.hooks.of["repos/shop/web"]
        for number in range(120):  # of which a page has a part
            github.hooks.add("repos/shop/web", f"https://other.example.com/{number}")
        await at.start(managed(at, github, contentType="json", deleteHookOnFinish=True))
        await settled(at, lambda: len(hooks) == 121)
        made = hooks[-1]
        assert made["config"] == {
            "url": HOOK_URL,
            "content_type": "json",
            "insecure_ssl": "0",
            "secret": SECRET,
        }
        assert (made["active"], made["events"]) == (True, ["issues", "push"])

        await at.kill()
        await at.start(managed(at, github, contentType="json", deleteHookOnFinish=True))
        assert at.run is not None
        await at.run.until("is up to date")
        assert len(hooks) == 121, "the one that is there is found on the second page"

        assert await at.stop() == 0
        assert made not in hooks
        assert len(hooks) == 120
        assert SECRET not in at.run.text
        assert "ghp_good" not in at.run.text


async def test_an_app_registers_hooks_of_organizations(at):
    async with github_server() as github:
        github.hooks.of = {"orgs/shop": [], "orgs/warehouse": []}
        app = {
            "privateKey": at.secret("app", "key", PRIVATE_KEY),
            "appID": APP,
            "installationID": INSTALLATION,
        }
        event = managed(at, github)["github"]["gh"]
        del event["apiToken"], event["repositories"]
        event |= {"githubApp": app, "organizations": ["shop", "warehouse"]}
        await at.start({"github": {"gh": event}})
        await settled(at, lambda: all(len(of) == 1 for of in github.hooks.of.values()))
        assert github.given == 1, "one token for both"


async def test_events_are_served_while_the_api_is_away_and_refuses(at):
    async with github_server() as github:
        github.hooks.of = {"repos/shop/web": []}
        github.refuse = lambda _method, _path: Refusal(503, "Unavailable")
        run = await at.start(managed(at, github))
        await run.until("the hook of shop/web is not in place")
        assert await at.post(*delivery(1)) == 200
        github.refuse = lambda method, _path: (
            Refusal(403, "Resource not accessible by personal access token")
            if method == "POST"
            else None
        )
        await run.until("it needs the permission Webhooks of the repository, read and write")
        github.refuse = lambda _method, _path: None
        await settled(at, lambda: len(github.hooks.of["repos/shop/web"]) == 1)
        assert await at.post(*delivery(2)) == 200
        assert await at.stop() == 0
        assert len(github.hooks.of["repos/shop/web"]) == 1, "it was not said to delete it"


async def test_a_token_that_is_replaced_is_acted_on(at):
    async with github_server() as github:
        github.hooks.of = {"repos/shop/web": []}
        wanted = managed(at, github)
        at.secret("github", "token", "ghp_revoked")
        run = await at.start(wanted)
        await run.until("the token is not good")
        at.secret("github", "token", "ghp_good")
        await settled(at, lambda: len(github.hooks.of["repos/shop/web"]) == 1)
        hook = github.hooks.of["repos/shop/web"][0]
        at.secret("github", "webhook", "a new one")
        await settled(at, lambda: hook["config"]["secret"] == "a new one")
        assert "ghp_revoked" not in run.text
