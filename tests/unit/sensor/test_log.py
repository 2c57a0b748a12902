"""Log triggers: one line for each event, at most one firing in each interval."""

import json
import logging

import pytest
from plan_kit import event

from delivery.action import Action
from sensor.triggers.log import Log, LogSender
from spine.errors import ConfigError
from spine.model import load


def action(content: dict, trigger: str = "tell") -> Action:
    return Action(key="k", sensor="till", trigger=trigger, kind="log", content=content)


async def test_a_line_for_each_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    events = {"orders": event(data=b'{"a": "100%"}'), "raw": event(data=b"\xff", id="2",
              datacontenttype="application/octet-stream")}  # fmt: skip
    outcome = await LogSender("till").send(action(Log().compile()(events)), 1)
    assert outcome.summary == "2 logged"
    first, second = caplog.records
    assert (first.getMessage(), second.getMessage()) == ('{"a": "100%"}', "/w==")
    assert (first.levelname, first.sensorName, first.triggerName) == ("INFO", "till", "tell")
    assert first.dependencyName == "orders"
    assert json.loads(second.eventContext)["id"] == "2"


async def test_interval_holds_back_each_trigger_on_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    sender = LogSender("till", clock=lambda: now)
    content = load(Log, {"intervalSeconds": 10}).compile()({"orders": event()})
    assert (await sender.send(action(content), 1)).summary == "1 logged"
    assert (await sender.send(action(content), 1)).summary == "held back by intervalSeconds: 10"
    assert (await sender.send(action(content, "other"), 1)).summary == "1 logged"
    now = 110.0
    assert (await sender.send(action(content), 1)).summary == "1 logged"
    assert len(caplog.records) == 3


@pytest.mark.parametrize("value", [-1, "5", 1.5, True])
def test_bad_interval(value: object) -> None:
    with pytest.raises(ConfigError, match="intervalSeconds"):
        load(Log, {"intervalSeconds": value})
