"""The minio source on a real MinIO: what it tells, whom it takes, and what it survives.

What a real one does not do on demand (fall silent, drop, speak as of old) a small server does that
is as strict about signatures.
"""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from hooks import running
from minio_kit import KEYS, certificates, minio

from delivery.dead import list_dead
from eventbus.memory import MemoryBus
from eventsource import runner
from eventsource.buckets import listening, server
from eventsource.sources.minio import Minio
from spine.errors import BusError, ConfigError, SourceError
from spine.event import Event
from spine.model import load
from spine.runtime import Backoff, Env, Shared
from spine.secrets import KeyRef, SecretRef, Secrets
from spine.sigv4 import Keys, Scope, signed_headers

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def store(tmp_path):
    async with minio(tmp_path / "minio") as one:
        await one.bucket("reports")
        yield one


class Changing(Secrets):
    """Secrets that a test changes while they are used."""

    def __init__(self, **more: str) -> None:
        self.values = {"access": KEYS.access, "secret": KEYS.secret, **more}

    def secret(self, ref: SecretRef) -> str:
        return self.values[ref.key]

    def config_map(self, ref: KeyRef) -> str:
        raise ConfigError("there is none")


def ref(key: str) -> dict[str, str]:
    return {"name": "minio", "key": key}


def event(one: Any, **more: Any) -> dict[str, Any]:
    return {
        "endpoint": one.endpoint,
        "insecure": True,
        "bucket": {"name": "reports"},
        "events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "accessKey": ref("access"),
        "secretKey": ref("secret"),
        **more,
    }


def spec(one: Any, **more: Any) -> dict[str, Any]:
    return {"minio": {"ev": event(one, **more)}}


async def until(met, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await met():
            await asyncio.sleep(0.02)


async def records(it: Any) -> list[dict[str, Any]]:
    found = [json.loads(one.data or b"")["notification"] for one in await it.events()]
    return [record for line in found for record in line]


async def told(it: Any) -> list[tuple[str, str]]:
    return [
        (one["s3"]["object"]["key"], one["eventName"].removeprefix("s3:Object"))
        for one in await records(it)
    ]


async def expect(it: Any, *events: tuple[str, str]) -> None:
    """Wait until these events, and no others, are told, in this order."""

    async def enough() -> bool:
        return len(await told(it)) >= len(events)

    try:
        await until(enough)
    except TimeoutError:
        pass
    assert await told(it) == list(events)


PUT, DELETE = "Created:Put", "Removed:Delete"

# ---------------------------------------------------------------------------- what it tells


async def test_objects_that_are_put_and_deleted(store):
    more = {"metadata": {"team": "web"}}
    async with running(spec(store, **more), secrets=Changing()) as it:
        await store.put("/reports/2026/a b&ü.json", b"{}", **{"x-amz-meta-who": "me"})
        await store.put("/reports/c.json", b"[]")
        await store.delete("/reports/c.json")
        await expect(it, ("2026/a b&ü.json", PUT), ("c.json", PUT), ("c.json", DELETE))
        first = (await it.events())[0]
    assert first.type == "minio"
    payload = json.loads(first.data or b"")
    assert list(payload) == ["notification", "metadata"]
    assert payload["metadata"] == {"team": "web"}
    (record,) = payload["notification"]
    assert list(record) == [
        "eventVersion", "eventSource", "awsRegion", "eventTime", "eventName", "userIdentity",
        "requestParameters", "responseElements", "s3", "source",
    ]  # fmt: skip
    made = record["s3"]["object"]
    assert list(made) == ["key", "size", "eTag", "contentType", "userMetadata", "sequencer"]
    assert made["size"] == 2
    assert made["userMetadata"]["X-Amz-Meta-Who"] == "me"
    assert record["s3"]["bucket"]["name"] == "reports"


async def test_only_what_counts(store):
    more = {"filter": {"prefix": "in/", "suffix": ".json"}, "events": ["s3:ObjectRemoved:Delete"]}
    async with running(spec(store, **more), secrets=Changing()) as it:
        for key in ("in/a.json", "in/a.txt", "out/a.json", "in/b.json"):
            await store.put(f"/reports/{key}")
            await store.delete(f"/reports/{key}")
        await expect(it, ("in/a.json", DELETE), ("in/b.json", DELETE))


async def test_tls(tmp_path):
    folder, ca = certificates(tmp_path / "certs")
    async with minio(tmp_path / "minio", certificates=folder) as store:
        await store.bucket("reports")
        secrets = Changing(ca=ca)
        more = {"insecure": False, "caCertificate": ref("ca")}
        async with running(spec(store, **more), secrets=secrets) as it:
            await store.put("/reports/a")
            await expect(it, ("a", PUT))
        with pytest.raises(SourceError, match=r"is not trusted.*give the CA in caCertificate"):
            await listen(load(Minio, event(store, insecure=False)), secrets)
        with pytest.raises(SourceError):
            await listen(load(Minio, event(store)), secrets)
        secrets.values["ca"] = "none"
        with pytest.raises(ConfigError, match="key 'ca' of Secret 'minio': it holds no certif"):
            await listen(load(Minio, event(store, **more)), secrets)


@pytest.mark.parametrize("region", ["", "eu-south-7"])
async def test_a_region_of_its_own(tmp_path, region):
    async with minio(tmp_path / "minio", region="eu-west-1") as store:
        await store.bucket("reports")
        async with running(spec(store, region=region), secrets=Changing()) as it:
            await store.put("/reports/a")
            await expect(it, ("a", PUT))


# ---------------------------------------------------------------------------- whom it takes


@pytest.mark.parametrize(
    ("more", "values", "message"),
    [
        ({}, {"access": "nobody"}, "403 InvalidAccessKeyId"),
        ({}, {"access": "nobody"}, "the server knows no such key: key 'access' of Secret 'minio'"),
        ({}, {"secret": "wrong-secret"}, "check key 'secret' of Secret 'minio': it is that of"),
        (
            {"bucket": {"name": "nowhere"}},
            {},
            "listening to bucket nowhere at {}: 404 NoSuchBucket: The specified bucket does n",
        ),
        ({"endpoint": "127.0.0.1:1"}, {}, "listening to bucket reports at 127.0.0.1:1: connect"),
        ({"insecure": False}, {}, "(insecure: true is for a server without TLS)"),
    ],
    ids=["key", "key named", "secret", "bucket", "endpoint", "tls"],
)
async def test_what_is_refused(store, more, values, message):
    secrets = Changing(**values)
    with pytest.raises(SourceError) as caught:
        await listen(load(Minio, event(store, **more)), secrets)
    assert message.format(store.endpoint) in str(caught.value)
    assert secrets.values["secret"] not in str(caught.value)


async def test_an_event_that_there_is_not(store):
    with pytest.raises(ConfigError, match=r"not supported for notifications.*\(check events"):
        await listen(load(Minio, event(store, events=["s3:ObjectSold:*"])), Changing())


async def listen(source: Minio, secrets: Secrets) -> None:
    """Run a source until it fails."""

    async def emit(*_: Any, **__: Any) -> None:
        raise AssertionError

    async with Shared() as shared, asyncio.timeout(60):
        await source.run(Env("es", "ev", "ns", secrets, shared), emit)


async def test_keys_that_change_are_taken_without_a_failure(store, caplog):
    secrets = Changing()
    async with running(spec(store), secrets=secrets) as it:
        await store.put("/reports/a")
        await expect(it, ("a", PUT))
        await store.kill()
        secrets.values |= {"access": "another-admin", "secret": "another-secret"}
        store.keys = Keys("another-admin", "another-secret")
        await store.start()
        await store.put("/reports/b")
        await expect(it, ("a", PUT), ("b", PUT))
        assert it.runner.problem == ""
    assert "event source failed" not in caplog.text


# ---------------------------------------------------------------------------- what it survives


async def test_a_server_that_is_killed_again_and_again(store):
    async with running(spec(store), secrets=Changing()) as it:
        for turn in range(3):
            for number in range(40):
                await store.put(f"/reports/{turn}-before-{number}", b"x")
            await store.kill()
            await store.start()
            for number in range(40):  # before we are back, most likely
                await store.put(f"/reports/{turn}-after-{number}", b"x")
        wanted = Counter(
            f"{turn}-{when}-{number}"
            for turn in range(3)
            for when in ("before", "after")
            for number in range(40)
        )

        async def all_of_them() -> bool:
            return Counter(key for key, _ in await told(it)) >= wanted

        await until(all_of_them, 60)
        assert Counter(key for key, _ in await told(it)) == wanted
        assert {name for _, name in await told(it)} == {PUT}


class Counting(MemoryBus):
    """A bus that counts what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.given: Counter[str] = Counter()

    async def publish(self, event: Event) -> None:
        self.given[event.id] += 1
        await super().publish(event)


async def test_what_was_made_while_nobody_listened(store):
    bus = Counting()
    await store.put("/reports/before.json")
    await asyncio.sleep(1.1)  # the server says when we began to the second
    more = {"filter": {"suffix": ".json"}}
    async with running(spec(store, **more), secrets=Changing(), bus=bus) as it:
        await store.put("/reports/first.json")
        await expect(it, ("first.json", PUT))
    for number in range(1_010):  # more than a page
        await store.put(f"/reports/a b/{number}.json", b"x")
    await store.put("/reports/other.txt")
    async with running(spec(store, **more), secrets=Changing(), bus=bus) as it:

        async def all_of_them(count: int = 1_011) -> bool:
            return len(await told(it)) >= count

        await until(all_of_them)  # the listing is over: it has nothing of what comes now
        await store.put("/reports/last.json")
        await until(lambda: all_of_them(1_012))
        found = Counter(key for key, _ in await told(it))
        made = next(one for one in await records(it) if "b/7.json" in one["s3"]["object"]["key"])
    names = {f"a b/{number}.json" for number in range(1_010)}
    assert found == Counter(names | {"first.json", "last.json"})
    assert made["eventName"] == "s3:ObjectCreated:Put"
    assert made["s3"]["object"]["size"] == 1
    assert made["requestParameters"] is None
    before = set(bus.given)
    async with running(spec(store, **more), secrets=Changing(), bus=bus) as it:
        await store.put("/reports/new.json")

        async def new() -> bool:
            return ("new.json", PUT) in await told(it)

        await until(new)
        assert len(await told(it)) == 1_013
    assert {bus.given[one] for one in before} == {1}  # the new one may be heard and listed


@pytest.mark.parametrize(
    "more",
    [{"catchup": False}, {"events": ["s3:ObjectCreated:Copy", "s3:ObjectRemoved:*"]}],
    ids=["forgetful", "other events"],
)
async def test_what_was_made_is_nobodys_to_know(store, more):
    bus = MemoryBus()
    async with running(spec(store, **more), secrets=Changing(), bus=bus):
        pass
    await store.put("/reports/missed")
    async with running(spec(store, **more), secrets=Changing(), bus=bus) as it:
        await store.put("/reports/seen")
        await store.delete("/reports/seen")

        async def last() -> bool:
            return ("seen", DELETE) in await told(it)

        await until(last)
        assert "missed" not in {key for key, _ in await told(it)}


class Away(MemoryBus):
    """A bus that is away until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back = asyncio.Event()

    async def publish(self, event: Event) -> None:
        if not self.back.is_set():
            raise BusError("publishing: no answer", retry_after=0.05)
        await super().publish(event)


async def test_a_bus_that_is_away(store, monkeypatch):
    monkeypatch.setattr(runner, "PATIENCE", Backoff(0.01, steps=2))
    bus = Away()
    async with running(spec(store), secrets=Changing(), bus=bus) as it:
        for number in range(400):  # more than are in hand at a time
            await store.put(f"/reports/{number}", b"x")
        assert await it.events() == []
        bus.back.set()

        async def all_of_them() -> bool:
            return len(await told(it)) >= 400

        await until(all_of_them)
        found = Counter(key for key, _ in await told(it))
    assert found == Counter(str(number) for number in range(400))


# ---------------------------------------------------------------------------- an odd server


class Odd:
    """A server that sends what a test says, to whoever signs well, and then nothing more."""

    def __init__(self, *scripts: tuple[bytes, ...]) -> None:
        """Take what is sent to the first who listens, and to the next."""
        self.endpoint, self.scripts = "", scripts
        self.asked: list[dict[str, list[str]]] = []
        self.listing = b"<ListBucketResult></ListBucketResult>"
        self.status, self.refused, self.silent = 200, 0, False

    async def serve(self, request: web.Request) -> web.StreamResponse:
        wanted = signed_headers(
            KEYS,
            Scope("us-east-1", "s3"),
            _moment(request.headers["x-amz-date"]),
            host=self.endpoint,
            path="/reports",
            query=list(request.query.items()),
        )
        if wanted["authorization"] != request.headers["Authorization"]:
            self.refused += 1
            return web.Response(status=403, body=b"<Error><Code>SignatureDoesNotMatch</Code>")
        if "list-type" in request.query:
            return web.Response(status=self.status, body=self.listing)
        self.asked.append({k: request.query.getall(k) for k in request.query})
        assert request.headers["Accept-Encoding"] == "identity"
        answer = web.StreamResponse()
        await answer.prepare(request)
        for text in self.scripts[min(len(self.asked), len(self.scripts)) - 1]:
            await answer.write(text)
        while True:
            await asyncio.sleep(0.1)
            if not self.silent:
                with suppress(ConnectionError):
                    await answer.write(b" ")  # a sign of life


def _moment(stamp: str) -> Any:
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@asynccontextmanager
async def odd_server(*scripts: tuple[bytes, ...]):
    one = Odd(*scripts)
    application = web.Application()
    application.router.add_get("/{path:.*}", one.serve)
    serving = web.AppRunner(application, shutdown_timeout=0.1)
    await serving.setup()
    site = web.TCPSite(serving, "127.0.0.1", 0)
    await site.start()
    one.endpoint = f"127.0.0.1:{serving.addresses[0][1]}"
    try:
        yield one
    finally:
        await serving.cleanup()


def line(key: str, sequencer: str = "18EA2C0892B7F7A9", **more: Any) -> bytes:
    made = {"key": key, "eTag": "e", "sequencer": sequencer}
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"object": made}, **more}
    return json.dumps({"Records": [record]}).encode() + b"\n"


async def test_a_server_that_speaks_as_of_old_and_in_pieces():
    pieces = (b" ", b" ", line("a")[:30], line("a")[30:] + line("b"), b" ", b"\n", b"  ")
    async with odd_server(pieces) as one:
        more = {"events": ["s3:B", "s3:A"], "filter": {"prefix": "p &"}}
        async with running(spec(one, **more), secrets=Changing()) as it:
            await expect(it, ("a", PUT), ("b", PUT))
        assert one.asked == [
            {"events": ["s3:A", "s3:B"], "prefix": ["p &"], "suffix": [""], "ping": ["1"]}
        ]


async def test_a_line_twice_is_one_event_and_tags_are_another():
    tags = line("a", eventName="s3:ObjectCreated:PutTagging")
    again = line("a", "18EA2C0992B7F7A9")
    async with (
        odd_server((line("a"), line("a"), tags, again, b'{"Records":null}\n')) as one,
        running(spec(one), secrets=Changing()) as it,
    ):
        await expect(it, ("a", PUT), ("a", "Created:PutTagging"), ("a", PUT))


async def test_what_is_no_notification_is_set_aside():
    bad = (b"{broken\n", b"[]\n", b'{"Records":[{"s3":{"object":{"size":"x"}}}]}\n')
    async with (
        odd_server((*bad, line("a"))) as one,
        running(spec(one), secrets=Changing()) as it,
    ):
        await expect(it, ("a", PUT))

        async def three() -> bool:
            return len([letter async for letter in list_dead(it.bus)]) == 3

        await until(three)


async def test_a_server_that_falls_silent(monkeypatch):
    monkeypatch.setattr(server, "SILENCE", 0.3)
    async with (
        odd_server((b" ",), (line("a"),)) as one,
        running(spec(one), secrets=Changing()) as it,
    ):
        one.silent = True
        await expect(it, ("a", PUT))


async def test_keys_that_change_count_at_once():
    secrets = Changing()
    async with odd_server((line("a"),)) as one, running(spec(one), secrets=secrets) as it:
        await expect(it, ("a", PUT))
        secrets.values["secret"] = "wrong"

        async def refused() -> bool:
            return one.refused > 0

        await until(refused)


async def test_a_listing_that_is_not_allowed(caplog):
    async with odd_server((b" ",), (line("a"),)) as one:
        bus = MemoryBus()
        async with running(spec(one), secrets=Changing(), bus=bus):
            pass
        one.status, one.listing = 403, b"<Error><Code>AccessDenied</Code></Error>"
        async with running(spec(one), secrets=Changing(), bus=bus) as it:
            await expect(it, ("a", PUT))

            async def warned() -> bool:
                return "are not looked for" in caplog.text

            await until(warned)
        (told_of,) = [one for one in caplog.records if "are not looked for" in one.message]
        assert "allow s3:ListBucket on arn:aws:s3:::reports" in told_of.error


async def test_a_line_without_end(monkeypatch):
    monkeypatch.setattr(listening, "LONGEST", 1000)
    async with (
        odd_server((b"x" * 2000,), (line("a"),)) as one,
        running(spec(one), secrets=Changing()) as it,
    ):
        await expect(it, ("a", PUT))
