"""HTTP triggers: what is rendered, what reaches a server, and what its answers mean.

Servers are real and on loopback: plain, slow, refusing, redirecting, and with TLS.
"""

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import CERT_REQUIRED, PROTOCOL_TLS_SERVER, SSLContext

import pytest
from aiohttp import web
from plan_kit import event

from delivery.action import Action
from sensor.triggers.http import Http, HttpSender, judge
from spine.errors import ConfigError, ParameterError, TriggerError
from spine.http import url as gourl
from spine.http.client import Request, Response, _retry_after, open_client
from spine.model import load
from spine.secrets import GivenSecrets

EVENTS = {"orders": event(data=b'{"id":"A-1","total":59.9,"path":"x/y","nl":"a\\nb"}')}
SECRETS = GivenSecrets(
    {
        ("s", "token"): "hush\n",
        ("s", "user"): "me",
        ("s", "password"): "pa:ss",
        ("s", "nl"): "a\nb",
    },
    {("c", "team"): "red"},
)


def content(**http: object) -> dict:
    return load(Http, {"url": "http://127.0.0.1:1/x"} | http).compile()(EVENTS)


def src(**src: object) -> dict:
    return {"dependencyName": "orders"} | src


def action(content: dict) -> Action:
    return Action(key="k", sensor="s", trigger="t", kind="http", content=content)


# ---------------------------------------------------------------------------- rendering


def test_content_holds_everything_that_an_attempt_needs() -> None:
    made = content(
        method="PUT",
        payload=[
            {"src": src(dataKey="id"), "dest": "id"},
            {"src": src(dataKey="total", useRawData=True), "dest": "total"},
        ],
        headers={"X-A": " 1 ", "Host": "ignored", "content-length": "5"},
        dynamicHeaders=[{"src": src(dataKey="id"), "dest": "X-Id"}],
        secureHeaders=[
            {"name": "X-T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}}
        ],
        basicAuth={"username": {"name": "s", "key": "user"}},
        host="virtual",
        timeout=0,
        tls={"insecureSkipVerify": True},
    )
    assert made == {
        "method": "PUT",
        "url": "http://127.0.0.1:1/x",
        "timeout": 60,
        "host": "virtual",
        "secureHeaders": [
            {"name": "X-T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}}
        ],
        "basicAuth": {"username": {"name": "s", "key": "user"}},
        "tls": {"insecureSkipVerify": True},
        "headers": {"X-A": "1", "X-Id": "A-1"},
        "body": '{"id":"A-1","total":59.9}',
    }
    assert json.loads(json.dumps(made)) == made


def test_a_header_of_a_missing_dependency_is_left_out() -> None:
    headers = [{"src": {"dependencyName": "gone"}, "dest": "X-Id"}]
    assert content(dynamicHeaders=headers, headers={"X-Id": "0"})["headers"] == {"X-Id": "0"}


def test_own_parameters_change_the_request_of_one_event_only() -> None:
    http = load(
        Http,
        {
            "url": "http://host/",
            "parameters": [
                {"src": src(dataKey="path", value="none"), "dest": "url", "operation": "append"}
            ],
        },
    )
    render = http.compile()
    assert render(EVENTS)["url"] == "http://host/x/y"
    assert render({"orders": event(data=b"{}")})["url"] == "http://host/none"


@pytest.mark.parametrize(
    ("parameter", "problem"),
    [
        (
            {"src": src(dataKey="id"), "dest": "timeout"},
            "timeout: 'A-1': input should be a valid int",
        ),
        ({"src": src(value="not a url"), "dest": "url"}, "scheme '' is not http or https"),
        (
            {"src": src(dataKey="id"), "dest": "headers"},
            "headers: 'A-1': input should be a valid dict",
        ),
        ({"src": src(dataKey="nope"), "dest": "url"}, "resolving dataKey 'nope'"),
    ],
)
def test_parameters_that_do_not_fit_are_a_fault_of_the_event(parameter: dict, problem: str) -> None:
    with pytest.raises(ParameterError) as caught:
        content(parameters=[parameter])
    assert problem in str(caught.value)


def test_a_header_value_with_a_line_break_is_a_fault_of_the_event() -> None:
    with pytest.raises(
        ParameterError, match=r"setting header 'X-N' to 'a\\nb': it holds a control"
    ):
        content(dynamicHeaders=[{"src": src(dataKey="nl"), "dest": "X-N"}])


@pytest.mark.parametrize(
    ("http", "problem"),
    [
        ({"url": ""}, "url: '': string should have at least 1 character"),
        ({"url": "svc/x"}, "reading http.url 'svc/x': scheme '' is not http or https"),
        ({"method": "HEAD"}, "method: 'HEAD': input should be"),
        ({"method": "post"}, "'POST' or 'PUT' (did you mean POST)"),
        ({"timeout": "5"}, "timeout: '5': input should be a valid integer"),
        ({"timeout": 1.5}, "timeout: 1.5: input should be a valid integer"),
        ({"headers": {"X": 1}}, "headers.X: 1: input should be a valid string"),
        ({"headers": {"X Y": "1"}}, "reading http.headers 'X Y': it is no name of a header"),
        ({"headers": {"X": "a\nb"}}, "reading http.headers 'X': it holds a control character"),
        (
            {"secureHeaders": [{"name": "X"}]},
            "secureHeaders[0].valueFrom: required field is missing",
        ),
        ({"secureHeaders": [{"name": "X", "valueFrom": {}}]}, "set exactly one of: secretKeyRef"),
        ({"dynamicHeaders": [{"src": src(), "dest": ""}]}, "should have at least 1 character"),
        ({"tls": {}}, "set caCertSecret, clientCertSecret, insecureSkipVerify or enabled"),
        ({"tls": {"clientCertSecret": {"name": "s", "key": "k"}}}, "belong together: set both"),
        ({"serverURL": "x"}, "serverURL: unknown field"),
    ],
)
def test_bad_settings_are_refused_at_once(http: dict, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        content(**http)
    assert problem in str(caught.value)


# ---------------------------------------------------------------------------- sending

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, tls: SSLContext | None = None) -> AsyncIterator[str]:
    """Serve one handler on a free port of loopback and give its URL."""
    server = web.Server(handler)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        port = runner.addresses[0][1]
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def sender() -> AsyncIterator[HttpSender]:
    async with open_client({}) as client:
        yield HttpSender(client, SECRETS)


class Seen:
    """A handler that remembers what came."""

    def __init__(self, *answers: web.Response, status: int = 200, text: str = "") -> None:
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.connections: set[object] = set()
        self._answers = list(answers)
        self._status, self._text = status, text

    async def __call__(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.connections.add(request.transport)
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        if self._answers:
            return self._answers.pop(0)
        return web.Response(status=self._status, text=self._text)


async def test_request_as_it_arrives(sender: HttpSender) -> None:
    seen = Seen()
    async with serving(seen) as url:
        made = content(
            url=f"{url}/hook?a=1",
            headers={"X-A": "1"},
            secureHeaders=[
                {"name": "X-T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
                {"name": "X-C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "team"}}},
            ],
            basicAuth={
                "username": {"name": "s", "key": "user"},
                "password": {"name": "s", "key": "password"},
            },
            host="virtual.local",
            payload=[{"src": src(dataKey="id"), "dest": "id"}],
        )
        outcome = await sender.send(action(made), 1)
    assert outcome.summary == "200 OK"
    (method, target, headers, body) = seen.requests[0]
    assert (method, target, body) == ("POST", "/hook?a=1", '{"id":"A-1"}')
    assert headers.pop("User-Agent").startswith("tocsin/")
    assert headers == {
        "Host": "virtual.local",
        "X-A": "1",
        "X-T": "hush",
        "X-C": "red",
        "Authorization": "Basic " + base64.b64encode(b"me:pa:ss").decode(),
        "Content-Length": "12",
    }
    assert "hush" not in json.dumps(made)


async def test_connections_are_used_again_whatever_the_response_is(sender: HttpSender) -> None:
    seen = Seen(text="x" * 30_000)
    async with serving(seen) as url:
        for _ in range(5):
            await sender.send(action(content(url=url)), 1)
    assert len(seen.requests) == 5
    assert len(seen.connections) == 1


async def test_many_requests_are_under_way_at_a_time(sender: HttpSender) -> None:
    everybody, count = asyncio.Event(), 0

    async def hold(_: web.Request) -> web.Response:
        nonlocal count
        count += 1
        if count == 150:
            everybody.set()
        await everybody.wait()
        return web.Response()

    async with serving(hold) as url, asyncio.timeout(20), asyncio.TaskGroup() as group:
        for _ in range(150):
            group.create_task(sender.send(action(content(url=url)), 1))


async def test_a_huge_response_is_not_read(sender: HttpSender) -> None:
    async with serving(Seen(status=500, text="x" * 5_000_000)) as url:
        with pytest.raises(TriggerError) as caught:
            await sender.send(action(content(url=url)), 1)
    assert str(caught.value) == f"sending POST {url}/: 500 Internal Server Error: {'x' * 200}"


async def test_refused_connection(sender: HttpSender) -> None:
    async with serving(Seen()) as url:
        pass
    with pytest.raises(TriggerError, match="refused") as caught:
        await sender.send(action(content(url=f"{url}/x?token=t")), 1)
    assert f"sending POST {url}/x?...: " in str(caught.value)
    assert not caught.value.permanent


async def test_a_slow_target_is_given_up_after_the_timeout(sender: HttpSender) -> None:
    hold = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await hold.wait()
        return web.Response()

    async with serving(slow) as url:
        made = content(url=url) | {"timeout": 0.05}
        with pytest.raises(TriggerError, match=r"no response within 0.05 s \(raise http.timeout\)"):
            await sender.send(action(made), 1)
        hold.set()


async def test_a_connection_that_breaks_is_not_a_second_request(sender: HttpSender) -> None:
    count = 0

    async def breaking(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(breaking) as url:
        with pytest.raises(TriggerError) as caught:
            await sender.send(action(content(url=url)), 1)
    assert count == 1
    assert not caught.value.permanent


async def test_unknown_host(sender: HttpSender) -> None:
    with pytest.raises(TriggerError, match=r"sending POST http://nowhere.invalid/"):
        await sender.send(action(content(url="http://nowhere.invalid/")), 1)


@pytest.mark.parametrize(("status", "method", "body"), [(302, "GET", ""), (307, "POST", "A-1")])
async def test_redirects_are_followed_as_go_does(
    sender: HttpSender, status: int, method: str, body: str
) -> None:
    seen = Seen(web.Response(status=status, headers={"Location": "/next"}))
    async with serving(seen) as url:
        made = content(
            url=f"{url}/first",
            headers={"Content-Type": "text/plain", "Authorization": "mine"},
            payload=[{"src": src(dataKey="id"), "dest": ""}],
        )
        assert (await sender.send(action(made), 1)).summary == "200 OK"
    got, target, headers, text = seen.requests[1]
    assert (got, target, text) == (method, "/next", body)
    assert headers["Authorization"] == "mine"
    assert ("Content-Type" in headers) is (method == "POST")


async def test_secrets_do_not_follow_a_redirect_to_another_host(sender: HttpSender) -> None:
    other = Seen()
    async with serving(other) as elsewhere:
        seen = Seen(web.Response(status=307, headers={"Location": f"{elsewhere}/next"}))
        async with serving(seen) as url:
            made = content(
                url=url,
                headers={"X-A": "1", "Cookie": "c"},
                secureHeaders=[
                    {"name": "X-T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}}
                ],
                basicAuth={"username": {"name": "s", "key": "user"}},
            )
            await sender.send(action(made), 1)
    first, second = seen.requests[0][2], other.requests[0][2]
    assert {"X-T", "Authorization", "Cookie", "X-A"} <= first.keys()
    assert "X-A" in second
    assert not {"X-T", "Authorization", "Cookie"} & second.keys()


async def test_endless_redirects_end(sender: HttpSender) -> None:
    async def again(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/"})

    async with serving(again) as url:
        with pytest.raises(TriggerError, match="more than 10 redirects"):
            await sender.send(action(content(url=url)), 1)


async def test_a_redirect_out_of_http_is_refused(sender: HttpSender) -> None:
    seen = Seen(web.Response(status=302, headers={"Location": "file:///etc/passwd"}))
    async with serving(seen) as url:
        with pytest.raises(TriggerError, match="scheme 'file' is not http or https"):
            await sender.send(action(content(url=url)), 1)


async def test_a_secret_that_is_missing_may_yet_come(sender: HttpSender) -> None:
    made = content(basicAuth={"username": {"name": "gone", "key": "k"}})
    with pytest.raises(TriggerError, match="key 'k' of Secret 'gone'") as caught:
        await sender.send(action(made), 1)
    assert not caught.value.permanent


async def test_a_secret_that_is_no_header_is_never_shown(sender: HttpSender) -> None:
    value = {"secretKeyRef": {"name": "s", "key": "nl"}}
    made = content(secureHeaders=[{"name": "X", "valueFrom": value}])
    with pytest.raises(TriggerError, match="header 'X': it holds a control character") as caught:
        await sender.send(action(made), 1)
    assert "a\nb" not in str(caught.value)


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen()
    async with serving(seen) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        async with open_client({"http_proxy": proxy}) as client:
            sender = HttpSender(client, SECRETS)
            await sender.send(action(content(url="http://svc.invalid/x")), 1)
    assert seen.requests[0][2]["Host"] == "svc.invalid"


# ---------------------------------------------------------------------------- answers


ASKED = Request("POST", gourl.parse("http://h/"))


@pytest.mark.parametrize(
    ("status", "allow", "result"),
    [
        (200, None, "done"),
        (204, None, "done"),
        (304, None, "permanent"),
        (400, None, "permanent"),
        (404, None, "permanent"),
        (408, None, "again"),
        (425, None, "again"),
        (429, None, "again"),
        (500, None, "again"),
        (503, None, "again"),
        (200, [200, 201], "done"),
        (202, [200, 201], "permanent"),
        (404, [404], "done"),
        (500, [500], "done"),
        (503, [200], "again"),
        (200, [], "permanent"),
    ],
)
def test_judge(status: int, allow: list[int] | None, result: str) -> None:
    response = Response(status, "", "")
    if result == "done":
        assert judge(ASKED, response, allow).detail == {"status": status}
        return
    with pytest.raises(TriggerError) as caught:
        judge(ASKED, response, allow)
    assert caught.value.permanent is (result == "permanent")


def test_what_the_target_says_is_told() -> None:
    with pytest.raises(TriggerError) as caught:
        judge(ASKED, Response(429, "Too Many Requests", "slow down", 7.0), None)
    assert str(caught.value) == "sending POST http://h/: 429 Too Many Requests: slow down"
    assert caught.value.retry_after == 7.0


def test_retry_after() -> None:
    assert _retry_after("120") == 120.0
    assert _retry_after("soon") is None
    assert _retry_after("") is None
    assert _retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0
    assert (_retry_after("Fri, 31 Dec 2100 23:59:59 GMT") or 0) > 1e9


# ---------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 that trusts itself, once."""
    folder = tmp_path_factory.mktemp("certificates")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
        f" -keyout {folder}/key.pem -out {folder}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return folder


def server_tls(folder: Path, *, client: bool = False) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    if client:
        context.verify_mode = CERT_REQUIRED
        context.load_verify_locations(folder / "cert.pem")
    return context


def tls_secrets(folder: Path) -> GivenSecrets:
    cert, key = (folder / "cert.pem").read_text(), (folder / "key.pem").read_text()
    return GivenSecrets({("tls", "cert"): cert, ("tls", "key"): key, ("tls", "bad"): "nonsense"})


CERT, KEY = {"name": "tls", "key": "cert"}, {"name": "tls", "key": "key"}


@pytest.mark.parametrize(
    ("tls", "client", "problem"),
    [
        (None, False, "its certificate is not trusted"),
        ({"enabled": True}, False, "its certificate is not trusted"),
        ({"caCertSecret": CERT}, False, ""),
        ({"insecureSkipVerify": True}, False, ""),
        ({"caCertSecret": CERT}, True, "sending POST https://127.0.0.1"),
        ({"caCertSecret": CERT, "clientCertSecret": CERT, "clientKeySecret": KEY}, True, ""),
        ({"insecureSkipVerify": True, "clientCertSecret": CERT, "clientKeySecret": KEY}, True, ""),
        ({"caCertSecret": {"name": "tls", "key": "bad"}}, False, "holds no certificate in PEM"),
        (
            {"clientCertSecret": {"name": "tls", "key": "bad"}, "clientKeySecret": KEY},
            False,
            "no certificate and key in PEM",
        ),
    ],
)
async def test_tls(certificates: Path, tls: dict | None, client: bool, problem: str) -> None:
    async with (
        serving(Seen(), server_tls(certificates, client=client)) as url,
        open_client({}) as http,
    ):
        sender = HttpSender(http, tls_secrets(certificates))
        made = content(url=url, **({} if tls is None else {"tls": tls}))
        if problem:
            with pytest.raises(TriggerError, match=problem):
                await sender.send(action(made), 1)
        else:
            assert (await sender.send(action(made), 1)).summary == "200 OK"
            await sender.send(action(made), 2)
            assert len(http._contexts) == 1
