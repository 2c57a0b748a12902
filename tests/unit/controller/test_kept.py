"""What the controller keeps in memory and does at once, driven to its bounds."""

import asyncio
from types import SimpleNamespace
from typing import Any

from controller import cache, cluster
from controller.cache import Kept
from controller.cluster import Cluster
from controller.queue import Queue
from controller.reconciler import Key
from controller.runner import WORKERS
from controller.workload import checking, reports
from controller.workload.checking import Checker, Looked
from controller.workload.reports import Pod, Reports
from spine.kube import Resource


def test_versions_of_what_was_deleted() -> None:
    kept = Kept(Resource("", "v1", "Pod", "pods", namespaced=True))
    for number in range(1, cache._GONE + 4):
        kept.take({"metadata": {"name": f"p{number}", "resourceVersion": str(number)}})
        kept.drop(("", f"p{number}"), number)
    assert len(kept.gone) == cache._GONE
    assert not kept.entries


def test_events_that_were_told() -> None:
    one: Any = SimpleNamespace(_said={})
    for number in range(cluster._SAID + 3):
        assert Cluster._is_news(one, ("Sensor", str(number), "why"))
    assert len(one._said) == cluster._SAID


async def test_checks_that_are_remembered(monkeypatch) -> None:
    monkeypatch.setattr(checking, "look", lambda _: Looked(None, (), ()))
    checker = Checker()
    for number in range(checking.KEPT + 3):
        await checker.check({"metadata": {"uid": str(number)}})
    assert len(checker._kept) == checking.KEPT


async def test_pods_of_one_object_that_are_asked(monkeypatch) -> None:
    pods = [Pod(str(number), "10.0.0.1", "") for number in range(reports.MOST + 5)]
    one, asked, taken = Reports(), [], []
    key = Key("Sensor", "ns", "s")

    async def pods_of(*_: Any) -> list[Pod]:
        return pods

    async def ask(client: Any, pod: Pod, key: Key) -> str:
        asked.append(pod.name)
        return "no answer"

    monkeypatch.setattr(one, "_pods_of", pods_of)
    monkeypatch.setattr(one, "_one", ask)
    monkeypatch.setattr(one, "_take", lambda key, report, look: taken.append(report))
    one._asked[key] = SimpleNamespace(settled=True)  # type: ignore[assignment]  # all that is looked at
    await one._turn(None, None, lambda _: None, key)  # type: ignore[arg-type]  # nobody is asked
    assert len(asked) == reports.MOST
    one.forget(key)
    assert not one._asked


async def test_objects_that_are_looked_at_at_once() -> None:
    queue, busy, most = Queue[int](), 0, 0
    for number in range(3 * WORKERS):
        queue.add(number)

    async def work() -> None:
        nonlocal busy, most
        while True:
            key = await queue.take()
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1
            queue.done(key)

    workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
    while len(queue) or queue._held:
        await asyncio.sleep(0)
    for one in workers:
        one.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert most == WORKERS
