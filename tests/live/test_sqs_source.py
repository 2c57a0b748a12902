"""The sqs source on a moto server: what becomes an event, when it is deleted, what it survives.

moto keeps queues in memory, so what is killed and restarted are the line to it and the source;
moto itself is stopped in its tracks, and in one test replaced by one that knows no queue.
"""

import asyncio
import base64
import json
import signal
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import pytest
from cut_kit import line
from hooks import running
from moto_kit import ACCOUNT, REGION, Moto, moto_server
from stream_kit import Fickle, bodies, failure, until

from eventbus.bus import DEAD
from eventbus.memory import MemoryBus
from eventsource import runner
from eventsource.aws import queue as reading
from spine.errors import ConfigError
from spine.runtime import Backoff
from spine.secrets import GivenSecrets, KeyRef, SecretRef, Secrets

pytestmark = pytest.mark.timeout(120)
ROOT = GivenSecrets({("aws", "key"): "root", ("aws", "secret"): "root-secret"})
KEYS = {"accessKey": {"name": "aws", "key": "key"}, "secretKey": {"name": "aws", "key": "secret"}}


@pytest.fixture
async def aws(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    async with moto_server(tmp_path) as one:
        yield one


@pytest.fixture
def soon(monkeypatch):
    """A source that failed is started again soon."""
    monkeypatch.setattr(runner, "RESTART", Backoff(0.1, 1.0, 0.0, 0, 0.1))


class Changing(Secrets):
    """Keys that a test changes while they are used."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def secret(self, ref: SecretRef) -> str:
        return self.values[ref.key]

    def config_map(self, ref: KeyRef) -> str:
        raise ConfigError("there is none")


def spec(url: str, **more: Any) -> dict[str, Any]:
    event = {"region": REGION, "queue": "orders", "endpoint": url, **KEYS, "waitTimeSeconds": 1}
    found = {name: value for name, value in {**event, **more}.items() if value is not None}
    return {"sqs": {"ev": found}}


class Orders:
    """A queue, as its sender sees it."""

    def __init__(self, sqs: Any, url: str) -> None:
        self.sqs, self.url = sqs, url

    async def send(self, *texts: str, **more: Any) -> list[str]:
        """Send messages; return their ids."""
        found = []
        for start in range(0, len(texts), 10):
            part = list(enumerate(texts[start : start + 10]))
            entries = [{"Id": str(n), "MessageBody": text, **more} for n, text in part]
            sent = await self.sqs.send_message_batch(QueueUrl=self.url, Entries=entries)
            found += [one["MessageId"] for one in sent["Successful"]]
        return found

    async def left(self) -> int:
        """Return how many messages the queue has, lent or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = await self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    async def empty(self) -> bool:
        return await self.left() == 0


@asynccontextmanager
async def orders(aws: Moto, name: str = "orders", **settings: str):
    async with aws.client("sqs") as sqs:
        made = await sqs.create_queue(QueueName=name, Attributes=settings)
        yield Orders(sqs, made["QueueUrl"])


async def dead(bus: Any) -> list[dict[str, Any]]:
    return [json.loads(one.data) async for one in bus.read(DEAD)]


def numbers(found: list[dict[str, Any]]) -> list[int]:
    return [one["body"]["n"] for one in found]


def texts(*of: int) -> list[str]:
    return [json.dumps({"n": n}) for n in of]


# ---------------------------------------------------------------------------- what it tells


async def test_message_becomes_an_event_and_is_deleted(aws):
    async with orders(aws) as q, running(spec(aws.url, metadata={"a": "b"}), secrets=ROOT) as it:
        given = {"n": {"DataType": "Number", "StringValue": "1"}}
        (number,) = await q.send("hëllo", MessageAttributes=given)
        (found,) = await bodies(it, 1)
        await until(q.empty)
        (event,) = await it.events()
    assert found == {
        "messageId": number,
        "messageAttributes": {
            "n": {
                "BinaryListValues": None,
                "BinaryValue": None,
                "DataType": "Number",
                "StringListValues": None,
                "StringValue": "1",
            }
        },
        "body": base64.b64encode("hëllo".encode()).decode(),
        "metadata": {"a": "b"},
    }
    assert event.type == "sqs"
    assert list(found) == ["messageId", "messageAttributes", "body", "metadata"]


async def test_json_goes_through_as_it_is_written_and_filtered_messages_are_deleted(aws):
    more = {"jsonBody": True, "filter": {"expression": "body.n != 2"}, "queueAccountId": ACCOUNT}
    async with orders(aws) as q, running(spec(aws.url, **more), secrets=ROOT) as it:
        await q.send('{"n": 1.0e2, "b": 12345678901234567890}', '{"n": 2}')
        await until(q.empty)
        (event,) = await it.events()
    assert b'"messageAttributes":null,"body":{"n":1.0e2,"b":12345678901234567890}}' in event.data


async def test_what_is_not_json_is_set_aside_with_the_reason_and_deleted(aws):
    bus = MemoryBus()
    async with (
        orders(aws) as q,
        running(spec(aws.url, jsonBody=True), secrets=ROOT, bus=bus) as it,
    ):
        await q.send("{", '{"n": 1}')
        await bodies(it, 1)
        await until(q.empty)
        (letter,) = await dead(bus)
    assert "it is not JSON, and jsonBody is set" in letter["message"]


async def test_with_dlq_what_is_not_json_is_left_to_the_queue(aws):
    bus = MemoryBus()
    more = {"jsonBody": True, "dlq": True, "visibilityTimeout": 2}
    async with orders(aws, "bad") as lost:
        policy = {
            "deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:bad",
            "maxReceiveCount": 2,
        }
        async with (
            orders(aws, RedrivePolicy=json.dumps(policy)) as q,
            running(spec(aws.url, **more), secrets=ROOT, bus=bus) as it,
        ):
            await q.send("{", '{"n": 1}')
            await bodies(it, 1)
            await until(lambda: _has_one(lost))
            assert await dead(bus) == []


async def _has_one(q: Orders) -> bool:
    return await q.left() == 1


async def test_dlq_without_a_policy_is_warned_of(aws, caplog):
    more = {"jsonBody": True, "dlq": True}
    async with orders(aws), running(spec(aws.url, **more), secrets=ROOT):
        assert "has no dead-letter queue" in caplog.text


async def test_messages_of_a_group_come_in_order(aws):
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    more = {"queue": "orders.fifo", "jsonBody": True}
    async with orders(aws, "orders.fifo", **fifo) as q:
        for n in range(30):
            await q.send(*texts(n), MessageGroupId="ab"[n % 2])
        async with running(spec(aws.url, **more), secrets=ROOT) as it:
            found = numbers(await bodies(it, 30))
            await until(q.empty)
    assert [n for n in found if n % 2] == list(range(1, 30, 2))
    assert [n for n in found if not n % 2] == list(range(0, 30, 2))


async def test_of_a_group_one_waits_for_the_other(aws):
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    bus = Fickle()
    bus.open.clear()
    more = {"queue": "orders.fifo", "jsonBody": True}
    async with orders(aws, "orders.fifo", **fifo) as q:
        await q.send(*texts(1, 2, 3), MessageGroupId="a")
        async with running(spec(aws.url, **more), secrets=ROOT, bus=bus) as it:
            await until(lambda: _told(bus, 1))
            assert len(bus.told) == 1
            bus.open.set()
            assert numbers(await bodies(it, 3)) == [1, 2, 3]


async def _told(bus: Fickle, count: int) -> bool:
    return len(bus.told) >= count


# ---------------------------------------------------------------------------- what it survives


async def test_messages_are_kept_while_the_bus_is_away(aws):
    """They are hidden for five seconds; more is needed, and one that came twice would be moved."""
    bus = Fickle()
    bus.away = True
    more = {"jsonBody": True, "visibilityTimeout": 5}
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:twice", "maxReceiveCount": 1}
    async with (
        orders(aws, "twice") as twice,
        orders(aws, RedrivePolicy=json.dumps(policy)) as q,
        running(spec(aws.url, **more), secrets=ROOT, bus=bus) as it,
    ):
        await q.send(*texts(1, 2))
        await until(lambda: _tried(bus, 2))
        await asyncio.sleep(6.5)
        other = await q.sqs.receive_message(QueueUrl=q.url, MaxNumberOfMessages=10)
        assert other.get("Messages", []) == []
        assert await q.left() == 2
        bus.away = False
        assert sorted(numbers(await bodies(it, 2))) == [1, 2]
        await until(q.empty)
        assert await twice.empty()


async def _tried(bus: Fickle, count: int) -> bool:
    return len(bus.tried) >= count


async def test_what_is_in_hand_is_given_back_at_the_end(aws, monkeypatch):
    monkeypatch.setattr(reading, "LAST_WORD", 20.0)  # moto may take its time
    bus = Fickle()
    bus.away = True
    async with orders(aws) as q:
        async with running(spec(aws.url, jsonBody=True), secrets=ROOT, bus=bus):
            await q.send(*texts(1))
            await until(lambda: _hidden(q))
        async with running(spec(aws.url, jsonBody=True), secrets=ROOT) as it:
            assert numbers(await bodies(it, 1, 25.0)) == [1]


async def _hidden(q: Orders) -> bool:
    name = "ApproximateNumberOfMessagesNotVisible"
    found = await q.sqs.get_queue_attributes(QueueUrl=q.url, AttributeNames=[name])
    return found["Attributes"][name] != "0"


async def test_redelivered_message_is_the_same_event(aws):
    """It is not deleted where the line is cut, and comes again when it is no longer hidden."""
    bus = Fickle()
    bus.open.clear()
    more = {"jsonBody": True, "visibilityTimeout": 2}
    async with orders(aws) as q, line(aws.port) as wire:
        async with running(spec(wire.url, **more), secrets=ROOT, bus=bus):
            await q.send(*texts(1))
            await until(lambda: _told(bus, 1))
            await wire.cut()
        await wire.mend()
        bus.open.set()
        async with running(spec(wire.url, **more), secrets=ROOT, bus=bus) as it:
            await bodies(it, 1)
            await until(q.empty)
            assert len(await it.events()) == 1
    (count,) = bus.told.values()
    assert count >= 2


async def test_line_cut_server_stopped_source_restarted_under_load(aws, soon):
    sent: set[int] = set()
    bus = MemoryBus()
    asked = spec("", jsonBody=True, visibilityTimeout=2)

    async with orders(aws) as q, line(aws.port) as wire:
        asked["sqs"]["ev"]["endpoint"] = wire.url

        async def pour() -> None:
            for start in range(0, 600, 10):
                batch = range(start, start + 10)
                await q.send(*texts(*batch))
                sent.update(batch)
                await asyncio.sleep(0.05)

        async def more() -> None:
            """Wait until more events are there than are now."""
            async with running_view(bus) as count:
                began = await count()
                await until(lambda: _more(count, began))

        pouring = asyncio.create_task(pour())
        async with running(asked, secrets=ROOT, bus=bus):
            await more()
            for _ in range(3):
                await wire.cut()
                await asyncio.sleep(0.2)
                await wire.mend()
                await more()
            assert aws._process is not None
            aws._process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            aws._process.send_signal(signal.SIGCONT)
            await more()
        async with running(asked, secrets=ROOT, bus=bus) as it:
            await pouring
            found = Counter(numbers(await bodies(it, len(sent), 60.0)))
            await until(q.empty, 60.0)
            found = Counter(numbers(await bodies(it, len(sent))))
    assert found == Counter(sent)
    assert len(sent) == 600


@asynccontextmanager
async def running_view(bus: MemoryBus):
    from eventbus.bus import EVENTS

    async def count() -> int:
        return len([one async for one in bus.read(EVENTS)])

    yield count


async def _more(count: Any, than: int) -> bool:
    return await count() > than


async def test_queue_that_is_made_anew_is_received_from(aws, soon):
    async with orders(aws) as q, running(spec(aws.url, jsonBody=True), secrets=ROOT) as it:
        await q.send(*texts(1))
        await bodies(it, 1)
        await aws.restart()
        await until(lambda: _down(it))
        async with orders(aws) as again:
            await again.send(*texts(2))
            assert numbers(await bodies(it, 2)) == [1, 2]


async def _down(it: Any) -> bool:
    return "looking for queue orders" in it.runner.problem


# ---------------------------------------------------------------------------- as whom


async def test_queue_that_is_not_there(aws):
    told = await failure(spec(aws.url), secrets=ROOT)
    assert "looking for queue orders: AWS.SimpleQueueService.NonExistentQueue" in told
    assert "check queue, region and queueAccountId" in told


async def test_server_that_is_not_there():
    told = await failure(spec("http://127.0.0.1:1"), secrets=ROOT)
    assert "looking for queue orders: Could not connect" in told


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ((), "sqs:GetQueueUrl"),
        (("sqs:GetQueueUrl",), "sqs:DeleteMessage"),
        (("sqs:GetQueueUrl", "sqs:DeleteMessage"), "sqs:ReceiveMessage"),
    ],
)
async def test_right_that_is_missing_is_named(aws, soon, monkeypatch, granted, missing):
    monkeypatch.setattr("eventsource.sessions.AGAIN", Backoff(0.05, 1.0, 0.0, 2, 0.1))
    async with orders(aws):
        user = await aws.user(*granted)
        secrets = GivenSecrets({("aws", "key"): user["key"], ("aws", "secret"): user["secret"]})
        told = await failure(spec(aws.url), secrets=secrets)
    assert f"grant {missing}" in told
    assert user["secret"] not in told


async def test_keys_that_nobody_knows(aws, soon):
    async with orders(aws):
        await aws.user()
        told = await failure(spec(aws.url), secrets=ROOT)
    assert "check key and secret" in told


@asynccontextmanager
async def client_of(aws: Moto, service: str, user: dict[str, str]):
    from aiobotocore.session import get_session

    keys = {"aws_access_key_id": user["key"], "aws_secret_access_key": user["secret"]}
    where = {"region_name": REGION, "endpoint_url": aws.url}
    async with get_session().create_client(service, **where, **keys) as one:
        yield one


async def test_new_keys_are_taken_while_it_runs(aws, monkeypatch, caplog):
    monkeypatch.setattr(reading, "REREAD", 0.1)
    caplog.set_level("INFO")
    async with orders(aws) as q:
        user = await aws.user("sqs:*", "iam:*")
        secrets = Changing(**user)
        async with (
            running(spec(aws.url, jsonBody=True), secrets=secrets) as it,
            client_of(aws, "sqs", user) as q.sqs,
            client_of(aws, "iam", user) as iam,
        ):
            await q.send(*texts(1))
            await bodies(it, 1)
            made = (await iam.create_access_key(UserName="tocsin"))["AccessKey"]
            secrets.values = {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}
            await until(lambda: _in(caplog, "taking the new keys of queue orders"))
            await iam.delete_access_key(UserName="tocsin", AccessKeyId=user["key"])
            async with client_of(aws, "sqs", dict(secrets.values)) as sqs:
                await Orders(sqs, q.url).send(*texts(2))
                assert numbers(await bodies(it, 2)) == [1, 2]


async def _in(caplog: Any, text: str) -> bool:
    return text in caplog.text


async def test_role_is_assumed(aws, monkeypatch):
    """As who the environment says; keys of the manifest do not count then."""
    user = None
    async with orders(aws) as q, aws.client("iam") as iam:
        anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        trust = {"Version": "2012-10-17", "Statement": [anybody]}
        role = await iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
        allowed = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        await iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=document)
        await q.send(*texts(1))
        user = await aws.user("sts:AssumeRole")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", user["key"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user["secret"])
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
        more = {"roleARN": role["Role"]["Arn"], "jsonBody": True, "accessKey": None}
        async with running(spec(aws.url, **more, secretKey=None)) as it:
            assert numbers(await bodies(it, 1)) == [1]


async def test_role_that_may_not_be_assumed(aws, monkeypatch):
    user = await aws.user()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", user["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", user["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws.url)
    arn = f"arn:aws:iam::{ACCOUNT}:role/reader"
    told = await failure(spec(aws.url, roleARN=arn, accessKey=None, secretKey=None))
    assert "grant sts:AssumeRole" in told


async def test_nobody_is_found(aws):
    told = await failure(spec(aws.url, accessKey=None, secretKey=None))
    assert "Unable to locate credentials" in told
    assert "write accessKey and secretKey, or run with a role" in told
