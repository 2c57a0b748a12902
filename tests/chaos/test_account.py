"""The account of a storm finds what is lost, and what came twice; without any storm."""

from typing import Any

import pytest

from chaos.faults import KINDS, Fault, Plan
from chaos.lanes import Model
from chaos.ledger import Ledger, causes
from chaos.load import Accepted
from chaos.report import quantile, sizes
from chaos.target import Effects, Target, vain


class Asked:
    """A target within this process."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def ask(self, what: str, **more: Any) -> Any:
        return self._target.asked({"ask": what, **more})


class Sent:
    """A load that was sent."""

    def __init__(self, each: int, queue: int) -> None:
        self.each, self.queue = Accepted(), Accepted()
        self.each_events = each
        for number in range(each):
            self.each.add(number)
        for number in range(queue):
            self.queue.add(number)


def effects(*numbers: int) -> Effects:
    found = Effects()
    for number in numbers:
        found.add(number, 1.0)
    return found


async def test_what_is_lost_is_found() -> None:
    target = Target()
    target.effects["/each"] = effects(*(n for n in range(200) if n not in {3, 7, 9}))
    target.effects["/queue"] = effects(0, 1, 2)
    target.effects["/retry"] = effects(0, 50)
    ledger = Ledger(Sent(200, 4), Asked(target))  # type: ignore[arg-type]  # what is asked of them
    ledger.dead["/each"][7] = "TriggerFailed"
    ledger.dead["/each"][8] = "TriggerFailed"
    ledger.excused["/each"].add(9)

    rows = await ledger.account()

    assert await ledger.missing("/each") == [3]
    assert await ledger.missing("/queue") == [3]
    assert await ledger.missing("/retry") == [100, 150]
    assert rows["/each"] == {
        "accepted": 200, "effects": 197, "dead letters only": 1, "dead letters and an effect": 1,
        "taken by a wipe": 1, "lost": 1,
    }  # fmt: skip
    assert rows["/retry"]["accepted"] == 4
    assert await ledger.floors() == (3, 3)
    assert await ledger.excuse() == 4
    assert await ledger.floors() == (200, 4) == ledger.ends()


async def test_an_effect_that_must_not_be_is_found() -> None:
    target, never = Target(), next(n for n in range(0, 500, 50) if vain(n) is None)
    ledger = Ledger(Sent(500, 0), Asked(target))  # type: ignore[arg-type]  # what is asked of them
    target.effects["/retry"] = effects(0)
    assert await ledger.against_the_model() == []
    target.effects["/retry"] = effects(never)
    assert len(await ledger.against_the_model()) == 1


def test_accepted_out_of_order() -> None:
    found = Accepted()
    for number in (1, 2, 0, 4, 4):
        found.add(number)
    assert (found.count, found.upto) == (4, 3)


def test_twice_has_a_cause() -> None:
    kill = Fault("kill", "process", begin=100.0, end=101.0)
    far = Fault("far", "process", begin=300.0, end=301.0)
    again = [
        (1, 99.9, 130.0, False),
        (2, 99.9, 130.0, True),
        (3, 200.0, 201.0, False),
    ]
    found = causes(again, [kill, far])
    assert found["kill"] == 1
    assert found["no fault was near"] == 1
    kill.detail = "sensor-pairs1"
    assert causes(again, [kill, far])["kill"] == 0
    assert causes(again, [kill, far], "/pair")["kill"] == 1
    assert found.total() == 3


def test_model_of_a_pair() -> None:
    model = Model()
    assert model.add("a", 1) is None
    assert model.add("a", 2) is None
    assert model.add("b", 1) == (2, 1)
    assert model.add("b", 2) is None
    assert model.add("a", 3) == (3, 2)


def test_model_of_a_pair_with_resets() -> None:
    model = Model(every=3)
    assert model.add("a", 1, 10.0) is None
    assert model.add("b", 1, 12.0) is None  # a reset at 12
    assert model.forgotten == 1
    assert model.add("a", 2, 14.9) == (2, 1)
    assert model.add("a", 3, 15.0) is None


@pytest.mark.parametrize("clustered", [True, False])
def test_a_seed_gives_the_same_plan(clustered: bool) -> None:
    def first(seed: int) -> list[tuple[float, str, float]]:
        steps = Plan(seed, clustered).track("bus")
        return [
            (wait, one.name, chance.random())
            for wait, one, chance in (next(steps) for _ in range(40))
        ]

    assert first(5) == first(5)
    assert first(5) != first(6)
    assert len(Plan(5, clustered).kinds) == sum(k.clustered in {None, clustered} for k in KINDS)


def test_figures() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0], 0.99) == 3.0
    flat = [(float(n), 50 * 2**20, 30) for n in range(12)]
    assert sizes({"flat": flat})[1] == []
    grows = [(float(n), (50 + 10 * n) * 2**20, 30 + 20 * n) for n in range(12)]
    assert len(sizes({"grows": grows})[1]) == 2
