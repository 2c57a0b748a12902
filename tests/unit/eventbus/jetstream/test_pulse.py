"""Whether a bus that answers keeps anything."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from eventbus.jetstream.pulse import PATIENCE_SECONDS, Pulse
from spine.errors import BusError
from spine.runtime import cancelled_at_exit

SECOND = 1_000_000_000


def peer(name: str, seconds: float, *, current: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "active": int(seconds * SECOND), "current": current, **more}


def cluster(*peers: dict[str, Any], leader: str = "n0") -> dict[str, Any]:
    return {"cluster": {"leader": leader, "replicas": list(peers)}}


WELL = cluster(peer("n1", 0.5), peer("n2", 0.5))


@dataclass
class Told:
    """What a server says to each question; the last answer is said for ever."""

    answers: list[Any] = field(default_factory=list)
    is_up: bool = True

    @property
    def connection(self) -> "Told":
        return self

    async def stream(self, name: str) -> Any:
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if found == "silence":
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return found


async def problem_after(seconds: float, *answers: Any) -> str:
    pulse = Pulse(Told(list(answers)))
    async with cancelled_at_exit(asyncio.create_task(pulse.run())):
        await asyncio.sleep(seconds)
        return pulse.problem


@pytest.mark.looptime
@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"cluster": {"leader": "alone"}},
        WELL,
        cluster(peer("n1", 60.0, current=False, offline=True), peer("n2", 0.5)),
        cluster(peer("n1", 0.5, current=False), peer("n2", 60.0)),
    ],
    ids=["no stream", "no cluster", "one server", "three", "one gone", "one behind"],
)
async def test_who_has_a_majority_is_well(answer):
    assert await problem_after(100.0, answer) == ""


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("silence", "stream default has no leader that answers"),
        (BusError("looking up stream default: no answer"), "looking up stream default: no answer"),
        (cluster(peer("n1", 0.5), leader=""), "stream default has no leader"),
        (cluster(peer("n1", 6.0), peer("n2", 0.0, current=False)), "of 3 servers, n1 and n2 do"),
        (cluster(peer("n1", 6.0)), "of 2 servers, n1 do"),
    ],
    ids=["silence", "an error", "no leader", "two of three gone", "one of two gone"],
)
async def test_who_has_none_says_why(answer, why):
    assert why in await problem_after(3 * PATIENCE_SECONDS, WELL, answer)


@pytest.mark.looptime
async def test_the_choice_of_a_leader_is_waited_for():
    silent = ["silence"] * 3  # of three seconds, one second apart
    assert await problem_after(PATIENCE_SECONDS, WELL, *silent, WELL) == ""


@pytest.mark.looptime
async def test_it_is_well_again_at_the_first_answer():
    assert await problem_after(60.0, WELL, *["silence"] * 8, WELL) == ""


@pytest.mark.looptime
async def test_what_has_no_connection_may_be_well():
    told = Told([WELL, "silence"])
    pulse = Pulse(told)
    async with cancelled_at_exit(asyncio.create_task(pulse.run())):
        await asyncio.sleep(6.0)
        told.is_up = False
        await asyncio.sleep(60.0)
        assert pulse.problem == ""
        told.is_up = True
        await asyncio.sleep(PATIENCE_SECONDS - 2.0)  # to choose a leader
        assert pulse.problem == ""
        await asyncio.sleep(PATIENCE_SECONDS)
        assert "has no leader that answers" in pulse.problem
