"""Hooks that are registered: made once, brought up to date, taken away, and never in the way."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from eventsource import registration
from eventsource.registration import Hook, Registration, registered, same_url
from spine.errors import ConfigError, TriggerError
from spine.runtime import Backoff, Env, Shared
from spine.secrets import GivenSecrets, SecretRef

URL = "https://hooks.example.com/a"
REF = SecretRef(name="s", key="k")


@dataclass
class Board:
    """What a provider holds, and what was asked of it."""

    there: list[Hook] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuse: Callable[[str], TriggerError | None] = lambda _what: None
    meanwhile: list[Hook] = field(default_factory=list)
    """Hooks that somebody else makes while we make ours."""
    exists: bool = False
    """Whether a second hook with our URL is refused."""

    def ask(self, what: str) -> None:
        self.asked.append(what)
        if (refusal := self.refuse(what)) is not None:
            raise refusal


@dataclass
class FakePlace:
    board: Board
    shown: str = "shop/web"

    async def hooks(self) -> list[Hook]:
        self.board.ask("list")
        return list(self.board.there)

    async def create(self) -> int | None:
        self.board.ask("create")
        self.board.there += self.board.meanwhile
        if self.board.exists:
            return None
        number = max([hook.id for hook in self.board.there], default=0) + 1
        self.board.there.append(Hook(number, URL, current=True))
        return number

    async def update(self, hook: Hook) -> None:
        self.board.ask(f"update {hook.id}")
        self.board.there = [
            one._replace(current=True) if one.id == hook.id else one for one in self.board.there
        ]

    async def delete(self, number: int) -> None:
        self.board.ask(f"delete {number}")
        self.board.there = [one for one in self.board.there if one.id != number]


@pytest.fixture
async def env():
    async with Shared() as shared:
        yield Env("es", "ev", "ns", GivenSecrets({("s", "k"): "one"}), shared)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(registration, "GLANCE", 0.005)
    monkeypatch.setattr(registration, "AGAIN", Backoff(duration=0.005, steps=0, cap=0.01))


async def kept(env: Env, boards: Iterable[Board], met: Callable[[], Any], **more: Any) -> None:
    """Look after hooks until something is so."""
    places = [FakePlace(board, f"place {n}") for n, board in enumerate(boards)]
    made = Registration(env, URL, more.pop("opening", lambda: places), [REF])
    async with registered(made, delete=more.get("delete", False)), asyncio.timeout(60):
        while not met():
            await asyncio.sleep(0.005)


async def test_a_hook_is_made_once(env, monkeypatch):
    monkeypatch.setattr(registration, "EVERY", 0.01)
    board = Board([Hook(7, "https://hooks.example.com/other", current=True)])
    await kept(env, [board], lambda: board.asked.count("list") > 4)
    assert board.asked.count("create") == 1
    assert not [one for one in board.asked if one.startswith(("update", "delete"))]
    assert [hook.url for hook in board.there] == ["https://hooks.example.com/other", URL]


async def test_a_hook_that_is_there_is_written_once_as_its_secret_may_be_another(env, monkeypatch):
    monkeypatch.setattr(registration, "EVERY", 0.01)
    board = Board([Hook(7, "https://HOOKS.example.com/a", current=True)])
    await kept(env, [board], lambda: board.asked.count("list") > 4)
    assert [one for one in board.asked if one != "list"] == ["update 7"]


async def test_a_hook_that_somebody_deletes_comes_back(env, monkeypatch):
    monkeypatch.setattr(registration, "EVERY", 0.01)
    board = Board()
    await kept(env, [board], lambda: board.there and not board.there.clear())
    await kept(env, [board], lambda: board.there)


async def test_a_hook_that_is_changed_is_changed_back(env, monkeypatch):
    monkeypatch.setattr(registration, "EVERY", 0.01)
    board = Board([Hook(7, URL, current=True)])

    def changed() -> bool:
        if "update 7" in board.asked and board.asked.count("list") == 3:
            board.there = [Hook(7, URL, current=False)]
        return board.asked.count("update 7") == 2

    await kept(env, [board], changed)


async def test_of_two_replicas_that_make_a_hook_the_later_takes_its_own_away(env):
    board = Board(meanwhile=[Hook(1, URL, current=True)])
    await kept(env, [board], lambda: "delete 2" in board.asked)
    assert [hook.id for hook in board.there] == [1]


async def test_the_earlier_keeps_its_own(env):
    board = Board(there=[])
    late = Hook(9, URL, current=True)

    def join() -> bool:
        if "create" in board.asked and late not in board.there:
            board.there.append(late)
        return board.asked.count("list") >= 2

    await kept(env, [board], join)
    assert not [one for one in board.asked if one.startswith("delete")]


async def test_somebody_else_has_just_made_it(env):
    board = Board(meanwhile=[Hook(1, URL, current=True)], exists=True)
    await kept(env, [board], lambda: "update 1" in board.asked)
    assert len(board.there) == 1


async def test_several_hooks_are_told_of(env, caplog):
    board = Board([Hook(8, URL, current=True), Hook(7, URL, current=True)])
    await kept(env, [board], lambda: "delete 8" in caplog.text)
    assert [one for one in board.asked if one != "list"] == ["update 7"]


async def test_a_hook_that_sends_nothing_is_told_of(env, caplog):
    board = Board([Hook(7, URL, current=True, problem="GitLab has set it to disabled")])
    await kept(env, [board], lambda: "GitLab has set it to disabled" in caplog.text)


async def test_a_secret_that_changes_is_written_at_once(env):
    board = Board([Hook(7, URL, current=True)])

    def rotated() -> bool:
        if board.asked.count("update 7") == 1:
            env.secrets._secrets["s", "k"] = "two"
        return board.asked.count("update 7") == 2

    await kept(env, [board], rotated)  # EVERY is five minutes


async def test_a_refusal_of_one_place_does_not_keep_others_from_theirs(env, caplog):
    first, second = Board(), Board()
    first.refuse = lambda _: TriggerError("listing: 403 Forbidden", hint="x", permanent=True)
    await kept(env, [first, second], lambda: second.there and first.asked.count("list") > 2)
    assert "the hook of place 0 is not in place" in caplog.text


async def test_an_api_that_is_away_is_not_asked_for_each_place(env):
    first, second = Board(), Board()
    first.refuse = lambda _: TriggerError("listing: no route to host")
    await kept(env, [first, second], lambda: first.asked.count("list") > 3)
    assert second.asked == []


async def test_what_the_api_asks_for_is_waited(env, monkeypatch):
    waits: list[float] = []

    async def wait(_self: Registration, _mark: bytes, seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.001)

    monkeypatch.setattr(Registration, "_until_changed", wait)
    board = Board()
    board.refuse = lambda _: TriggerError("listing: 429", retry_after=77.0)
    await kept(env, [board], lambda: len(waits) > 1)
    assert waits[:2] == [77.0, 77.0]
    waits.clear()
    board.refuse = lambda _: TriggerError("listing: 429", retry_after=1e9)
    await kept(env, [board], lambda: waits)
    assert waits[0] == 12 * registration.EVERY


async def test_secrets_that_are_not_there_are_waited_for(env, caplog):
    board = Board()
    answers = [ConfigError("reading key 'k' of Secret 's': no such file"), [FakePlace(board)]]

    def opening() -> Any:
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, Exception):
            raise found
        return found

    await kept(env, [], lambda: board.there, opening=opening)
    assert "registering hooks" in caplog.text


async def test_hooks_are_taken_away_at_the_end(env):
    boards = [Board(), Board([Hook(3, URL, current=True)])]
    await kept(env, boards, lambda: boards[0].there and "update 3" in boards[1].asked, delete=True)
    assert [board.there for board in boards] == [[], []]


async def test_a_hook_that_was_being_made_at_the_end_is_found(env):
    board = Board()
    begun, go = asyncio.Event(), asyncio.Event()

    class Slow(FakePlace):
        async def create(self) -> int | None:
            number = await super().create()
            begun.set()
            await go.wait()  # cancelled here: its number never comes back
            return number

    places = [Slow(board)]
    async with registered(Registration(env, URL, lambda: places), delete=True):
        await begun.wait()
    assert board.there == []


async def test_an_end_does_not_wait_for_an_api_that_is_away(env, caplog, monkeypatch):
    monkeypatch.setattr(registration, "FINISH", 0.05)
    board = Board()
    never = asyncio.Event()

    class Stuck(FakePlace):
        async def delete(self, number: int) -> None:
            await never.wait()

    places = [Stuck(board)]
    async with registered(Registration(env, URL, lambda: places), delete=True):
        async with asyncio.timeout(60):
            while not board.there:
                await asyncio.sleep(0.005)
    assert "hooks are still there, though they were to be deleted" in caplog.text


async def test_a_bug_ends_the_source(env):
    class Broken(FakePlace):
        async def hooks(self) -> list[Hook]:
            raise KeyError("id")

    places = [Broken(Board())]
    with pytest.raises(ExceptionGroup) as caught:
        async with registered(Registration(env, URL, lambda: places), delete=False):
            await asyncio.Event().wait()
    assert caught.group_contains(KeyError)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (URL, URL, True),
        (URL, "https://HOOKS.example.com/a", True),
        (URL, "http://hooks.example.com/a", False),
        (URL, "https://hooks.example.com/A", False),
        (URL, "https://hooks.example.com/a/", False),
        (URL, "https://hooks.example.com/a?b", False),
        (URL, "https://[", False),
        ("", "", True),
    ],
)
def test_urls(one, other, same):
    assert same_url(one, other) is same
