"""Events of one Kubernetes object are handled one after another, all others side by side."""

import asyncio

from plan_kit import event

from sensor.objects import Objects
from spine.event import Event


def of(uid: str, kind: str = "resource") -> Event:
    return event("services", b'{"body":{"metadata":{"uid":"%b"}}}' % uid.encode(), type=kind)


async def handled(events: list[Event]) -> list[str]:
    """Handle events at once, each quicker than the one before; return begins and ends."""
    objects, seen = Objects(), []

    async def handle(number: int, one: Event) -> None:
        async with objects.turn(one):
            seen.append(f"+{number}")
            await asyncio.sleep(0.01 * (len(events) - number))
            seen.append(f"-{number}")

    await asyncio.gather(*(handle(n, one) for n, one in enumerate(events)))
    return seen


async def test_one_after_another():
    assert await handled([of("a"), of("a"), of("a")]) == ["+0", "-0", "+1", "-1", "+2", "-2"]


async def test_different_objects_and_other_events_side_by_side():
    assert (await handled([of("a"), of("b")]))[:2] == ["+0", "+1"]
    assert (await handled([of("a", "webhook"), of("a", "webhook")]))[:2] == ["+0", "+1"]
    assert (await handled([event(data=b"no"), event(data=None)]))[:2] == ["+0", "+1"]


async def test_one_that_is_cancelled_lets_the_next_in():
    objects = Objects()

    async def hang() -> None:
        async with objects.turn(of("a")):
            await asyncio.Event().wait()

    hanging = asyncio.create_task(hang())
    await asyncio.sleep(0)
    waiting = asyncio.create_task(hang())
    await asyncio.sleep(0)
    waiting.cancel()
    hanging.cancel()
    await asyncio.gather(hanging, waiting, return_exceptions=True)
    async with asyncio.timeout(1), objects.turn(of("a")):
        pass
