"""Whatever is sent, the next one is answered."""

import asyncio

import msgspec
import pytest

from controller.admission import checker
from controller.admission.checker import Checker
from controller.admission.worker import Asked
from spine.errors import RemoteError
from spine.lang import EvaluationError
from spine.lang.limits import Limits

FACTORY = "tests.unit.controller.admission.obeying:serve"


def asked(name, namespace="ns"):
    return Asked("Sensor", name, namespace, msgspec.Raw(b"{}"))


def checking(seconds=60.0, patience=0.0):
    limits = Limits(seconds=seconds, memory_bytes=2**28, output_bytes=2**20, workers=1)
    return Checker(limits, patience, FACTORY)


async def told(one, name, namespace="ns"):
    return (await one.check(asked(name, namespace))).errors[0].message


@pytest.mark.parametrize("name", ["eat", "crash", "chatter"])
async def test_an_object_that_is_too_much_fails_alone(name):
    async with checking() as one:
        await one.start()
        with pytest.raises(EvaluationError):
            await one.check(asked(name))
        assert await told(one, "fine") == "fine"


async def test_an_object_that_hangs_is_given_up():
    async with checking(seconds=0.2) as one:
        with pytest.raises(EvaluationError, match=r"did not end within 0\.2 s"):
            await one.check(asked("hang"))


async def test_an_object_that_hangs_holds_up_its_namespace_alone():
    async with checking() as one:
        hanging = asyncio.create_task(one.check(asked("hang")))
        waiting = asyncio.create_task(one.check(asked("patient")))
        assert await told(one, "fine", "elsewhere") == "fine"
        assert not hanging.done()
        assert not waiting.done()

        hanging.cancel()  # as when the API server gives up
        assert (await waiting).errors[0].message == "patient"
        assert one._waiting == {}
        assert one._turns == {}


async def test_a_namespace_has_only_so_many_waiting(monkeypatch):
    monkeypatch.setattr(checker, "QUEUE", 2)
    async with checking() as one, asyncio.TaskGroup() as group:
        held = [group.create_task(one.check(asked("hang"))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RemoteError, match="namespace 'ns': 2 others wait"):
            await one.check(asked("fine"))
        assert await told(one, "fine", "elsewhere") == "fine"
        for task in held:
            task.cancel()
