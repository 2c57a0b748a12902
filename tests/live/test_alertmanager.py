"""Alerts on a real Alertmanager, up to those whom it tells."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
from alertmanager_kit import alertmanager
from services_kit import Receiver, receiver

from services.alertmanager import Alertmanager
from services.service import Message
from spine.errors import TriggerError
from spine.model import load
from spine.runtime import Env

BLOCK = {"labels": {"severity": "critical"}, "annotations": {"summary": "it broke"}}


async def told(at: Receiver, known: Callable[[Any], bool]) -> Any:
    """Wait for an alert that Alertmanager posts."""
    async with asyncio.timeout(60):
        while True:
            at.came.clear()
            for got in at.got:
                for alert in got.json["alerts"]:
                    if known(alert):
                        return alert
            await at.came.wait()


async def test_an_alert_fires_and_ends(env: Env, tmp_path) -> None:
    async with receiver() as at, alertmanager(tmp_path, at.url) as place:
        service = load(Alertmanager, {"targets": [place, "127.0.0.1:1"], "lasts": "24h"})
        async with service.open(env) as client:
            broken = Message(text="m", block=BLOCK, template="down")
            receipt = await client.send(broken, "", "k-1")
            assert receipt.summary == "taken by 1 of 2"
            firing = await told(at, lambda alert: alert["status"] == "firing")

            well = Message(text="m", block=BLOCK, template="down", resolved=True)
            await client.send(well, "", "k-2")
            ended = await told(at, lambda alert: alert["status"] == "resolved")

    assert firing["labels"] == {"alertname": "down", "severity": "critical"}
    assert firing["annotations"] == {"summary": "it broke"}
    assert ended["fingerprint"] == firing["fingerprint"]
    assert ended["startsAt"] == firing["startsAt"]


async def test_an_alert_stays_as_long_as_is_set(env: Env, tmp_path) -> None:
    async with receiver() as at, alertmanager(tmp_path, at.url) as place:
        async with load(Alertmanager, {"targets": [place], "lasts": "24h"}).open(env) as client:
            await client.send(Message(text="m", template="down"), "", "k")
        (alert,) = await asyncio.to_thread(alerts, place)
    left = datetime.fromisoformat(alert["endsAt"]) - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)


def alerts(place: str) -> Any:
    with urlopen(f"http://{place}/api/v2/alerts") as answer:
        return json.load(answer)


async def test_what_it_refuses_is_told(env: Env, tmp_path) -> None:
    bad = Message(text="m", block={"extra": {"startsAt": "yesterday"}})
    async with (
        receiver() as at,
        alertmanager(tmp_path, at.url) as place,
        load(Alertmanager, {"targets": [place]}).open(env) as client,
    ):
        with pytest.raises(TriggerError, match="400") as caught:
            await client.send(bad, "", "k")
    assert caught.value.permanent
