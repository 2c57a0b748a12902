"""Telling several recipients: nobody twice, nobody held up by another, no key for two."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.action import Action, PartlyDone
from sensor.telling import AT_ONCE, key_of, tell_each
from services.service import Receipt
from spine.errors import TriggerError

RECEIPT = Receipt("200 OK", {"id": 1})


def action(*to: str, **more: object) -> Action:
    content = {"to": list(to), **more}
    return Action(key="k", sensor="s", trigger="t", kind="notify", content=content)


class People:
    """Who is told, and why some are not."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.told: list[str] = []
        self.keys: set[str] = set()
        self.busy = self.most = 0

    async def tell(self, recipient: str, key: str) -> Receipt:
        self.keys.add(key)
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if recipient in self.failures:
            raise self.failures[recipient]
        self.told.append(recipient)
        return RECEIPT


PASSING, FINAL = TriggerError("busy", retry_after=7), TriggerError("unknown", permanent=True)


async def failed(people: People, one: Action) -> PartlyDone:
    with pytest.raises(PartlyDone) as caught:
        await tell_each(one, "to", people.tell)
    return caught.value


async def test_who_was_told_is_not_told_again() -> None:
    people, one = People(b=PASSING, d=FINAL), action("a", "b", "c", "d", subject="s")
    error = await failed(people, one)
    assert people.told == ["a", "c"]
    assert error.left == {"to": ["b", "d"], "subject": "s", "told": ["a", "c"]}
    assert (error.permanent, error.retry_after) == (False, 7)
    assert str(error) == "told 2 of 4 recipients; b: busy; d: unknown"
    assert one.content == {"to": ["a", "b", "c", "d"], "subject": "s"}, "it is the plan's"

    people.failures = {"d": FINAL}
    rest = action("b", "d", told=["a", "c"])
    error = await failed(people, rest)
    assert people.told == ["a", "c", "b"]
    assert error.left == {"to": ["d"], "told": ["a", "c", "b"]}
    assert error.permanent, "nobody is left who may yet be reached"


async def test_a_single_failure_is_told_as_it_is() -> None:
    with pytest.raises(TriggerError) as caught:
        await tell_each(action("b"), "to", People(b=PASSING).tell)
    assert caught.value is PASSING


async def test_a_bug_in_one_keeps_nobody_else_from_being_told(caplog) -> None:
    people = People(b=ZeroDivisionError("oh"))
    error = await failed(people, action("a", "b", "c"))
    assert people.told == ["a", "c"]
    assert (error.left["to"], error.permanent) == (["b"], True)
    assert "ZeroDivisionError" in caplog.text


async def test_many_failures_are_counted() -> None:
    people = People(**dict.fromkeys("abcde", PASSING))
    error = await failed(people, action(*"abcde"))
    assert str(error) == "told 0 of 5 recipients; a: busy; b: busy; c: busy; and 2 more"


async def test_a_few_at_a_time_each_once() -> None:
    people = People()
    names = [str(number) for number in range(50)]
    outcome = await tell_each(action(*names, *names), "to", people.tell)
    assert sorted(people.told) == sorted(names)
    assert people.most == AT_ONCE
    assert outcome.summary == "told 50 recipients"


async def test_nobody_named_is_one_without_a_name() -> None:
    people = People()
    outcome = await tell_each(action(), "to", people.tell)
    assert people.told == [""]
    assert outcome.summary == "200 OK"


async def test_problems_are_in_the_outcome() -> None:
    async def tell(recipient: str, key: str) -> Receipt:
        return Receipt("200 OK", problems=("blocks was left out",) if recipient == "b" else ())

    outcome = await tell_each(action("a", "b"), "to", tell)
    assert outcome.summary == "told 2 recipients; b: blocks was left out"


@given(st.text(), st.lists(st.text(), unique=True, max_size=5))
def test_keys_are_of_message_and_recipient(key: str, recipients: list[str]) -> None:
    keys = [key_of(key, recipient) for recipient in recipients]
    assert len(set(keys)) == len(recipients)
    assert keys == [key_of(key, recipient) for recipient in recipients]
    assert all(key_of(f"{key}x", one) not in keys for one in recipients)
