"""What Grafana is sent."""

import time
from typing import Any

import pytest
from services_kit import Reply, talk

from services.grafana import Grafana
from services.service import Message
from spine.errors import TriggerError


def grafana() -> Any:
    return talk(Grafana, {"apiKey": "k3y"}, url="apiUrl")


async def test_an_annotation() -> None:
    async with grafana() as (client, at):
        at.answers["/annotations"] = {"id": 7, "message": "Annotation added"}
        before = int(time.time())
        receipt = await client.send(Message(text="synced"), "deploys| prod ||", "k")

    assert (at.last.method, at.last.path) == ("POST", "/annotations")
    assert at.last.headers["authorization"] == "Bearer k3y"
    assert at.last.headers["content-type"] == "application/json"
    sent = at.last.json
    moment = sent.pop("time")
    assert moment % 1000 == 0
    assert before <= moment // 1000 <= time.time()
    assert sent == {"isRegion": False, "tags": ["deploys", "prod"], "text": "synced"}
    assert receipt.detail == {"id": 7}


async def test_the_url_may_end_in_a_slash_and_extra_is_sent() -> None:
    async with grafana() as (_, at):
        url = f"{at.url}/api/"
        async with talk(Grafana, {"apiKey": "k", "apiUrl": url}, url="apiUrl") as (client, _):
            block = {"extra": {"dashboardUID": "d1", "tags": ["other"]}}
            await client.send(Message(text="a", block=block), "t", "k")
    assert at.last.path == "/api/annotations"
    assert at.last.json["dashboardUID"] == "d1"
    assert at.last.json["tags"] == ["other"]


async def test_a_page_to_log_in_at_is_no_success() -> None:
    async with grafana() as (client, at):
        at.reply = lambda _: Reply(200, "<html>Grafana")
        with pytest.raises(TriggerError, match="no JSON") as caught:
            await client.send(Message(text="a"), "t", "k")
    assert caught.value.permanent
    assert "ends in /api" in caught.value.hint
