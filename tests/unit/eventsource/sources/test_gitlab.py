"""The gitlab source: its configuration, who may post, and the event that a delivery becomes."""

import json
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from gitlab_kit import FLAGS, GitlabServer, Refusal, gitlab_server
from hypothesis import given
from hypothesis import strategies as st

from eventsource import web
from eventsource.gitlab import events
from eventsource.gitlab import request as gitlab
from eventsource.gitlab.hooks import GitlabPlace, Wanted, api_url
from eventsource.rotating import Rotating
from eventsource.sources.gitlab import Gitlab, _guard
from services.hiding import Hiding
from services.web import Web
from spine.errors import BusError, EventError, TriggerError
from spine.http.client import open_client
from spine.model import InvalidModel, load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets, SecretRef

HOOK = {"endpoint": "/gl", "port": "12000"}
REF = {"name": "s", "key": "k"}
URL = "https://hooks.example.com/gl"
WANTS = "gitlab: Argo Events wants events, gitlabBaseURL and accessToken in any case"


def source(**more: Any) -> tuple[Gitlab, list[str]]:
    warnings: list[str] = []
    base = {
        "webhook": HOOK,
        "projects": ["shop/web"],
        "events": ["PushEvents"],
        "gitlabBaseURL": "https://gitlab.com",
        "accessToken": REF,
        "secretToken": REF,
    }
    raw = {name: value for name, value in {**base, **more}.items() if value is not None}
    return load(Gitlab, raw, on_warning=warnings.append), warnings


# ---------------------------------------------------------------------------- configuration


@dataclass(frozen=True)
class Good:
    name: str
    more: dict[str, Any]
    manages: bool = False
    warning: str = ""


MANAGED = {**HOOK, "url": "https://hooks.example.com"}
GOOD = [
    Good("by hand", {}),
    Good("nothing but a path", {"events": None, "gitlabBaseURL": None}, warning=WANTS),
    Good("managed", {"webhook": MANAGED}, manages=True),
    Good("groups", {"webhook": MANAGED, "projects": None, "groups": ["g"]}, manages=True),
    Good("no secret", {"secretToken": None}, warning="secretToken: without it whoever reaches"),
    Good("verification", {"events": ["PushEvents", "EnableSSLVerification"]}),
    Good(
        "not for groups",
        {"groups": ["g"], "events": ["DeploymentEvents", "PushEvents"]},
        warning="events: DeploymentEvents: not registered for groups",
    ),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
def test_what_is_taken(case):
    found, warnings = source(**case.more)
    assert found.manages is case.manages
    assert [one for one in warnings if not case.warning or case.warning not in one] == []
    assert bool(warnings) is bool(case.warning)


@dataclass(frozen=True)
class Bad:
    name: str
    more: dict[str, Any]
    why: str


BAD = [
    Bad("unknown event", {"events": ["PushEvent"]}, "no event is called 'PushEvent' (did you mean"),
    Bad("option", {"events": ["URL"]}, "no event is called 'URL' (one of Confidential"),
    Bad("address", {"gitlabBaseURL": "gitlab.com"}, "no URL: write https://HOST"),
    Bad("no events", {"webhook": MANAGED, "events": []}, "needs events, to register hooks with"),
    Bad("no token", {"webhook": MANAGED, "accessToken": None}, "needs accessToken, to"),
    Bad("no projects", {"webhook": MANAGED, "projects": []}, "needs projects or groups, to"),
    Bad("number", {"projects": [7]}, "projects[0]: 7: input should be a valid string"),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_what_is_refused(case):
    with pytest.raises(InvalidModel) as caught:
        source(**case.more)
    assert case.why in str(caught.value)


def test_the_old_form_of_a_project():
    assert source(projects=None, projectID="7")[0].project_names == ["7"]
    assert source(projectID="7")[0].project_names == ["shop/web"]


def test_every_event_is_a_setting_of_the_api():
    wanted = events.settings(frozenset(events.EVENTS), group=False)
    assert wanted == dict.fromkeys(FLAGS, True)
    assert events.settings(frozenset({"WikiPageEvents"}), group=True) == {
        name: name == "wiki_page_events"
        for name in FLAGS
        - {
            "deployment_events",
            "releases_events",
            "resource_access_token_events",
            "vulnerability_events",
        }
    }


@pytest.mark.parametrize(
    "base",
    ["https://g", "https://g/", "https://g/api/v4", "https://g/api/v4/"],
)
def test_addresses_of_the_api(base):
    assert api_url(base) == "https://g/api/v4"
    assert api_url("https://host/git/") == "https://host/git/api/v4"


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
    lines = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return web.Request(lines, dict(lines), b"", body)


def env(token: str = "t") -> Env:
    return Env("es", "ev", "ns", GivenSecrets({("s", "k"): token}), Shared())


async def post(asked: web.Request, emitted: Emitted | None = None, **more: Any) -> Any:
    emitted = emitted or Emitted()
    return await source(**more)[0]._handler(env(), emitted)(asked), emitted


async def test_the_body_goes_through_and_the_token_does_not():
    body = b'{ "z": 1.0e2, "a": "<", "n": 12345678901234567890 }'
    asked = request(body, x_gitlab_token="t0ps3cret", x_gitlab_event="Push Hook")
    answer, emitted = await post(asked, metadata={"b": "1"})
    assert (answer.status, answer.text) == (200, "success")
    (payload,) = emitted.payloads
    assert payload == (
        '{"headers":{"X-Gitlab-Event":["Push Hook"],'
        '"X-Gitlab-Token":["*** Masked Auth Secret ***"]},'
        '"body":{"z":1.0e2,"a":"\\u003c","n":12345678901234567890},"metadata":{"b":"1"}}'
    )


async def known(body: bytes, **headers: str) -> str | None:
    return (await post(request(body, **headers)))[1].ids[0]


async def test_a_delivery_that_comes_again_is_the_same_event():
    first = await known(b"1", idempotency_key="a", x_gitlab_event_uuid="u")
    again = await known(b"1", idempotency_key="a", x_gitlab_event_uuid="other")
    second = await known(b"1", idempotency_key="b", x_gitlab_event_uuid="u")
    assert first == again
    assert first != second


async def test_hooks_of_one_chain_have_one_uuid_and_are_not_the_same_event():
    first = await known(b"1", x_gitlab_event_uuid="u")
    assert first == await known(b"1", x_gitlab_event_uuid="u")
    assert first != await known(b"2", x_gitlab_event_uuid="u")
    assert first != await known(b"1", x_gitlab_event_uuid="v")
    assert await known(b"1") is None


@pytest.mark.parametrize("body", [b"", b"{", b"1 2", b"\xff"])
async def test_what_is_no_delivery(body):
    answer, emitted = await post(request(body))
    assert (answer.status, emitted.payloads) == (400, [])
    assert answer.text.startswith("invalid event: ")


@pytest.mark.parametrize("error", [BusError("no answer"), EventError("too large")])
async def test_errors_of_the_bus_reach_the_server(error):
    with pytest.raises(type(error)):
        await post(request(b"{}"), Emitted(refusal=error))


@given(st.binary(max_size=80) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_reading_raises_nothing_else(body):
    with suppress(ValueError):
        gitlab.event_of(request(body if isinstance(body, bytes) else body.encode()), b"")


@pytest.mark.parametrize(
    ("given", "status"),
    [("t", 200), ("", 401), (None, 401), ("T", 403), ("tt", 403), ("ü", 403)],
)
async def test_tokens(given, status, caplog):
    around = env()
    guard = _guard(around, Rotating(around.secrets, SecretRef(name="s", key="k")))
    fields = {} if given is None else {b"x-gitlab-token": given.encode()}
    answer = await guard(fields)
    assert (200 if answer is None else answer.status) == status
    assert bool(caplog.records) is (status != 200)


# ---------------------------------------------------------------------------- hooks


@pytest.fixture
async def server():
    async with gitlab_server() as one:
        yield one


@pytest.fixture
async def stack():
    async with AsyncExitStack() as one:
        yield one


PROJECT, GROUP = ("projects", "shop/web"), ("groups", "warehouse")
WANTED = Wanted(URL, frozenset({"PushEvents"}), token="t")


async def at(server: GitlabServer, stack: AsyncExitStack, wanted: Wanted = WANTED, **more: Any):
    web = Web(await stack.enter_async_context(open_client()), hide=Hiding(["glpat-good"]))
    token, where = more.get("token", "glpat-good"), more.get("where", PROJECT)
    return GitlabPlace(web, api_url(server.url), token, where, wanted)


@pytest.mark.parametrize("where", [PROJECT, GROUP], ids=["project", "group"])
async def test_a_hook_is_made_found_changed_and_deleted(server, stack, where):
    place = await at(server, stack, where=where)
    number = await place.create()
    (hook,) = await place.hooks()
    assert (hook.id, hook.url, hook.current) == (number, URL, True)

    other = Wanted(URL, frozenset({"NoteEvents"}), verify=True)
    changed = await at(server, stack, other, where=where)
    assert not (await changed.hooks())[0].current
    await changed.update(hook)
    assert (await changed.hooks())[0].current
    (there,) = server.hooks["/".join(where)]
    assert there["token"] == "t", "what is not said stays"
    assert (there["push_events"], there["note_events"]) == (False, True)

    await place.delete(hook.id)
    await place.delete(hook.id)  # it is gone, and that is well
    assert await place.hooks() == []


async def test_verification_is_off_where_nothing_is_said_and_stays_as_it_is(server, stack):
    place = await at(server, stack)
    number = await place.create()
    (there,) = server.hooks["projects/shop/web"]
    assert (there["id"], there["enable_ssl_verification"]) == (number, False)
    there["enable_ssl_verification"] = True
    (hook,) = await place.hooks()
    assert hook.current
    await place.update(hook)
    assert there["enable_ssl_verification"] is True


async def test_a_hook_that_gitlab_switched_off(server, stack):
    server.add("projects/shop/web", URL, alert_status="temporarily_disabled")
    (hook,) = await (await at(server, stack)).hooks()
    assert "GitLab has set it to temporarily disabled" in hook.problem


@dataclass(frozen=True)
class Denied:
    status: int
    where: tuple[str, str]
    hint: str
    permanent: bool = True


DENIED = [
    Denied(401, PROJECT, "the access token is not good"),
    Denied(403, PROJECT, "the scope api and the role Maintainer of the project"),
    Denied(404, PROJECT, "GitLab hides what a token may not see"),
    Denied(403, GROUP, "the role Owner of the group, and a licence"),
    Denied(422, PROJECT, "see its outbound requests"),
    Denied(429, PROJECT, "", permanent=False),
    Denied(502, GROUP, "", permanent=False),
]


@pytest.mark.parametrize("case", DENIED, ids=lambda case: f"{case.status} {case.where[0]}")
async def test_refusals_say_which_permission_is_missing(server, stack, case):
    server.refuse = lambda _method, _path: Refusal(case.status, {"error": "no glpat-good"})
    place = await at(server, stack, where=case.where)
    for act in (place.hooks(), place.create()):
        with pytest.raises(TriggerError) as caught:
            await act
        assert case.hint in caught.value.hint
        assert caught.value.permanent is case.permanent
        assert "glpat-good" not in str(caught.value)


async def test_the_token_goes_to_no_other_host(server, stack):
    async with gitlab_server() as other:
        other.tokens = {None}  # takes requests that have none
        other.hooks["projects/shop/web"] = []
        target = f"{other.url}/api/v4/projects/shop%2Fweb/hooks".replace("127.0.0.1", "localhost")
        server.refuse = lambda _method, _path: Refusal(302, {}, Location=target)
        assert await (await at(server, stack)).hooks() == []
        assert len(other.requests) == 1
