"""What PagerDuty's Events API is sent."""

from typing import Any

import pytest
from services_kit import Reply, talk

from services.pagerdutyv2 import Pagerdutyv2, Pagerdutyv2Block
from services.service import Message
from spine.errors import TriggerError
from spine.lang import gotemplate
from spine.model import load

CONFIG = {"serviceKeys": {"payments": "r0uting"}}


def events() -> Any:
    return talk(Pagerdutyv2, CONFIG)


async def test_an_event_without_a_block() -> None:
    async with events() as (client, at):
        at.answers["/enqueue"] = Reply(202, {"status": "success", "dedup_key": "key-1"})
        await client.send(Message(text="it broke\nat once", template="down"), "payments", "key-1")

    assert (at.last.method, at.last.path) == ("POST", "/v2/enqueue")
    assert at.last.json == {
        "routing_key": "r0uting",
        "event_action": "trigger",
        "dedup_key": "key-1",
        "client": "ArgoCD",
        "payload": {
            "summary": "it broke",
            "source": "down",
            "severity": "error",
            "custom_details": {"message": "it broke\nat once"},
        },
    }


async def test_all_of_a_block() -> None:
    block = {
        "summary": "S",
        "severity": "Critical",
        "source": "ns/pod",
        "component": "db",
        "group": "shop",
        "class": "crash",
        "url": "https://x.test",
        "dedupKey": "uid-1",
        "customDetails": {"phase": "Failed", "n": 1},
        "links": [{"href": "https://l.test", "text": ""}],
        "images": [{"src": "https://i.test", "alt": "a"}],
        "extra": {"payload": {"timestamp": "2026-01-01T00:00:00Z"}},
    }
    load(Pagerdutyv2Block, block)
    async with events() as (client, at):
        message = Message(text="m", block=block, incident="i-1")
        receipt = await client.send(message, "payments", "key-1")

    assert at.last.json == {
        "routing_key": "r0uting",
        "event_action": "trigger",
        "dedup_key": "uid-1",
        "client": "ArgoCD",
        "client_url": "https://x.test",
        "payload": {
            "summary": "S",
            "source": "ns/pod",
            "severity": "critical",
            "component": "db",
            "group": "shop",
            "class": "crash",
            "custom_details": {"phase": "Failed", "n": 1},
            "timestamp": "2026-01-01T00:00:00Z",
        },
        "links": [{"href": "https://l.test"}],
        "images": [{"src": "https://i.test", "alt": "a"}],
    }
    assert receipt.detail == {"dedup_key": "uid-1", "event_action": "trigger"}


@pytest.mark.parametrize(
    ("block", "incident", "name"),
    [({}, "", "key-2"), ({"summary": "s"}, "i-1", "i-1"), ({"dedupKey": "uid-1"}, "i-1", "uid-1")],
)
async def test_the_end_resolves(block: Any, incident: str, name: str) -> None:
    async with events() as (client, at):
        message = Message(text="well", block=block, incident=incident, resolved=True)
        await client.send(message, "payments", "key-2")
    assert at.last.json == {
        "routing_key": "r0uting",
        "event_action": "resolve",
        "dedup_key": name,
    }


async def test_a_name_without_a_key() -> None:
    service = load(Pagerdutyv2, CONFIG)
    assert service.problem("payment") == "serviceKeys has no 'payment' (did you mean 'payments')"
    async with events() as (client, at):
        with pytest.raises(TriggerError, match="did you mean 'payments'") as caught:
            await client.send(Message(text="a"), "payment", "k")
        assert caught.value.permanent
        with pytest.raises(TriggerError, match="no summary"):
            await client.send(Message(), "payments", "k")
    assert at.got == []


async def test_a_refusal_shows_no_key() -> None:
    async with events() as (client, at):
        at.reply = lambda got: Reply(400, {"errors": ["bad routing_key r0uting"]})
        with pytest.raises(TriggerError, match=r"bad routing_key \*\*\*") as caught:
            await client.send(Message(text="a"), "payments", "k")
    assert caught.value.permanent


@pytest.mark.parametrize(
    ("metadata", "source"),
    [({"name": "a", "namespace": "n"}, "n/a"), ({"name": "a"}, "a")],
    ids=["of a namespace", "of the cluster"],
)
def test_the_source_is_the_object(metadata: dict[str, str], source: str) -> None:
    (text,) = Pagerdutyv2Block.defaults.values()
    assert gotemplate.compile(text).render({"obj": {"metadata": metadata}}) == source
