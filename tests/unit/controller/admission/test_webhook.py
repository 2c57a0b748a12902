"""Answers of the webhook, whatever is asked, and how a controller takes its leave of it."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from controller.admission import webhook
from controller.admission.review import Said
from controller.admission.webhook import LONGEST, PATH, Known, Webhook, _seconds
from controller.admission.worker import Verdict
from eventsource.web import Request
from spine.errors import RemoteError
from spine.lang import EvaluationError
from tocsin import controller as command
from tocsin.controller import _both


@dataclass
class FakeKeeper:
    problem: str = ""

    def ends(self):
        return 1.0


@dataclass
class FakeChecker:
    verdict: Any = field(default_factory=Verdict)
    problem: str = ""
    asked: list[Any] = field(default_factory=list)

    async def check(self, asked):
        self.asked.append(asked)
        if isinstance(self.verdict, Exception):
            raise self.verdict
        if self.verdict is None:
            await asyncio.Event().wait()
        return self.verdict


OBJECT = {"metadata": {"name": "a"}, "spec": {"b": 1}}
SENSOR = {"group": "argoproj.io", "version": "v1alpha1", "kind": "Sensor"}


def serving(verdict=None, *, checker=None):
    known = Known(kube=None, cache=lambda: None)
    checker = checker or FakeChecker(Verdict() if verdict is None else verdict)
    return Webhook("127.0.0.1", 0, FakeKeeper(), known, CollectorRegistry(), checker)


async def ask(one, *, query=b"", kind=SENSOR, **request):
    body = {"request": {"uid": "u", "kind": kind, "operation": "UPDATE", **request}}
    answer = await one._handle(Request([], {}, query, json.dumps(body).encode()))
    assert answer.status == 200
    assert (b"content-type", b"application/json") in answer.start["headers"]
    return json.loads(answer.body["body"])["response"]


@pytest.mark.parametrize(
    ("request_", "looked_at"),
    [
        ({"object": OBJECT}, True),
        ({"object": OBJECT, "oldObject": {**OBJECT, "spec": {}}}, True),
        ({"object": OBJECT, "oldObject": {**OBJECT, "metadata": {"labels": {}}}}, False),
        (
            {"object": OBJECT, "oldObject": {"metadata": {"deletionTimestamp": "2026"}}},
            False,
        ),
        ({"object": None, "oldObject": OBJECT}, False),
        ({"object": OBJECT, "kind": {"kind": "Pod"}}, False),
    ],
)
async def test_what_is_looked_at(request_, looked_at):
    one = serving(Verdict([Said("spec", "wrong")]))
    response = await ask(one, **request_)
    assert response["allowed"] is not looked_at
    assert bool(one.checker.asked) is looked_at


async def test_warnings_pass_with_what_is_fine():
    response = await ask(serving(Verdict([], [Said("spec.a", "old")])), object=OBJECT)
    assert response == {"uid": "u", "allowed": True, "warnings": ["spec.a: old"]}


async def test_a_name_that_is_only_made_later():
    one = serving()
    await ask(one, object={"metadata": {"generateName": "job-"}, "spec": {}})
    assert one.checker.asked[0].name == "job-x"


@pytest.mark.parametrize(
    ("verdict", "code", "said"),
    [
        (EvaluationError("it crashed"), 422, "spec: checking it: it crashed"),
        (RemoteError("others wait", hint="later"), 429, "others wait (later)"),
        (None, 429, "checking Sensor /a: not done within 0.1 s (try again)"),
    ],
)
async def test_what_cannot_be_looked_at_is_refused(verdict, code, said):
    one = serving(checker=FakeChecker(verdict))
    response = await ask(one, query=b"timeout=1ms", object=OBJECT)
    assert response["allowed"] is False
    assert response["status"]["code"] == code
    assert said in response["status"]["message"]


async def test_what_is_no_question_gets_no_answer():
    answer = await serving()._handle(Request([], {}, b"", b"[" * 10_000))
    assert answer.status == 400


@pytest.mark.parametrize(
    ("query", "time"),
    [
        (b"timeout=10s", 8.0),
        (b"timeout=5s", 4.0),
        (b"timeout=1h", LONGEST),
        (b"timeout=soon", LONGEST),
        (b"", LONGEST),
        (b"timeout=0s", 0.1),
        (b"\xff", LONGEST),
    ],
)
def test_the_api_server_says_for_how_long_it_waits(query, time):
    assert _seconds(query) == time


async def test_bodies_are_read_when_it_is_their_turn(monkeypatch):
    monkeypatch.setattr(webhook, "AT_ONCE", 1)
    monkeypatch.setattr(webhook, "WAITING", 1)
    one, read, sent = serving(checker=FakeChecker(None)), [], []
    body = {"request": {"uid": "u", "kind": SENSOR, "operation": "CREATE", "object": OBJECT}}
    scope = {"path": PATH, "method": "POST", "headers": [], "query_string": b""}

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(one._bounded(scope, receive, send)) for _ in range(2)]
        while not one.checker.asked:
            await asyncio.sleep(0)
        assert len(read) == 1
        await one._bounded(scope, receive, send)
        assert [message.get("status") for message in sent] == [503, None]
        for task in asked:
            task.cancel()
    assert len(read) == 1
    assert one._waiting == 0


@dataclass
class Runs:
    name: str
    told: list[str]

    async def run(self):
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append(self.name)


async def test_a_replica_that_goes_answers_a_little_longer(monkeypatch):
    monkeypatch.setattr(command, "LINGER", 0.05)
    told = []
    both = asyncio.create_task(_both(Runs("controller", told), Runs("webhook", told)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    assert told == ["controller", "webhook"]


async def test_a_port_that_cannot_be_had_stops_the_controller():
    class Broken:
        async def run(self):
            raise RemoteError("in use")

    told = []
    with pytest.raises(RemoteError, match="in use"):
        await _both(Runs("controller", told), Broken())
    assert told == ["controller"]
