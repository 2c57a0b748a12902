"""Triggers that tell people, on receivers of HTTP and mail: notify, slack, email."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from moto_kit import REGION, moto_server
from nats_server import find_binary
from plan_kit import event
from ports import free_port
from services_kit import Kept, Mailbox, Receiver, Reply, mail_server, receiver
from tocsin_run import started

from delivery.action import Action, PartlyDone, Sender
from delivery.dead import list_dead
from eventbus.bus import ACTIONS
from eventbus.memory import MemoryBus
from sensor.plan import Plan, compile_plan
from sensor.runner import Runner
from sensor.spec import SensorSpec
from spine.errors import TriggerError
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets
from spine.telemetry import SensorMetrics

pytestmark = pytest.mark.timeout(180)
SECRETS = {("told", "token"): "xoxb-first\n", ("mail", "password"): "hush-hush"}
POSTED = {"ok": True, "channel": "C1", "ts": "1.5"}


def plan(kind: str, settings: dict[str, Any], **entry: Any) -> Plan:
    spec = {
        "dependencies": [{"name": "order", "eventSourceName": "shop", "eventName": "orders"}],
        "triggers": [{"template": {"name": "t", kind: settings}, **entry}],
    }
    return compile_plan("till", "ns", load(SensorSpec, spec))


def action(kind: str, settings: dict[str, Any], **entry: Any) -> Action:
    (planned,) = plan(kind, settings, **entry).triggers.values()
    return planned.render({"order": event("orders", data=b'{"id": "A-1"}')}, "key")


@asynccontextmanager
async def sending(kind: str, settings: dict[str, Any], secrets: GivenSecrets | None = None, **env):
    """Yield the sender of a trigger."""
    (planned,) = plan(kind, settings).triggers.values()
    given = secrets or GivenSecrets(SECRETS)
    async with Shared() as shared:
        around = Env("till", "t", "ns", given, shared, host="127.0.0.1", **env)
        async with planned.trigger.open(around) as sender:
            yield sender


@pytest.fixture
async def slack():
    async with receiver() as one:
        one.answers["chat.postMessage"] = POSTED
        yield one


def api(at: Receiver) -> str:
    return f"{at.url}/api/"


# ---------------------------------------------------------------------------- notify


def by_slack(at: Receiver, **more: Any) -> dict[str, Any]:
    return {
        "service": "slack",
        "config": {"token": "$token", "apiURL": api(at)},
        "secret": "told",
        "recipients": ["#orders", "#desk"],
        "parameters": [
            {
                "src": {"dependencyName": "order", "dataTemplate": "order {{ .Input.id }}"},
                "dest": "message",
            }
        ],
        **more,
    }


async def test_everybody_is_told_with_a_key_of_their_own(slack):
    settings = by_slack(slack, block={"username": "till"})
    async with sending("notify", settings) as sender:
        outcome = await sender.send(action("notify", settings), 1)
        again = await sender.send(action("notify", settings), 2)
    forms = [got.form for got in slack.got]
    assert Counter(form["channel"] for form in forms) == {"#orders": 2, "#desk": 2}
    said = {(form["text"], form["username"], form["token"]) for form in forms}
    assert said == {("order A-1", "till", "xoxb-first")}
    keys = {(form["channel"], form["metadata"]) for form in forms}
    assert len(keys) == 2, "an attempt has the key of the one before"
    assert len({key for _, key in keys}) == 2, "each recipient has its own"
    assert outcome.summary == again.summary == "told 2 recipients"
    assert len(slack.connections) <= 2, "the client is kept"


async def test_a_rotated_secret_is_taken_at_once(slack):
    settings = by_slack(slack)
    secrets = GivenSecrets(SECRETS)
    async with sending("notify", settings, secrets) as sender:
        one = action("notify", settings)
        await sender.send(one, 1)
        secrets._secrets["told", "token"] = "xoxb-second"
        await sender.send(one, 1)
    tokens = Counter(got.form["token"] for got in slack.got)
    assert tokens == {"xoxb-first": 2, "xoxb-second": 2}
    assert "xoxb" not in json.dumps(one.content)


async def test_many_rotated_secrets_leave_few_clients_open(slack):
    settings = by_slack(slack)
    secrets = GivenSecrets(SECRETS)
    async with sending("notify", settings, secrets) as sender:
        for number in range(30):
            secrets._secrets["told", "token"] = f"xoxb-{number}"
            await sender.send(action("notify", settings), 1)
        assert len(sender._clients._kept) <= 8
    assert len(slack.got) == 60


async def test_an_event_names_no_key_of_the_secret(slack):
    """What comes from outside is said as it is, also where it looks like a reference."""
    settings = by_slack(slack, recipients=["#orders"])
    made = action("notify", settings)
    made.content["message"] = "pay $token, ${token}"
    async with sending("notify", settings) as sender:
        await sender.send(made, 1)
    assert slack.last.form["text"] == "pay $token, ${token}"


async def test_webhook_without_a_recipient(slack):
    settings = {
        "service": "webhook",
        "config": {
            "url": f"{slack.url}/in",
            "headers": [{"name": "Authorization", "value": "Bearer ${token}"}],
        },
        "secret": "told",
        "block": {"method": "PUT", "path": "orders", "body": "{}"},
    }
    async with sending("notify", settings) as sender:
        outcome = await sender.send(action("notify", settings), 1)
    got = slack.last
    assert (got.method, got.place, got.body) == ("PUT", "/in/orders", b"{}")
    assert got.headers["authorization"] == "Bearer xoxb-first"
    assert outcome.summary.startswith("200")


async def test_queue_of_aws(tmp_path):
    async with moto_server(tmp_path) as aws, aws.client("sqs") as sqs:
        url = (await sqs.create_queue(QueueName="orders"))["QueueUrl"]
        config = {"region": REGION, "endpointUrl": aws.url, "key": "k", "secret": "$token"}
        settings = {"service": "awssqs", "config": config, "secret": "told"}
        settings |= {"recipients": ["orders"], "message": "an order"}
        async with sending("notify", settings) as sender:
            await sender.send(action("notify", settings), 1)
        (one,) = (await sqs.receive_message(QueueUrl=url))["Messages"]
    assert one["Body"] == "an order"


# ---------------------------------------------------------------------------- delivered


@asynccontextmanager
async def running(bus: MemoryBus, one: Plan):
    """Run the Sensor of a plan."""
    up = asyncio.Event()
    metrics = SensorMetrics("ns", one.name, one.triggers)
    runner = Runner(one, bus, GivenSecrets(SECRETS), metrics, ready=up.set)
    task = asyncio.create_task(runner.run())
    try:
        await up.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(met) -> Any:
    async with asyncio.timeout(60):
        while not (found := await met()):
            await asyncio.sleep(0.01)
    return found


async def test_a_recipient_that_fails_is_told_later_and_nobody_twice(slack):
    """One is away at first, one is unknown for good; a dead letter is of that one alone."""
    refused: Counter[str] = Counter()

    def reply(got) -> Reply | None:
        channel = got.form["channel"]
        refused[channel] += 1
        if channel == "#away" and refused[channel] < 3:
            return Reply(503)
        if channel == "#gone":
            return Reply(200, {"ok": False, "error": "channel_not_found"})
        return None

    slack.reply = reply
    settings = by_slack(slack, recipients=["#here", "#away", "#gone", "#there"])
    quickly = {"duration": "10ms", "factor": 1, "jitter": 0, "steps": 10}
    bus = MemoryBus()

    async def dead() -> list[Any]:
        return [entry async for entry in list_dead(bus)]

    async def settled() -> bool:
        return not [one async for one in bus.read(ACTIONS)]

    async with running(bus, plan("notify", settings, retryStrategy=quickly)):
        await bus.publish(event("orders", data=b'{"id": "A-1"}'))
        (entry,) = await until(dead)
        await until(settled)
    assert (refused["#here"], refused["#there"], refused["#away"]) == (1, 1, 3)
    assert entry.letter.action.content["recipients"] == ["#gone"]
    assert sorted(entry.letter.action.content["told"]) == ["#away", "#here", "#there"]
    assert "channel_not_found" in entry.letter.message


async def test_without_a_strategy_what_stays_refused_ends_with_who_may_be_told(slack):
    slack.reply = lambda got: (
        Reply(200, {"ok": False, "error": "channel_not_found"})
        if got.form["channel"] == "#gone"
        else None
    )
    settings = by_slack(slack, recipients=["#here", "#gone"])
    async with sending("notify", settings) as sender:
        with pytest.raises(PartlyDone) as caught:
            await sender.send(action("notify", settings), 1)
    assert caught.value.permanent
    assert caught.value.left["recipients"] == ["#gone"]


FOLDER = """\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {jetstream: {version: latest}}
---
apiVersion: v1
kind: Secret
metadata: {name: told}
stringData: {token: xoxb-of-the-folder, other: not-handed-over}
---
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: shop}
spec:
  webhook:
    orders: {port: "%(port)d", endpoint: /orders, method: POST}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: till}
spec:
  dependencies: [{name: order, eventSourceName: shop, eventName: orders}]
  triggers:
    - template:
        name: tell
        notify:
          service: slack
          config: {token: $token, apiURL: "%(url)s/"}
          secret: told
          recipients: ["#orders"]
          message: an order
"""


async def test_run_of_a_folder_hands_the_secret_over(tmp_path, slack):
    find_binary()
    port = free_port()
    (tmp_path / "till.yaml").write_text(FOLDER % {"port": port, "url": slack.url})
    async with started(tmp_path, "run", ".") as run:
        await run.until("Ctrl-C stops.")
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"http://127.0.0.1:{port}/orders", json={"id": "A-1"})
        assert answer.status_code == 200
        async with asyncio.timeout(60):
            await slack.came.wait()
    form = slack.last.form
    assert (form["token"], form["channel"], form["text"]) == (
        "xoxb-of-the-folder",
        "#orders",
        "an order",
    )
    assert "xoxb" not in run.text


# ---------------------------------------------------------------------------- slack


def slack_settings(at: Receiver, **more: Any) -> dict[str, Any]:
    token = {"name": "told", "key": "token"}
    return {"slackToken": token, "channel": "#orders", "apiURL": api(at), **more}


async def test_slack_writes_what_its_fields_say(slack):
    blocks, attachments = [{"type": "divider"}], [{"text": "more"}]
    settings = slack_settings(
        slack,
        message="order ",
        blocks=json.dumps(blocks),
        attachments=json.dumps(attachments),
        sender={"username": "till", "icon": ":bell:"},
        parameters=[
            {
                "src": {"dependencyName": "order", "dataKey": "id"},
                "dest": "message",
                "operation": "append",
            }
        ],
    )
    async with sending("slack", settings) as sender:
        outcome = await sender.send(action("slack", settings), 1)
    got = slack.last
    assert got.path == "/api/chat.postMessage"
    form = got.form
    assert (form["channel"], form["text"], form["token"]) == ("orders", "order A-1", "xoxb-first")
    assert (form["username"], form["icon_emoji"]) == ("till", ":bell:")
    assert json.loads(form["blocks"]) == blocks
    assert json.loads(form["attachments"]) == attachments
    assert outcome.summary.startswith("told orders: 200")


async def test_slack_keeps_threads_over_a_restart_and_for_all_triggers(slack):
    thread = {"messageAggregationKey": "orders", "broadcastMessageToChannel": True}
    settings = slack_settings(slack, message="m", thread=thread)
    memory = Kept()
    for _ in range(2):
        async with sending("slack", settings, memory=memory) as sender:
            await sender.send(action("slack", settings), 1)
    first, second = (got.form for got in slack.got)
    assert "thread_ts" not in first
    assert (second["thread_ts"], second["reply_broadcast"]) == ("1.5", "true")


async def test_slack_that_is_busy_says_when(slack):
    slack.reply = lambda _: Reply(429, {"ok": False}, {"Retry-After": "7"})
    settings = slack_settings(slack, message="m")
    async with sending("slack", settings) as sender:
        with pytest.raises(TriggerError) as caught:
            await sender.send(action("slack", settings), 1)
    assert (caught.value.permanent, caught.value.retry_after) == (False, 7)


async def test_slack_refuses_a_token(slack):
    slack.answers["chat.postMessage"] = {"ok": False, "error": "invalid_auth"}
    settings = slack_settings(slack, message="m")
    async with sending("slack", settings) as sender:
        with pytest.raises(TriggerError, match="invalid_auth") as caught:
            await sender.send(action("slack", settings), 1)
    assert caught.value.permanent
    assert "xoxb" not in str(caught.value)


async def test_an_icon_that_is_none_is_told_and_the_message_goes_out(slack):
    settings = slack_settings(slack, message="m", sender={"icon": "bell"})
    async with sending("slack", settings) as sender:
        outcome = await sender.send(action("slack", settings), 1)
    assert "icon 'bell' was left out" in outcome.summary


# ---------------------------------------------------------------------------- email


def mail_settings(box: Mailbox, **more: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": box.port,
        "from": "Till <till@x.test>",
        "to": ["ann@x.test", "bob+orders@y.test"],
        "subject": "order ",
        "body": "It was paid.",
        "parameters": [
            {
                "src": {"dependencyName": "order", "dataKey": "id"},
                "dest": "subject",
                "operation": "append",
            }
        ],
        **more,
    }


async def mailed(sender: Sender, settings: dict[str, Any]) -> str:
    return (await sender.send(action("email", settings), 1)).summary


async def test_each_address_gets_a_mail_of_its_own():
    async with mail_server() as box:
        settings = mail_settings(box)
        async with sending("email", settings) as sender:
            summary = await mailed(sender, settings)
        found = {mail.recipients: mail.message for mail in box.mails}
    assert set(found) == {("ann@x.test",), ("bob+orders@y.test",)}
    one = found["ann@x.test",]
    assert (one["To"], one["From"], one["Subject"]) == (
        "ann@x.test",
        "Till <till@x.test>",
        "order A-1",
    )
    assert one.get_content().strip() == "It was paid."
    assert one.get_content_type() == "text/plain"
    assert len({message["Message-ID"] for message in found.values()}) == 2
    assert summary == "told 2 recipients"


async def test_who_logs_in_and_who_does_not():
    login = {"username": "bot@x.test", "smtpPassword": {"name": "mail", "key": "password"}}
    async with mail_server(users={"bot@x.test": "hush-hush"}) as box:
        settings = mail_settings(box, **login) | {"from": ""}
        async with sending("email", settings) as sender:
            await mailed(sender, settings)
        assert {(mail.user, mail.sender) for mail in box.mails} == {("bot@x.test", "bot@x.test")}
        wrong = GivenSecrets({("mail", "password"): "wrong-wrong"})
        async with sending("email", settings, wrong) as sender:
            with pytest.raises(TriggerError) as caught:
                await mailed(sender, settings)
        assert "wrong-wrong" not in str(caught.value)


async def test_an_address_that_is_refused_keeps_nobody_from_the_mail():
    async with mail_server() as box:
        settings = mail_settings(box, to=["ann@x.test", "late@x.test", "gone@x.test"])
        box.refused |= {"late@x.test": "450 later", "gone@x.test": "550 no such user"}
        async with sending("email", settings) as sender:
            one = action("email", settings)
            with pytest.raises(PartlyDone) as caught:
                await sender.send(one, 1)
            assert not caught.value.permanent
            del box.refused["late@x.test"]
            rest = Action(key="key", sensor="till", trigger="t", kind="email",
                          content=caught.value.left)  # fmt: skip
            with pytest.raises(PartlyDone) as caught:
                await sender.send(rest, 2)
        assert caught.value.permanent
        assert caught.value.left["to"] == ["gone@x.test"]
        told = Counter(address for mail in box.mails for address in mail.recipients)
    assert told == {"ann@x.test": 1, "late@x.test": 1}
