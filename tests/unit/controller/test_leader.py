"""The Lease: who holds it, for how long, and that nobody writes without it."""

import asyncio
import itertools

import msgspec
import pytest

from controller.leader import FencedSession, Leader, Pace
from spine.errors import KubeError

PACE = Pace(duration=15.0, deadline=10.0, retry=0.001)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Leases:
    """One Lease, as an API server keeps it; every answer takes a while."""

    def __init__(self, clock, takes=0.0):
        self.clock, self.takes, self.found, self.away = clock, takes, None, False
        self._version = itertools.count(1)

    def _answer(self):
        self.clock.now += self.takes
        if self.away:
            raise KubeError("GET leases: no answer")

    async def get(self, *_):
        self._answer()
        if self.found is None:
            raise KubeError("none", status=404)
        return self.found

    async def create(self, _, body, __):
        self._answer()
        return self._keep(msgspec.json.decode(body))

    async def update(self, _, __, body, ___):
        self._answer()
        made = msgspec.json.decode(body)
        current = msgspec.json.decode(self.found)["metadata"]["resourceVersion"]
        if made["metadata"]["resourceVersion"] != current:
            raise KubeError("changed", status=409)
        return self._keep(made)

    def _keep(self, made):
        made["metadata"]["resourceVersion"] = str(next(self._version))
        self.found = msgspec.json.encode(made)
        return self.found

    @property
    def holder(self):
        return msgspec.json.decode(self.found)["spec"]["holderIdentity"]


def candidate(leases, name, clock=None):
    return Leader(leases, "ns", name, pace=PACE, clock=clock or leases.clock)


@pytest.fixture
def clock():
    return Clock()


async def test_a_lease_counts_from_before_it_was_asked_for(clock):
    leader = candidate(Leases(clock, takes=2.0), "a")
    assert await leader._try()
    leader.leading = True
    assert leader.left == PACE.duration - 4.0  # it was looked for, and made


async def test_who_was_frozen_does_not_write_and_another_one_leads_only_then(clock):
    leases = Leases(clock)
    one, other = candidate(leases, "one"), candidate(leases, "other")
    assert await one._try()
    one.leading = True
    assert not await other._try()
    while not await other._try():  # `one` is frozen
        assert clock.now < 1000.0 + 2 * PACE.duration
        clock.now += 0.1
    assert leases.holder == "other"
    assert one.left == 0.0
    assert clock.now - 1000.0 > PACE.duration
    assert not await one._try()


async def test_nobody_writes_between_the_deadline_and_the_end_of_the_lease(clock):
    leader = candidate(Leases(clock), "a")
    await leader._try()
    leader.leading = True
    clock.now += PACE.deadline - 0.1
    assert leader.left == pytest.approx(PACE.duration - PACE.deadline + 0.1)
    clock.now += 0.1
    assert leader.left == 0.0
    leader.leading = False
    await leader._try()
    assert leader.left == 0.0


@pytest.mark.parametrize("left", [4.0, 0.0])
async def test_every_write_asks_and_has_no_more_time_than_is_left(left, monkeypatch):
    asked = []

    async def request(self, method, path, **more):
        asked.append((method, more["seconds"]))
        return b""

    monkeypatch.setattr("controller.leader.Session.request", request)
    session = FencedSession("http://x", "ns", None, True, None, left=lambda: left)
    await session.request("GET", "/a")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        if left:
            await session.request(method, "/a")
        else:
            with pytest.raises(KubeError, match="does not lead any more"):
                await session.request(method, "/a")
    writes = [(method, left) for method in ("POST", "PUT", "PATCH", "DELETE")]
    assert asked == [("GET", 30.0), *(writes if left else [])]


async def test_one_that_cannot_renew_stops_by_itself_and_begins_again(clock):
    leases, led = Leases(clock), []
    leader = candidate(leases, "a")

    async def lead():
        led.append("begins")
        leases.away = True
        leases.takes = 1.0
        try:
            await asyncio.Event().wait()
        finally:
            led.append(clock.now - 1000.0)
            leases.away = False

    running = asyncio.create_task(leader.run(lead))
    async with asyncio.timeout(60):
        while led.count("begins") < 2:
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert PACE.deadline <= led[1] < PACE.duration
