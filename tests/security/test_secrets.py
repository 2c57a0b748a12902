"""Where the value of a Secret turns up that was used: nowhere but at its target."""

import asyncio
import base64
import json
import logging

import pytest
from aiohttp import web
from click.testing import CliRunner
from plan_kit import event

from delivery.action import Action
from delivery.dead import list_dead
from eventbus.bus import ACTIONS, DEAD, DECISIONS, EVENTS
from eventbus.memory import MemoryBus
from sensor.plan import compile_plan
from sensor.runner import Runner
from sensor.spec import SensorSpec
from sensor.triggers.http import Http, HttpSender
from spine.errors import ConfigError, TriggerError
from spine.event import encode
from spine.http.client import open_client
from spine.model import load
from spine.secrets import ConfigMapRef, GivenSecrets, MountedSecrets, SecretRef
from spine.telemetry import JsonLines, SensorMetrics, StatusServer
from tocsin.cli import cli

TOKEN, PASSWORD = "tok-5f1e9c0d7a", "pa:ss word-81"
FORMS = (
    TOKEN,
    PASSWORD,
    base64.b64encode(f"me:{PASSWORD}".encode()).decode(),
    base64.b64encode(TOKEN.encode()).decode(),
)
SECRETS = GivenSecrets({("s", "token"): f"Bearer {TOKEN}", ("s", "u"): "me", ("s", "p"): PASSWORD})


def http(url: str, **more):
    return {
        "url": url,
        "method": "POST",
        "secureHeaders": [
            {"name": "X-Token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}}
        ],
        "basicAuth": {
            "username": {"name": "s", "key": "u"},
            "password": {"name": "s", "key": "p"},
        },
        **more,
    }


def shows(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


@pytest.fixture
async def echo():
    """A target that refuses, and repeats all that it was sent, as many do."""
    heard: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        said = "\n".join(f"{k}: {v}" for k, v in request.headers.items())
        heard.append(said)
        login = base64.b64decode(request.headers["Authorization"][6:]).decode()
        return web.Response(status=400, reason="Told", text=f"{login}\n{said}")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/in", heard
    await runner.cleanup()


async def test_action_names_its_secrets_and_holds_none(echo) -> None:
    content = load(Http, http(echo[0])).compile()({"d": event(data=b"{}")})
    assert shows(json.dumps(content)) == []
    assert content["secureHeaders"][0]["valueFrom"] == {
        "secretKeyRef": {"name": "s", "key": "token"}
    }


async def test_target_that_repeats_credentials_is_not_believed(echo) -> None:
    url, heard = echo
    content = load(Http, http(url)).compile()({"d": event(data=b"{}")})
    action = Action(key="k", sensor="s", trigger="t", kind="http", content=content)
    async with open_client({}) as client:
        with pytest.raises(TriggerError, match="400 Told") as found:
            await HttpSender(client, SECRETS).send(action, 1)
    assert shows(heard[0])  # the target got them
    assert shows(str(found.value)) == []
    assert "***" in str(found.value)


async def test_logs_metrics_status_and_dead_letters_hold_none(echo, caplog) -> None:
    """A Sensor whose action is refused, with all that is left of it looked through."""
    caplog.set_level(logging.DEBUG)
    raw = {
        "dependencies": [{"name": "d", "eventSourceName": "h", "eventName": "e"}],
        "triggers": [
            {
                "template": {"name": "t", "http": http(echo[0])},
                "retryStrategy": {"steps": 1},
                "atLeastOnce": True,
            }
        ],
    }
    plan = compile_plan("s", "ns", load(SensorSpec, raw))
    bus, metrics = MemoryBus(), SensorMetrics("ns", "s", plan.triggers)
    up = asyncio.Event()
    runner = Runner(plan, bus, SECRETS, metrics, ready=up.set)
    task = asyncio.create_task(runner.run())
    async with asyncio.timeout(60):
        await up.wait()
        one = event("e", source="h", data=b'{"a":1}')
        await bus.append(EVENTS, f"{EVENTS}.h.e", encode(one))
        while not [entry async for entry in list_dead(bus)]:
            await asyncio.sleep(0.02)
    found = [repr(part) for part in runner.parts]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with StatusServer("127.0.0.1", 0, metrics.registry, {}) as server:
        found.append(server.answer("/metrics")[2].decode())
    for stream in (EVENTS, ACTIONS, DEAD, DECISIONS):
        found += [message.data.decode() async for message in bus.read(stream)]
    found += [JsonLines({}).format(record) for record in caplog.records]
    (entry,) = [one async for one in list_dead(bus)]
    assert "400 Told" in entry.letter.message
    for text in found:
        assert shows(text) == [], text[:500]
        for line in text.splitlines():
            assert not any(shows(_decoded(word)) for word in line.split('"')), line[:300]


def _decoded(word: str) -> str:
    """Return what a word of base64 says; streams hold bytes so."""
    try:
        return base64.b64decode(word, validate=True).decode(errors="replace")
    except ValueError:
        return ""


def test_explain_lint_and_rbac_show_none(tmp_path) -> None:
    trigger = {"template": {"name": "t", "http": http("http://127.0.0.1:1/in")}}
    sensor = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": "s"},
        "spec": {
            "dependencies": [{"name": "d", "eventSourceName": "h", "eventName": "e"}],
            "triggers": [trigger],
        },
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"token": f"Bearer {TOKEN}", "u": "me", "p": PASSWORD},
    }
    file, data = str(tmp_path / "s.json"), str(tmp_path / "data.json")
    objects = {"apiVersion": "v1", "kind": "List", "items": [sensor, secret]}
    (tmp_path / "s.json").write_text(json.dumps(objects))
    (tmp_path / "data.json").write_text("{}")
    explain = ["explain", file, "--event", data, "--source", "h", "--name", "e"]
    for words in ([*explain, "--full"], [*explain, "-o", "json"], ["lint", file], ["rbac", file]):
        output = CliRunner().invoke(cli, words).output
        assert "No such option" not in output
        assert shows(output) == [], words
        assert words[0] != "explain" or "X-Token" in output


# ---------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("s", "../../token"),
        ("s", "..data/../../../token"),
        ("..", "token"),
        ("../..", "token"),
        ("s", "/token"),
        ("s/..", "token"),
        ("s", ".."),
        ("", "token"),
    ],
)
def test_name_of_a_key_leads_to_no_other_file(name: str, key: str, tmp_path) -> None:
    """The token of the pod's account lies in the same file system."""
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "secrets/s/..data").mkdir(parents=True)
    mounted = MountedSecrets(tmp_path / "secrets", tmp_path / "secrets")
    for read, ref in ((mounted.secret, SecretRef), (mounted.config_map, ConfigMapRef)):
        with pytest.raises(ConfigError, match="cannot be a name"):
            read(ref(name=name, key=key))


def test_key_of_a_secret_is_read(tmp_path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s/tls.crt").write_text("x\n")
    assert MountedSecrets(tmp_path).secret(SecretRef(name="s", key="tls.crt")) == "x"
