"""The github source: its configuration, who may post, and the event that a delivery becomes."""

import hashlib
import hmac
import json
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from github_kit import GithubServer, Refusal, github_server
from hooks import Talk, running
from hypothesis import given
from hypothesis import strategies as st
from ports import free_port

from eventsource import web
from eventsource.github import request as github
from eventsource.github.hooks import GithubPlace, TokenApi, Wanted, organization, repository
from eventsource.github.logins import api_url
from eventsource.sources.github import Github
from eventsource.spec import EventSourceSpec
from services.web import Web
from spine.errors import BusError, EventError, TriggerError
from spine.http.client import open_client
from spine.model import InvalidModel, load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

HOOK = {"endpoint": "/gh", "port": "12000"}
REPOSITORIES = [{"owner": "shop", "names": ["web", "api"]}]
REF = {"name": "s", "key": "k"}
APP = {"privateKey": REF, "appID": 1, "installationID": 2}
URL = "https://hooks.example.com/gh"
DISTRUST = "webhookSecret: without it whoever reaches the endpoint can make up events"


def source(**more: Any) -> tuple[Github, list[str]]:
    warnings: list[str] = []
    raw = {"webhook": HOOK, "repositories": REPOSITORIES, "webhookSecret": REF, **more}
    raw = {name: value for name, value in raw.items() if value is not None}
    return load(Github, raw, on_warning=warnings.append), warnings


def managed(**more: Any) -> tuple[Github, list[str]]:
    hook = {**HOOK, "url": "https://hooks.example.com/"}
    base = {"webhook": hook, "apiToken": REF, "events": ["push"], "active": True}
    return source(**{**base, **more})


# ---------------------------------------------------------------------------- configuration


@dataclass(frozen=True)
class Good:
    name: str
    more: dict[str, Any]
    manages: bool = False
    warning: str = ""


GOOD = [
    Good("by hand", {}),
    Good("method", {"webhook": {**HOOK, "method": "POST"}}),
    Good("no secret", {"webhookSecret": None}, warning=DISTRUST),
    Good("a token in its place", {"webhookSecret": None, "webhook": {**HOOK, "authSecret": REF}}),
    Good("token without URL", {"apiToken": REF}, warning="webhook.url: without it no hooks"),
    Good("URL without token", {"webhook": {**HOOK, "url": "https://h"}}),
    Good("nothing to hook", {"repositories": None}, warning="repositories: Argo Events wants"),
    Good("half an address", {"githubBaseURL": "https://ghe"}, warning="githubBaseURL: Argo"),
    Good("both addresses", {"githubBaseURL": "https://ghe", "githubUploadURL": "https://ghe"}),
    Good("metadata inside", {"webhook": {**HOOK, "metadata": {"a": "b"}}}, warning="metadata: of"),
    Good("old number", {"id": 12}),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_what_is_taken(case):
    found, warnings = source(**case.more)
    assert found.manages is case.manages
    assert [one for one in warnings if not case.warning or case.warning not in one] == []
    assert bool(warnings) is bool(case.warning)


def test_hooks_are_managed_with_a_login_and_a_url():
    assert managed() == managed()
    assert managed()[0].manages
    assert managed()[1] == []
    assert managed(apiToken=None, githubApp=APP)[0].manages
    assert managed(githubApp=APP)[1] == ["githubApp: of no effect beside apiToken"]
    assert managed(active=False)[1] == [
        "active: hooks are made inactive and send nothing (write active: true)"
    ]


@dataclass(frozen=True)
class Bad:
    name: str
    more: dict[str, Any]
    why: str


BAD = [
    Bad("no webhook", {"webhook": None}, "webhook: required field is missing"),
    Bad("both", {"organizations": ["shop"]}, "set one of repositories and organizations"),
    Bad("half a repository", {"repositories": None, "owner": "o"}, "owner and repository go"),
    Bad("no names", {"repositories": [{"owner": "o", "names": []}]}, "names: list should have"),
    Bad("type of content", {"contentType": "xml"}, "contentType: 'xml'"),
    Bad("address", {"githubBaseURL": "ghe.example.com"}, "no URL: write https://HOST/"),
    Bad("number as a text", {"githubApp": {**APP, "appID": "1"}}, "appID: "),
    Bad("URL without scheme", {"webhook": {**HOOK, "url": "hooks"}}, "url: write https://HOST"),
    Bad(
        "pattern",
        {"webhook": {**HOOK, "url": "https://h", "endpoint": "/{a}"}},
        "an endpoint that is registered has no {name} in it",
    ),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_what_is_refused(case):
    with pytest.raises(InvalidModel) as caught:
        source(**case.more)
    assert case.why in str(caught.value)


def test_what_hooks_need():
    with pytest.raises(InvalidModel, match="needs events, to register hooks for"):
        managed(events=[])
    with pytest.raises(InvalidModel, match="needs repositories or organizations"):
        managed(repositories=None)


def test_the_old_form_of_a_repository():
    old = {"owner": "o", "repository": "r"}
    assert source(**old, repositories=None)[0].repository_names == [("o", "r")]
    assert source(**old)[0].repository_names == [("shop", "web"), ("shop", "api")]


def test_hooks_are_told_what_the_manifest_says_and_nothing_else():
    said = managed(active=None)[0]._wanted(None)
    assert said == Wanted(URL, frozenset({"push"}))
    whole = managed(active=False, insecure=True, contentType="json")[0]._wanted(None)
    assert whole == Wanted(
        URL, frozenset({"push"}), active=False, insecure=True, content_type="json"
    )


@pytest.mark.parametrize(
    ("base", "api"),
    [
        ("", "https://api.github.com"),
        ("https://ghe.example.com", "https://ghe.example.com/api/v3"),
        ("https://ghe.example.com/", "https://ghe.example.com/api/v3"),
        ("https://ghe.example.com/api/v3/", "https://ghe.example.com/api/v3"),
        ("https://api.ghe.example.com/", "https://api.ghe.example.com"),
    ],
)
def test_addresses_of_the_api(base, api):
    assert api_url(base) == api


def test_a_path_is_served_once():
    ours = {"webhook": HOOK, "repositories": REPOSITORIES, "webhookSecret": REF}
    slack = {"webhook": HOOK, "signingSecret": REF, "token": REF}
    with pytest.raises(InvalidModel, match=r"github.gh and slack.app have the same port 12000"):
        load(EventSourceSpec, {"github": {"gh": ours}, "slack": {"app": slack}})


async def test_other_kinds_listen_on_the_same_port():
    port = str(free_port())
    spec = {
        "github": {"gh": {"webhook": {**HOOK, "port": port}, "webhookSecret": REF}},
        "gitlab": {"gl": {"webhook": {"endpoint": "/gl", "port": port}, "secretToken": REF}},
        "webhook": {"any": {"endpoint": "/any", "port": port, "method": "POST"}},
    }
    secrets = GivenSecrets({("s", "k"): "x"})
    async with running(spec, secrets=secrets) as it, Talk(int(port)) as talk:
        told = {"Content_Type": "application/json", "X_Hub_Signature_256": signed(b"{}")}
        assert (await talk.ask("/gh", b"{}", **told))[:2] == (200, "success")
        assert (await talk.ask("/gl", b"{}", X_Gitlab_Token="x"))[:2] == (200, "success")
        assert (await talk.ask("/any", b"{}"))[:2] == (200, "success")
        assert (await talk.ask("/gh", b"{}", method="PUT", **told))[0] == 405
        assert (await talk.ask("/gh", b"{}"))[:2] == (401, "missing signature\n")
        assert [event.type for event in await it.events()] == ["github", "gitlab", "webhook"]


# ---------------------------------------------------------------------------- deliveries


@dataclass
class Emitted:
    payloads: list[str] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    refusal: Exception | None = None

    async def __call__(self, payload, *, id=None, **_):
        if self.refusal:
            raise self.refusal
        self.payloads.append(payload.encode().decode())
        self.ids.append(id)


def request(body: bytes, **headers: str) -> web.Request:
    told = {"content_type": "application/json", "x_github_delivery": "d-1", **headers}
    lines = [(k.replace("_", "-").encode(), v.encode()) for k, v in told.items() if v]
    return web.Request(lines, dict(lines), b"", body)


def signed(body: bytes, secret: str = "x", name: str = "sha256") -> str:
    return f"{name}={hmac.new(secret.encode(), body, name).hexdigest()}"


async def post(found: Github, asked: web.Request, emitted: Emitted | None = None) -> Any:
    emitted = emitted or Emitted()
    env = Env("es", "ev", "ns", GivenSecrets(), Shared())
    return await found._handler(env, emitted, None)(asked), emitted


async def test_json_is_written_anew_with_two_headers_among_its_members():
    body = b'{ "z": [1.0, 1e21, 0.1], "a": {"c": "<", "b": 9007199254740993}, "X": null }'
    asked = request(body, x_github_event="push")
    answer, emitted = await post(source(metadata={"b": "1"})[0], asked)
    assert (answer.status, answer.text) == (200, "success")
    (payload,) = emitted.payloads
    assert payload == (
        '{"headers":{"Content-Type":["application/json"],"X-Github-Delivery":["d-1"],'
        '"X-Github-Event":["push"]},"body":{"X":null,"X-GitHub-Delivery":"d-1",'
        '"X-GitHub-Event":"push","a":{"b":9007199254740993,"c":"\\u003c"},'
        '"z":[1,1e+21,0.1]},"metadata":{"b":"1"}}'
    )


async def test_a_form_is_the_same_event():
    body = urlencode({"payload": '{"a":"é&"}'}).encode()
    form = request(body, content_type="application/x-www-form-urlencoded; charset=utf-8")
    _, emitted = await post(source()[0], form)
    assert json.loads(emitted.payloads[0])["body"] == {
        "a": "é&",
        "X-GitHub-Delivery": "d-1",
        "X-GitHub-Event": "",
    }


async def test_a_delivery_that_comes_again_is_the_same_event():
    found = source()[0]
    ids = [(await post(found, request(b"{}")))[1].ids[0] for _ in range(2)]
    other = (await post(found, request(b"{}", x_github_delivery="d-2")))[1].ids[0]
    changed = (await post(found, request(b'{"a":1}')))[1].ids[0]
    unnamed = (await post(found, request(b"{}", x_github_delivery="")))[1].ids[0]
    assert ids[0] == ids[1]
    assert unnamed is None
    assert len({ids[0], other, changed}) == 3


@pytest.mark.parametrize(
    ("body", "kind", "status", "why"),
    [
        (b"{}", "text/plain", 415, "unsupported Content-Type"),
        (b"{}", "", 415, "unsupported Content-Type"),
        (b"", "application/json", 400, "the payload is not JSON"),
        (b"{", "application/json", 400, "the payload is not JSON"),
        (b"[1]", "application/json; charset=utf-8", 400, "is not a JSON object"),
        (b"a=1", "application/x-www-form-urlencoded", 400, "the form has no field payload"),
        (b"payload=%zz", "application/x-www-form-urlencoded", 400, "cannot read"),
        (b"payload=1", "application/x-www-form-urlencoded", 400, "is not a JSON object"),
    ],
)
async def test_what_is_no_delivery(body, kind, status, why):
    answer, emitted = await post(source()[0], request(body, content_type=kind))
    assert (answer.status, emitted.payloads) == (status, [])
    assert why in answer.text


@pytest.mark.parametrize("error", [BusError("no answer"), EventError("too large")])
async def test_errors_of_the_bus_reach_the_server(error):
    with pytest.raises(type(error)):
        await post(source()[0], request(b"{}"), Emitted(refusal=error))


@given(st.binary(max_size=80) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_reading_raises_nothing_else(body):
    raw = body if isinstance(body, bytes) else body.encode()
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        with suppress(ValueError):
            github.event_of(request(raw, content_type=kind), b"")


# ---------------------------------------------------------------------------- signatures

SIGNATURES = [
    ("sha256", {"x_hub_signature_256": signed(b"{}")}, 200),
    ("sha1", {"x_hub_signature": signed(b"{}", name="sha1")}, 200),
    ("sha512", {"x_hub_signature": signed(b"{}", name="sha512")}, 200),
    ("the secret before", {"x_hub_signature_256": signed(b"{}", "old")}, 200),
    ("none", {}, 401),
    ("empty", {"x_hub_signature_256": ""}, 401),
    ("other secret", {"x_hub_signature_256": signed(b"{}", "y")}, 403),
    ("other body", {"x_hub_signature_256": signed(b"{} ")}, 403),
    ("no digits", {"x_hub_signature_256": "sha256="}, 403),
    ("no name", {"x_hub_signature_256": hashlib.sha256(b"{}").hexdigest()}, 403),
    ("other name", {"x_hub_signature_256": signed(b"{}").replace("sha256", "md5")}, 403),
    ("beyond ASCII", {"x_hub_signature_256": "sha256=ü"}, 403),
    (
        "the better one counts",
        {"x_hub_signature_256": "sha256=00", "x_hub_signature": signed(b"{}", name="sha1")},
        403,
    ),
]


@pytest.mark.parametrize(("headers", "status"), [s[1:] for s in SIGNATURES], ids=range(13))
def test_signatures(headers, status):
    refusal = github.refusal(request(b"{}", **headers), ["x", "old"])
    assert (200 if refusal is None else refusal.status) == status


# ---------------------------------------------------------------------------- hooks


@pytest.fixture
async def server():
    async with github_server() as one:
        one.tokens.add("good")
        one.hooks.of = {"repos/shop/web": [], "orgs/shop": []}
        yield one


WEB, SHOP = repository("shop", "web"), organization("shop")
WANTED = Wanted(URL, frozenset({"push"}), active=True, secret="x")


async def one_place(server: GithubServer, stack: Any, wanted: Wanted = WANTED, **more: Any) -> Any:
    client = await stack.enter_async_context(open_client())
    where, token = more.get("where", WEB), more.get("token", "good")
    return GithubPlace(TokenApi(Web(client), server.url, token), *where, wanted)


@pytest.fixture
async def stack():
    async with AsyncExitStack() as one:
        yield one


@pytest.mark.parametrize("where", [WEB, SHOP], ids=["repository", "organization"])
async def test_a_hook_is_made_found_changed_and_deleted(server, stack, where):
    at = await one_place(server, stack, where=where)
    number = await at.create()
    (hook,) = await at.hooks()
    assert (hook.id, hook.url, hook.current) == (number, URL, True)
    assert await at.create() is None, "GitHub refuses a second one"

    other = await one_place(server, stack, Wanted(URL, frozenset({"*"}), active=True), where=where)
    assert not (await other.hooks())[0].current
    await other.update(hook)
    assert (await other.hooks())[0].current
    (there,) = server.hooks.of[where[0].strip("/")]
    assert there["config"]["secret"] == "x", "what is not said stays"

    await at.delete(hook.id)
    await at.delete(hook.id)  # it is gone, and that is well
    assert await at.hooks() == []


async def test_what_a_manifest_does_not_say_stays(server, stack):
    there = server.hooks.add(
        "repos/shop/web",
        URL,
        active=True,
        events=["issues"],
        config={"content_type": "json", "insecure_ssl": "1", "secret": "theirs"},
    )
    at = await one_place(server, stack, Wanted(URL, frozenset({"push"})))
    (hook,) = await at.hooks()
    await at.update(hook)
    assert (there["active"], there["events"]) == (True, ["push"])
    assert there["config"] == {
        "url": URL,
        "content_type": "json",
        "insecure_ssl": "1",
        "secret": "theirs",
    }


@pytest.mark.parametrize(
    ("wanted", "current"),
    [
        (Wanted(URL, frozenset({"push"})), True),
        (Wanted(URL, frozenset({"push"}), active=True, insecure=False), True),
        (Wanted(URL, frozenset({"push", "issues"})), False),
        (Wanted(URL, frozenset({"*"})), False),
        (Wanted(URL, frozenset({"push"}), active=False), False),
        (Wanted(URL, frozenset({"push"}), insecure=True), False),
        (Wanted(URL, frozenset({"push"}), content_type="json"), False),
    ],
)
async def test_what_is_as_it_is_to_be(server, stack, wanted, current):
    server.hooks.add("repos/shop/web", URL)
    at = await one_place(server, stack, wanted)
    assert [hook.current for hook in await at.hooks()] == [current]


@dataclass(frozen=True)
class Denied:
    status: int
    where: tuple[str, str]
    hint: str
    permanent: bool = True
    headers: dict[str, str] = field(default_factory=dict)


DENIED = [
    Denied(401, WEB, "the token is not good"),
    Denied(403, WEB, "Webhooks of the repository, read and write; a classic token"),
    Denied(404, WEB, "GitHub hides what a token may not see"),
    Denied(403, SHOP, "Webhooks of the organization, read and write; a classic token"),
    Denied(403, SHOP, "", permanent=False, headers={"Retry_After": "60"}),
    Denied(500, WEB, "", permanent=False),
]


@pytest.mark.parametrize("case", DENIED, ids=range(len(DENIED)))
async def test_refusals_say_which_permission_is_missing(server, stack, case):
    server.refuse = lambda _method, _path: Refusal(case.status, "No", **case.headers)
    at = await one_place(server, stack, where=case.where)
    for act in (at.hooks(), at.create()):
        with pytest.raises(TriggerError) as caught:
            await act
        assert case.hint in caught.value.hint
        assert caught.value.permanent is case.permanent
        assert "good" not in caught.value.message


async def test_a_token_that_is_not_good_is_not_asked_with_again(server, stack):
    at = await one_place(server, stack, token="bad")
    with pytest.raises(TriggerError, match="401"):
        await at.hooks()
