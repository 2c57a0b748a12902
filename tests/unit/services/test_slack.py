"""Slack: which calls go out, what its errors mean, threads, and fall-backs to text."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from services_kit import Got, Kept, Receiver, Reply, talk

from services import slack_api
from services.service import Message
from services.slack import Slack
from spine.errors import BusError, TriggerError

TOKEN = {"token": "xoxb-hush-hush"}
DONE = Message(text="it is <done> & so on")


def taken(at: Receiver) -> None:
    """Answer each post with the next timestamp."""

    def reply(got: Got) -> Reply | None:
        if got.place.endswith(("chat.postMessage", "chat.update")):
            ts = got.form.get("ts") or f"{len(at.got)}.0"
            return Reply(200, {"ok": True, "channel": "C1", "ts": ts})
        return None

    at.reply = reply


@dataclass(frozen=True)
class Case:
    name: str
    form: dict[str, str]
    config: dict[str, Any] = field(default_factory=dict)
    block: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


METADATA = '{"event_type":"tocsin","event_payload":{"idempotency_key":"k1"}}'
BASE = {
    "token": "xoxb-hush-hush",
    "channel": "#general",
    "text": "it is <done> & so on",
    "metadata": METADATA,
}
CASES = [
    Case("text", BASE),
    Case(
        "name and emoji of the service",
        BASE | {"username": "bot", "icon_emoji": ":rocket:"},
        {"username": "bot", "icon": ":rocket:"},
    ),
    Case(
        "name and picture of the template",
        BASE | {"username": "other", "icon_url": "https://h/i.png"},
        {"username": "bot", "icon": ":rocket:"},
        {"username": "other", "icon": "https://h/i.png"},
    ),
    Case(
        "links without previews",
        BASE | {"unfurl_links": "false", "unfurl_media": "false"},
        {"disableUnfurl": True},
    ),
    Case(
        "attachments as JSON keep fields that nobody knows",
        BASE | {"attachments": '[{"color":"red","new_field":{"a":1}}]'},
        block={"attachments": ' [{"color": "red", "new_field": {"a": 1}}]\n'},
    ),
    Case(
        "blocks as YAML",
        BASE | {"blocks": '[{"type":"divider"}]'},
        block={"blocks": [{"type": "divider"}]},
    ),
    Case("nothing to attach", BASE, block={"attachments": "", "blocks": "[]"}),
    Case(
        "members that have no field here",
        BASE | {"mrkdwn": "false", "link_names": "true"},
        block={"extra": {"mrkdwn": False, "link_names": "true"}},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_post(case: Case) -> None:
    async with talk(Slack, TOKEN | case.config) as (client, at):
        taken(at)
        message = Message(text=DONE.text, block=case.block)
        receipt = await client.send(message, "#general", "k1")
    (got,) = at.got
    assert (got.method, got.path) == ("POST", "/chat.postMessage")
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    assert got.form == case.form
    assert receipt.detail == {"channel": "C1", "ts": "1.0"}
    assert receipt.problems == ()


@pytest.mark.parametrize("url", ["{url}/api", "{url}/api/"])
async def test_address_of_the_api(url: str) -> None:
    async with talk(Slack, TOKEN | {"apiURL": url}) as (client, at):
        taken(at)
        await client.send(DONE, "C1", "k1")
        assert at.last.path == "/api/chat.postMessage"


# ---------------------------------------------------------------------------- errors


@dataclass(frozen=True)
class Refusal:
    error: str
    permanent: bool
    hint: str = ""

    def __str__(self) -> str:
        return self.error


REFUSALS = [
    Refusal("channel_not_found", True, "/invite"),
    Refusal("not_in_channel", True, "/invite"),
    Refusal("invalid_auth", True, "token"),
    Refusal("msg_too_long", True),
    Refusal("ratelimited", False),
    Refusal("internal_error", False),
    Refusal("fatal_error", False),
]


@pytest.mark.parametrize("case", REFUSALS, ids=str)
async def test_refusal(case: Refusal) -> None:
    async with talk(Slack, TOKEN) as (client, at):
        at.answers["chat.postMessage"] = {"ok": False, "error": case.error}
        with pytest.raises(
            TriggerError, match=f"'one': chat.postMessage refused: {case.error}"
        ) as c:
            await client.send(DONE, "C1", "k1")
    assert c.value.permanent == case.permanent
    assert case.hint in c.value.hint


async def test_refusal_says_what_is_needed() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        at.answers["postMessage"] = {"ok": False, "error": "missing_scope", "needed": "chat:write"}
        with pytest.raises(TriggerError, match="missing_scope; needed: chat:write"):
            await client.send(DONE, "C1", "k1")


async def test_answer_of_somebody_else() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        at.answers["postMessage"] = "<html>"
        with pytest.raises(TriggerError, match="none of Slack's") as caught:
            await client.send(DONE, "C1", "k1")
    assert not caught.value.permanent


async def test_rate_limit_is_told_and_not_waited_for(monkeypatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(slack_api, "monotonic", lambda: now[0])
    async with talk(Slack, TOKEN) as (client, at):
        limited = {"ok": False, "error": "ratelimited"}
        at.reply = lambda _: Reply(429, limited, {"Retry-After": "30"})
        with pytest.raises(TriggerError) as caught:
            await client.send(DONE, "C1", "k1")
        assert (caught.value.retry_after, caught.value.permanent) == (30, False)
        taken(at)
        now[0] += 20
        with pytest.raises(TriggerError, match=r"chat\.postMessage is at its limit") as caught:
            await client.send(DONE, "C2", "k2")
        assert (caught.value.retry_after, caught.value.permanent) == (10, False)
        assert len(at.got) == 1
        now[0] += 10
        await client.send(DONE, "C2", "k2")
        assert len(at.got) == 2


# ---------------------------------------------------------------------------- fall-backs


async def test_blocks_that_are_no_json_leave_the_text() -> None:
    block = {"blocks": '[{"text": "a "quote""}]', "icon": "rocket"}
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        receipt = await client.send(Message(text="it is done", block=block), "C1", "k1")
        assert at.last.form["text"] == "it is done"
        assert at.last.form.keys() == {"token", "channel", "text", "metadata"}
    icon, blocks = receipt.problems
    assert icon == "icon 'rocket' was left out: write :name: or a URL"
    assert blocks.startswith("blocks was left out: no JSON at line 1 column 15")


async def test_blocks_that_are_no_json_and_no_text_is_nothing_to_send() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        with pytest.raises(TriggerError, match="blocks was left out") as caught:
            await client.send(Message(block={"blocks": "{"}), "C1", "k1")
        assert at.got == []
    assert caught.value.permanent


async def test_blocks_that_slack_refuses_leave_the_text() -> None:
    def reply(got: Got) -> Reply:
        if "blocks" in got.form:
            told = {"messages": ["[ERROR] no more than 50 items allowed"]}
            return Reply(200, {"ok": False, "error": "invalid_blocks", "response_metadata": told})
        return Reply(200, {"ok": True, "channel": "C1", "ts": "1.0"})

    async with talk(Slack, TOKEN) as (client, at):
        at.reply = reply
        message = Message(text="it is done", block={"blocks": [{"type": "divider"}]})
        receipt = await client.send(message, "C1", "k1")
        assert len(at.got) == 2
        with pytest.raises(TriggerError, match="no more than 50") as caught:
            await client.send(Message(block=message.block), "C1", "k1")
    assert caught.value.permanent
    assert "no more than 50 items" in receipt.problems[0]


# ---------------------------------------------------------------------------- people


async def test_person_by_e_mail_is_looked_up_once() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        at.answers["users.lookupByEmail"] = {"ok": True, "user": {"id": "U7"}}
        await client.send(DONE, "jane@example.com", "k1")
        await client.send(DONE, "jane@example.com", "k2")
    assert [got.path for got in at.got] == [
        "/users.lookupByEmail",
        "/chat.postMessage",
        "/chat.postMessage",
    ]
    assert at.got[0].form == {"token": "xoxb-hush-hush", "email": "jane@example.com"}
    assert at.last.form["channel"] == "U7"


async def test_person_nobody_knows() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        at.answers["users.lookupByEmail"] = {"ok": False, "error": "users_not_found"}
        with pytest.raises(TriggerError, match="users_not_found") as caught:
            await client.send(DONE, "jane@example.com", "k1")
    assert caught.value.permanent
    assert "e-mail" in caught.value.hint


async def test_at_sign_alone_is_no_e_mail() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        await client.send(DONE, "@jane", "k1")
        assert at.last.form["channel"] == "@jane"


# ---------------------------------------------------------------------------- threads


def grouped(policy: str = "", **more: Any) -> Message:
    block = {"groupingKey": "app-1", "deliveryPolicy": policy, **more}
    return Message(text="it is done", block={k: v for k, v in block.items() if v})


@dataclass(frozen=True)
class Thread:
    policy: str
    calls: list[tuple[str, str, str]]
    """Method, `ts` and `thread_ts` of each call of three messages."""

    def __str__(self) -> str:
        return self.policy or "none"


POSTED = ("chat.postMessage", "", "")
ANSWERED = ("chat.postMessage", "", "1.0")
UPDATED = ("chat.update", "1.0", "")
THREADS = [
    Thread("", [POSTED, ANSWERED, ANSWERED]),
    Thread("Post", [POSTED, ANSWERED, ANSWERED]),
    Thread("update", [POSTED, ANSWERED, ANSWERED]),
    Thread("Update", [POSTED, UPDATED, UPDATED]),
    Thread("PostAndUpdate", [POSTED, UPDATED, ANSWERED, UPDATED, ANSWERED]),
]


@pytest.mark.parametrize("case", THREADS, ids=str)
async def test_policy(case: Thread) -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        for number in range(3):
            await client.send(grouped(case.policy), "#general", f"k{number}")
        calls = [
            (got.path[1:], got.form.get("ts", ""), got.form.get("thread_ts", "")) for got in at.got
        ]
        assert calls == case.calls
        for got in at.got:
            if got.path == "/chat.update":
                assert (got.form["channel"], got.form["as_user"]) == ("C1", "true")


async def test_answer_is_shown_in_the_channel_too() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        await client.send(grouped(notifyBroadcast=True), "#general", "k1")
        await client.send(grouped(notifyBroadcast=True), "#general", "k2")
        assert [got.form.get("reply_broadcast") for got in at.got] == [None, "true"]


async def test_thread_outlives_the_process_and_belongs_to_its_channel() -> None:
    memory, threads = Kept(), []
    for channel in ("#general", "#general", "#other"):
        async with talk(Slack, TOKEN, memory=memory) as (client, at):
            at.answers["postMessage"] = {"ok": True, "channel": "C1", "ts": "5.0"}
            await client.send(grouped(), channel, "k")
            threads.append(at.last.form.get("thread_ts"))
    assert threads == [None, "5.0", None]


async def test_two_first_messages_at_a_time_are_one_thread() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        await asyncio.gather(*(client.send(grouped(), "#general", f"k{n}") for n in range(5)))
        assert sorted(got.form.get("thread_ts", "") for got in at.got) == ["", *["1.0"] * 4]


async def test_key_that_the_object_does_not_have_groups_nothing() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        for _ in range(2):
            message = Message(text="a", block={"groupingKey": "<no value>", "username": ""})
            await client.send(message, "#general", "k")
        assert "thread_ts" not in at.last.form


async def test_first_message_that_is_gone_begins_anew() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        taken(at)
        await client.send(grouped("Update"), "#general", "k1")
        told = at.reply

        def reply(got: Got) -> Reply | None:
            if got.form.get("ts") == "1.0":
                return Reply(200, {"ok": False, "error": "message_not_found"})
            return told(got)

        at.reply = reply
        await client.send(grouped("Update"), "#general", "k2")
        await client.send(grouped("Update"), "#general", "k3")
        assert [(got.path, got.form.get("ts")) for got in at.got] == [
            ("/chat.postMessage", None),
            ("/chat.update", "1.0"),
            ("/chat.postMessage", None),
            ("/chat.update", "3.0"),
        ]


async def test_thread_that_cannot_be_looked_up_is_tried_again() -> None:
    memory = Kept()
    memory.broken = BusError("reading a key: no answer")
    async with talk(Slack, TOKEN, memory=memory) as (client, at):
        with pytest.raises(TriggerError, match="looking up the thread of '#general'") as caught:
            await client.send(grouped(), "#general", "k1")
        assert at.got == []
    assert not caught.value.permanent


async def test_thread_that_cannot_be_kept_is_a_note_as_the_message_is_posted() -> None:
    memory = Kept()
    async with talk(Slack, TOKEN, memory=memory) as (client, at):

        def reply(_: Got) -> Reply:
            for part in memory.parts.values():
                part.broken = BusError("writing a key: no answer")
            return Reply(200, {"ok": True, "channel": "C1", "ts": "1.0"})

        at.reply = reply
        receipt = await client.send(grouped(), "#general", "k1")
    assert "the thread is not kept" in receipt.problems[0]


async def test_warning_of_slack_is_told() -> None:
    async with talk(Slack, TOKEN) as (client, at):
        at.answers["postMessage"] = {"ok": True, "channel": "C1", "ts": "1", "warning": "w1"}
        receipt = await client.send(DONE, "C1", "k1")
    assert receipt.problems == ("Slack warns: w1",)


def test_metadata_is_json() -> None:
    assert json.loads(METADATA)["event_payload"] == {"idempotency_key": "k1"}
