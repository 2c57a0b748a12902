"""A NATS cluster of three servers that die under load: what was accepted is acted on.

Real processes: an EventSource with a webhook, two replicas of a Sensor, and somebody who posts
and, like the senders of the world, posts again what was not taken.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from nats_cluster import Cluster, nats_cluster
from ports import free_port
from sensor_kit import trigger
from sink import Sink, sink
from tocsin_run import Run, started

from eventbus.bus import ACTIONS, DECISIONS, EVENTS, LEASES, STATE
from eventbus.jetstream import Options, connect

pytestmark = pytest.mark.timeout(300)


class Place:
    """What runs on the cluster, and who posts to it."""

    def __init__(self, cluster: Cluster, target: Sink, runs: dict[str, Run], ports: list[int]):
        self.cluster, self.target, self.runs, self.ports = cluster, target, runs, ports
        self.accepted: set[str] = set()
        self.answers: Counter[int] = Counter()
        self.slowest = 0.0
        self.client = httpx.AsyncClient(timeout=60)

    async def post_on(self, worker: int) -> None:
        """Post one number after the other, each until it is taken."""
        number, loop = worker, asyncio.get_running_loop()
        while True:
            began = loop.time()
            answer = await self.client.post(
                f"http://127.0.0.1:{self.ports[0]}/a", json={"n": number}
            )
            self.slowest = max(self.slowest, loop.time() - began)
            self.answers[answer.status_code] += 1
            if answer.status_code == 200:
                self.accepted.add(str(number))
                number += 4
            await asyncio.sleep(0.02)

    async def more(self, least: int = 50) -> None:
        """Wait until so many more are accepted."""
        goal = len(self.accepted) + least
        async with asyncio.timeout(120):
            while len(self.accepted) < goal:
                await asyncio.sleep(0.05)

    async def answered(self, status: int) -> None:
        async with asyncio.timeout(120):
            goal = self.answers[status]
            while self.answers[status] == goal:
                await asyncio.sleep(0.05)

    async def ready(self, name: str) -> tuple[int, str]:
        port = self.ports[list(self.runs).index(name) + 1]
        try:
            answer = await self.client.get(f"http://127.0.0.1:{port}/readyz")
        except httpx.TransportError:
            return 0, "nobody answers"
        return answer.status_code, answer.text

    async def until_ready(self, *names: str, status: int = 200, why: str = "") -> None:
        """Wait until all answer so, with these words."""
        end = asyncio.get_running_loop().time() + 120
        for name in names or tuple(self.runs):
            while (found := await self.ready(name))[0] != status or why not in found[1]:
                if asyncio.get_running_loop().time() > end:
                    raise AssertionError(f"{name}: {found}:\n{self.runs[name].text}")
                await asyncio.sleep(0.1)

    @property
    def pids(self) -> list[int]:
        return [run.process.pid for run in self.runs.values()]

    async def connected(self, wanted: int) -> None:
        """Wait until the servers have so many connections: one that was closed is noticed later."""
        end, found = asyncio.get_running_loop().time() + 60, -1
        while found != wanted:
            assert asyncio.get_running_loop().time() < end, f"{found} connections, not {wanted}"
            seen = [await member.look("/connz") for member in self.cluster.members]
            found = sum(one.get("num_connections", -100) for one in seen)

    def memory(self) -> list[int]:
        """Return megabytes of each process."""
        return [
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 // 2**20
            for pid in self.pids
        ]

    async def all_acted_on(self) -> None:
        async with asyncio.timeout(120):
            while not self.accepted <= self.target.seen("/t"):
                await asyncio.sleep(0.1)

    async def repeats(self) -> tuple[int, int]:
        """Return how many were stored twice, and how many acted on twice that were stored once."""
        stored: Counter[str] = Counter()
        async with connect(lambda: Options(self.cluster.urls)) as bus:
            async for message in bus.read(EVENTS):
                body = orjson.loads(base64.b64decode(orjson.loads(message.data)["data_base64"]))
                stored[str(body["body"]["n"])] += 1
        acted = {key.split(" ", 1)[1]: count for key, count in self.target.ids.items()}
        return (
            sum(count - 1 for count in stored.values()),
            sum(max(0, count - stored[number]) for number, count in acted.items()),
        )


def manifests(port: int, target: Sink) -> dict[str, dict[str, Any]]:
    act = trigger("t", "a", f"{target.url}/t")
    number = {"src": {"dependencyName": "a", "dataKey": "body.n"}, "dest": "id"}
    act["template"]["http"]["payload"] = [number]
    waits = {"name": "a", "eventSourceName": "src", "eventName": "a"}
    hook = {"port": str(port), "endpoint": "/a", "method": "POST"}
    return {
        "src": {"kind": "EventSource", "spec": {"webhook": {"a": hook}}},
        "s": {"kind": "Sensor", "spec": {"dependencies": [waits], "triggers": [act]}},
    }


@asynccontextmanager
async def running(folder: Path, name: str, made: dict[str, Any], port: int) -> AsyncIterator[Run]:
    head = {"apiVersion": "argoproj.io/v1alpha1", "metadata": {"name": name, "namespace": "ns"}}
    (folder / f"{name}.json").write_text(json.dumps(head | made))
    words = [made["kind"].lower(), "-f", f"{name}.json", "--bus-config", "bus.json"]
    words += ["--host", "127.0.0.1", "--metrics-port", str(port)]
    async with started(folder, *words) as run:
        yield run


@pytest.fixture
async def place(tmp_path: Path):
    ports = [free_port() for _ in range(4)]
    async with nats_cluster(tmp_path) as cluster, sink() as target:
        bus = {"jetstream": {"url": cluster.url, "streamConfig": "replicas: 3"}}
        (tmp_path / "bus.json").write_text(json.dumps(bus))
        made = manifests(ports[0], target)
        async with (
            running(tmp_path, "src", made["src"], ports[1]) as source,
            running(tmp_path, "s", made["s"], ports[2]) as one,
            running(tmp_path, "s", made["s"], ports[3]) as two,
        ):
            found = Place(cluster, target, {"src": source, "one": one, "two": two}, ports)
            await found.until_ready()
            posting = [asyncio.create_task(found.post_on(worker)) for worker in range(4)]
            try:
                await found.more()
                yield found
            finally:
                for task in posting:
                    task.cancel()
                await asyncio.gather(*posting, return_exceptions=True)
                await found.client.aclose()


async def test_servers_die_and_hang_one_after_the_other_and_nothing_accepted_is_lost(
    place, record_property
):
    """Without a majority, senders are told to come again; with one, all goes on by itself."""
    cluster, pids = place.cluster, place.pids
    first = await cluster.leader(EVENTS)
    await first.kill()
    await place.more()  # another one leads
    memory = place.memory()

    second = await cluster.leader(EVENTS)
    await second.kill()
    await place.answered(503)
    await place.until_ready(status=503, why="JetStream keeps nothing")
    assert all(run.process.returncode is None for run in place.runs.values()), "none crashed"

    await second.start()
    await place.more()
    await place.until_ready()
    await first.start()
    await cluster.healthy()

    third = await cluster.leader(EVENTS)  # hangs for a while, and nobody tells its clients
    third.freeze()
    try:
        await place.more()
        await place.until_ready()
    finally:
        third.thaw()
    await place.more()
    await place.all_acted_on()
    await cluster.healthy()

    stored, acted = await place.repeats()
    found = {"accepted": len(place.accepted), "stored twice": stored, "acted on twice": acted}
    record_property("figures", str(found | {"slowest": round(place.slowest, 1)}))
    print(found, "slowest", round(place.slowest, 1), dict(place.answers), place.memory())
    assert stored <= place.answers[503], "of what was refused after all it was stored"
    assert place.pids == pids
    await place.connected(3)  # one of each process
    more = [now - before for now, before in zip(place.memory(), memory, strict=True)]
    assert max(more) < 30, "megabytes"


async def test_streams_have_three_copies_and_a_rolling_restart_refuses_nothing(
    place, record_property
):
    """As the StatefulSet of a bus does it: each leaves in lame duck mode, and comes back first."""
    for stream in (EVENTS, ACTIONS, f"KV_{STATE}", f"KV_{LEASES}"):
        await place.cluster.copied(stream, 3)
    await place.cluster.copied(DECISIONS, 1)
    await names_are_those_of_the_page(place)
    for member in place.cluster.members:
        await member.retire()
        await place.more()
        await member.start()
        await place.cluster.healthy()
    await place.more()
    await place.all_acted_on()

    stored, acted = await place.repeats()
    found = {"accepted": len(place.accepted), "slowest": round(place.slowest, 1), "twice": acted}
    record_property("figures", str(found))
    print(found)
    assert set(place.answers) == {200}
    assert stored == 0


async def names_are_those_of_the_page(place: Place) -> None:
    """Ask for what waits as the autoscalers of docs/availability.md do."""
    lag: list[int] = []
    async with asyncio.timeout(60):
        while not lag:
            for member in place.cluster.members:
                answer = await member.look("/jsz?acc=$G&consumers=true&config=true")
                lag += [
                    consumer["num_pending"] + consumer["num_ack_pending"]
                    for account in answer.get("account_details") or ()
                    for stream in account["stream_detail"]
                    for consumer in stream.get("consumer_detail") or ()
                    if (stream["name"], consumer["name"]) == ("default", "sensor-s")
                ]
    metrics = (await place.client.get(f"http://127.0.0.1:{place.ports[2]}/metrics")).text
    assert 'tocsin_events_waiting{namespace="ns",sensor_name="s"}' in metrics
