"""The pubSub source on real servers: what it makes, takes and survives.

`each_server`: on Google's emulator, and on the stand-in that every machine can build.
"""

import asyncio
import base64
import json
import signal
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hooks import running
from nats_server import nats_server
from pubsub_emulator import PROJECT, SERVERS, Emulator, emulator
from tocsin_run import started

from delivery.dead import list_dead
from eventbus.bus import EVENTS, Bus
from eventbus.jetstream import Options, connect
from eventbus.memory import MemoryBus
from eventsource import runner
from eventsource.pubsub import puller
from spine.errors import BusError
from spine.event import Event, decode
from spine.runtime import Backoff
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(300)
SUB = f"projects/{PROJECT}/subscriptions/sub"
each_server = pytest.mark.parametrize("server", SERVERS)
stand_in = pytest.mark.parametrize("server", ["stand-in"])


@pytest.fixture
async def pubsub(tmp_path, server, monkeypatch):
    """A server that the source is led to."""
    async with emulator(tmp_path, server) as one:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", one.host)
        yield one


def spec(**event: Any) -> dict[str, Any]:
    return {"pubSub": {"ev": {"projectID": PROJECT, "topic": "orders", **event}}}


async def until(met, seconds: float = 60.0) -> Any:
    """Wait until something is true; return it."""
    async with asyncio.timeout(seconds):
        while not (found := await met()):
            await asyncio.sleep(0.02)
    return found


async def bodies(it: Any, count: int) -> list[dict[str, Any]]:
    """Wait for so many events and return their data."""

    async def enough() -> bool:
        return bool(await it.count() >= count)

    try:
        await until(enough)
    except TimeoutError:
        raise AssertionError(f"{await it.count()} of {count} events") from None
    return [json.loads(event.data or b"") for event in await it.events()]


def numbers(count: int, start: int = 0) -> list[bytes]:
    return [b'{"n":%d}' % n for n in range(start, start + count)]


# ---------------------------------------------------------------------------- fields


@each_server
async def test_topic_and_subscription_are_made_under_the_name_of_argo_events(pubsub):
    async with running(spec()):
        assert [*(await pubsub.subscriptions())] == ["ev-536249165"]
    assert [*(await pubsub.subscriptions())] == ["ev-536249165"], "it stays for the next start"


@each_server
async def test_payload(pubsub):
    topic = await pubsub.topic("orders")
    async with running(spec(metadata={"team": "<a>"})) as it:
        ids = await pubsub.publish(topic, [b"hi\xff"], objectId="a.json", z="1")
        ids += await pubsub.publish(topic, [b""], only="attributes")
        found = {one["id"]: one for one in await bodies(it, 2)}
        (event, _) = await it.events()
    assert event.type == "pubsub"
    assert set(found) == set(ids)
    first, second = (found[one] for one in ids)
    assert first == {
        "id": ids[0],
        "body": base64.b64encode(b"hi\xff").decode(),
        "attributes": {"objectId": "a.json", "z": "1"},
        "publishTime": first["publishTime"],
        "metadata": {"team": "<a>"},
    }
    assert first["publishTime"].endswith(" +0000 UTC")
    assert (second["body"], second["attributes"]) == (None, {"only": "attributes"})


@each_server
async def test_json_body_goes_through_as_it_is(pubsub):
    topic = await pubsub.topic("orders")
    async with running(spec(jsonBody=True)) as it:
        await pubsub.publish(topic, [b' {"big": 12345678901234567890, "f": 1.0e2} '])
        await bodies(it, 1)
        (event,) = await it.events()
    assert b'"body":{"big":12345678901234567890,"f":1.0e2},"attributes":null' in (event.data or b"")


@each_server
async def test_filter(pubsub):
    topic = await pubsub.topic("orders")
    chosen = spec(jsonBody=True, filter={"expression": "body.n > 7"}, subscriptionID="sub")
    async with running(chosen) as it:
        await pubsub.publish(topic, numbers(10))
        assert sorted(one["body"]["n"] for one in await bodies(it, 2)) == [8, 9]
    assert await pubsub.left(SUB) == []


@each_server
async def test_subscription_of_another_project_than_its_topic(pubsub):
    topic = await pubsub.topic("orders", "elsewhere-project")
    async with running(spec(topicProjectID="elsewhere-project", subscriptionID="sub")) as it:
        await pubsub.publish(topic, [b"x"])
        await bodies(it, 1)
        made = await pubsub.subscriptions()
    assert made["sub"].topic == "projects/elsewhere-project/topics/orders"


@each_server
async def test_existing_subscription_needs_no_topic_and_brings_what_came_before(pubsub):
    topic = await pubsub.topic("orders")
    await pubsub.subscribe(topic, "sub")
    await pubsub.publish(topic, [b"before"])
    async with running(spec(topic="", subscriptionID="sub")) as it:
        (found,) = await bodies(it, 1)
    assert base64.b64decode(found["body"]) == b"before"


@each_server
async def test_subscription_is_deleted_when_asked(pubsub):
    async with running(spec(deleteSubscriptionOnFinish=True)):
        assert len(await pubsub.subscriptions()) == 1
    assert await pubsub.subscriptions() == {}


async def failure(event: dict[str, Any]) -> str:
    """Return why a source does not come up."""
    from eventsource.spec import EventSourceSpec
    from spine.model import load
    from spine.telemetry import SourceMetrics

    parsed = load(EventSourceSpec, event)
    one = runner.Runner(
        name="hooks",
        namespace="ns",
        spec=parsed,
        bus=MemoryBus(),
        secrets=GivenSecrets(),
        metrics=SourceMetrics("ns", "hooks", parsed.sources()),
    )

    async def problem() -> str:
        return one.problem if "failed" in one.problem else ""

    task = asyncio.create_task(one.run())
    try:
        return str(await until(problem))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@each_server
async def test_what_cannot_be_pulled_says_why(pubsub):
    topic = await pubsub.topic("others")
    await pubsub.subscribe(topic, "sub")
    assert await failure(spec(topic="", subscriptionID="none")) == (
        f"event ev failed: pulling from projects/{PROJECT}/subscriptions/none: it does not exist"
        " (write topic, so that it is made, or check subscriptionID and projectID)"
    )
    assert await failure(spec(subscriptionID="sub")) == (
        f"event ev failed: pulling from projects/{PROJECT}/subscriptions/sub: this subscription"
        f" belongs to wrong topic {topic}, not to projects/{PROJECT}/topics/orders"
        " (write the right topic and topicProjectID, or another subscriptionID)"
    )
    from google.pubsub_v1.types import pubsub as types

    await pubsub.call("Publisher/DeleteTopic", types.DeleteTopicRequest(topic=topic))
    assert "its topic was deleted" in await failure(spec(topic="others", subscriptionID="sub"))


async def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:9")
    text = await failure(spec())
    assert f"looking up projects/{PROJECT}/subscriptions/ev-536249165: UNAVAILABLE" in text


# ---------------------------------------------------------------------------- poison


@each_server
async def test_poison_is_set_aside_once_and_the_rest_passes(pubsub):
    topic = await pubsub.topic("orders")
    async with running(spec(jsonBody=True, subscriptionID="sub")) as it:
        await pubsub.publish(topic, [*numbers(5), b"{oops", *numbers(5, 5)])
        assert sorted(one["body"]["n"] for one in await bodies(it, 10)) == list(range(10))

        async def letters() -> list[Any]:
            return [entry.letter async for entry in list_dead(it.bus)]

        (letter,) = await until(letters)
    assert letter.code == "UnusableEvent"
    assert "it is not JSON, and jsonBody is set" in letter.message
    kept = json.loads(decode(letter.data).data or b"")
    assert base64.b64decode(kept["body"]) == b"{oops"
    assert await pubsub.left(SUB) == []


# ---------------------------------------------------------------------------- delivery


class Counting(MemoryBus):
    """A bus that counts what it is told, and can be away or slow."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Counter[str] = Counter()
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, event: Event) -> None:
        if self.away:
            raise BusError("away")
        self.told[event.id] += 1
        await self.open.wait()
        await super().publish(event)


@each_server
async def test_replicas_share_a_subscription(pubsub):
    topic = await pubsub.topic("orders")
    bus = Counting()
    async with (
        running(spec(maxOutstanding=50), bus=bus) as one,
        running(spec(maxOutstanding=50), bus=bus),
    ):
        await pubsub.publish(topic, numbers(1000))
        await bodies(one, 1000)
    assert len(bus.told) == 1000
    assert set(bus.told.values()) == {1}


@pytest.fixture
def delivered(monkeypatch):
    """How often each message was delivered to us."""
    counted: Counter[str] = Counter()
    start = puller.Puller._start

    async def counting(self, one) -> None:
        counted[one.message.message_id] += 1
        await start(self, one)

    monkeypatch.setattr(puller.Puller, "_start", counting)
    return counted


@pytest.mark.parametrize(("server", "lease"), [("emulator", 10), ("stand-in", 4)])
async def test_a_slow_bus_keeps_its_messages(pubsub, lease, monkeypatch, delivered):
    monkeypatch.setattr(puller, "LEASE", lease)  # 10 s is the least that the emulator takes
    topic = await pubsub.topic("orders")
    bus = Counting()
    bus.open.clear()
    async with running(spec(subscriptionID="sub"), bus=bus) as it:
        await pubsub.publish(topic, numbers(20))
        await asyncio.sleep(lease * 1.2)
        bus.open.set()
        await bodies(it, 20)
    assert len(delivered) == 20
    assert set(delivered.values()) == {1}
    assert await pubsub.left(SUB) == []


@stand_in
async def test_what_comes_again_while_it_is_held_is_one_event(pubsub, monkeypatch, delivered):
    async def never(self) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(puller, "LEASE", 1)
    monkeypatch.setattr(puller.Puller, "_extend", never)
    topic = await pubsub.topic("orders")
    bus = Counting()
    bus.open.clear()
    async with running(spec(subscriptionID="sub"), bus=bus) as it:
        await pubsub.publish(topic, numbers(20))
        await until(lambda: _again(delivered, 20))  # the server lends them again and again
        bus.open.set()
        await bodies(it, 20)
        await asyncio.sleep(0.3)
    assert set(bus.told.values()) == {1}
    assert await pubsub.left(SUB) == []


async def _again(delivered: Counter[str], count: int) -> bool:
    return len(delivered) == count and min(delivered.values()) > 1


@each_server
async def test_a_bus_that_is_away(pubsub, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(duration=0.01, steps=2))
    topic = await pubsub.topic("orders")
    bus = Counting()
    bus.away = True
    async with running(spec(maxOutstanding=10), bus=bus) as it:
        await pubsub.publish(topic, numbers(100))
        await asyncio.sleep(1)
        bus.away = False
        assert len(await bodies(it, 100)) == 100


@each_server
async def test_what_is_held_is_bounded(pubsub):
    topic = await pubsub.topic("orders")
    bus = Counting()
    bus.open.clear()
    async with running(spec(maxOutstanding=7), bus=bus) as it:
        await pubsub.publish(topic, numbers(200))
        await until(lambda: _told(bus, 7))
        await asyncio.sleep(1)
        assert len(bus.told) == 7
        bus.open.set()
        await bodies(it, 200)


async def _told(bus: Counting, count: int) -> bool:
    return len(bus.told) >= count


@each_server
async def test_what_is_under_way_at_the_end_is_given_back(pubsub):
    await given_back(pubsub)


async def test_what_is_given_back_is_not_sent_to_who_left(tmp_path, monkeypatch):
    """A server may take its time to notice that a stream was broken off."""
    async with emulator(tmp_path, "stand-in", "-slow", "30s") as one:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", one.host)
        await given_back(one)


async def given_back(pubsub: Emulator) -> None:
    topic = await pubsub.topic("orders")
    bus = Counting()
    bus.open.clear()
    async with running(spec(subscriptionID="sub"), bus=bus):
        await pubsub.publish(topic, numbers(20))

        async def told() -> bool:
            return len(bus.told) == 20

        await until(told)
    left: set[bytes] = set()

    async def back() -> bool:
        left.update(await pubsub.left(SUB))
        return len(left) == 20

    await until(back, 16)  # before their lease is over


# ---------------------------------------------------------------------------- cuts and kills


async def test_streams_that_are_cut_again_and_again(tmp_path, monkeypatch):
    async with emulator(tmp_path, "stand-in", "-cut", "100ms") as pubsub:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub.host)
        monkeypatch.setattr(puller, "HEALTHY", 0.05)
        topic = await pubsub.topic("orders")
        bus = Counting()
        async with running(spec(), bus=bus) as it:
            for start in range(0, 3000, 100):
                await pubsub.publish(topic, numbers(100, start))
                await asyncio.sleep(0.03)
            assert len(await bodies(it, 3000)) == 3000
        assert set(bus.told.values()) == {1}


@each_server
async def test_a_server_that_is_killed_and_forgets(pubsub):
    topic = await pubsub.topic("orders")
    async with running(spec(jsonBody=True)) as it:
        await pubsub.publish(topic, numbers(200))
        await bodies(it, 100)
        await pubsub.restart()

        async def made_anew() -> dict[str, Any]:
            return await pubsub.subscriptions()

        await until(made_anew)
        await pubsub.publish(topic, numbers(200, 1000))

        async def told_of_all() -> bool:
            found = [json.loads(event.data or b"")["body"]["n"] for event in await it.events()]
            return set(found) >= set(range(1000, 1200))

        await until(told_of_all)


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


class Scene:
    """A bus, and processes of an EventSource."""

    def __init__(self, folder: Path, pubsub: Emulator, server: Any, bus: Bus) -> None:
        self.folder, self.pubsub, self.server, self.bus = folder, pubsub, server, bus

    def source(self, **event: Any) -> Any:
        """Return a process, to be entered."""
        return started(
            self.folder,
            *("eventsource", "--metrics-port", "0", "--log-format", "text"),
            EVENTSOURCE_OBJECT=encoded({"metadata": {"name": "es"}, "spec": spec(**event)}),
            EVENTBUS_CONFIG=encoded({"jetstream": {"url": self.server.url}}),
            PUBSUB_EMULATOR_HOST=self.pubsub.host,
        )

    async def events(self) -> list[Event]:
        return [decode(message.data) async for message in self.bus.read(EVENTS)]


@asynccontextmanager
async def scene(folder: Path, pubsub: Emulator):
    async with (
        nats_server(folder) as server,
        connect(lambda: Options(servers=(server.url,))) as bus,
    ):
        yield Scene(folder, pubsub, server, bus)


@pytest.mark.parametrize(
    ("server", "shares", "limit"),
    [
        ("emulator", (150,), 1000),  # it goes on lending messages to streams that are dead
        ("stand-in", (150, 400), 100),
    ],
)
async def test_source_is_killed(tmp_path, server, shares, limit):
    more = ["-lease", "2s"] if server == "stand-in" else []
    async with emulator(tmp_path, server, *more) as pubsub:
        await _killed(tmp_path, pubsub, shares, limit)


async def _killed(tmp_path: Path, pubsub: Emulator, shares: tuple[int, ...], limit: int) -> None:
    topic = await pubsub.topic("orders")
    await pubsub.subscribe(topic, "sub", ack_deadline_seconds=10)
    kills = 0
    async with scene(tmp_path, pubsub) as here:
        await pubsub.publish(topic, numbers(1000))
        event = {"jsonBody": True, "topic": "", "subscriptionID": "sub", "maxOutstanding": limit}
        for share in shares:
            async with here.source(**event) as run:

                async def some(share: int = share) -> bool:
                    return len(await here.events()) >= share

                await until(some, 60)
                run.process.send_signal(signal.SIGKILL)
                await run.process.wait()
                kills += 1
        async with here.source(**event) as run:

            async def all_of_them() -> bool:
                return len({e.id for e in await here.events()}) >= 1000

            await run.until("listening", 60)
            await until(all_of_them, 200)
            assert await run.stop(signal.SIGTERM) == 0, run.text
        events = await here.events()
    assert kills == len(shares)
    assert Counter(json.loads(e.data or b"")["body"]["n"] for e in events) == Counter(range(1000))
    assert len({e.id for e in events}) == 1000


@stand_in
async def test_old_credentials_file_is_neither_read_here_nor_part_of_the_name(tmp_path, pubsub):
    old = {"credentialsFile": "/app/credentials/gcp_credentials.json"}
    async with scene(tmp_path, pubsub) as here, here.source(**old) as run:
        await run.until("listening")
        assert [*(await pubsub.subscriptions())] == ["ev-536249165"]
    assert "credentialsFile: old shape" in run.text


@each_server
async def test_sigterm_deletes_the_subscription(tmp_path, pubsub):
    async with scene(tmp_path, pubsub) as here, here.source(deleteSubscriptionOnFinish=True) as run:

        async def made() -> dict[str, Any]:
            return await pubsub.subscriptions()

        await until(made)
        await run.until("listening")
        assert await run.stop(signal.SIGTERM) == 0, run.text
        assert await pubsub.subscriptions() == {}
        assert "deleted projects/" in run.text
