"""The services that are queues, on servers that take what they send: moto, Pub/Sub, NATS."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
from moto_kit import ACCOUNT, REGION, Moto, moto_server

from services.awssns import Awssns
from services.awssqs import Awssqs
from services.service import Message
from spine.errors import ConfigError, TriggerError
from spine.model import load
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(120)
KEYS = {"key": "root", "secret": "root-secret"}
TOLD = Message(text="shop is ready")


@asynccontextmanager
async def sending(service: Any, config: dict[str, Any]):
    """Yield the client of a service."""
    async with Shared() as shared:
        env = Env("notifier", "told", "ns", GivenSecrets(), shared)
        async with load(service, config).open(env) as client:
            yield client


# ---------------------------------------------------------------------------- SQS and SNS


@pytest.fixture
async def aws(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    async with moto_server(tmp_path) as one:
        yield one


async def queue(aws: Moto, name: str = "deployments", **attributes: str) -> str:
    async with aws.client("sqs") as sqs:
        return (await sqs.create_queue(QueueName=name, Attributes=attributes))["QueueUrl"]


async def received(aws: Moto, url: str) -> list[dict[str, Any]]:
    """Return what a queue holds."""
    async with aws.client("sqs") as sqs:
        found = await sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            AttributeNames=["All"],
        )
    return found.get("Messages", [])


def sqs_config(aws: Moto, **more: str) -> dict[str, Any]:
    return {"region": REGION, "endpointUrl": aws.url, **KEYS, **more}


async def test_message_with_its_attributes_and_its_key_is_in_the_queue(aws):
    url = await queue(aws)
    message = Message(text="shop is ready", block={"messageAttributes": {"namespace": "prod"}})
    async with sending(Awssqs, sqs_config(aws, queue="deployments")) as client:
        receipt = await client.send(message, "", "k-1")
    (one,) = await received(aws, url)
    texts = {name: value["StringValue"] for name, value in one["MessageAttributes"].items()}
    assert one["Body"] == "shop is ready"
    assert texts == {"namespace": "prod", "idempotency-key": "k-1"}
    assert receipt.summary == "in queue deployments"
    assert receipt.detail["messageId"] == one["MessageId"]


async def test_recipient_is_a_name_or_a_url_and_counts_before_the_configuration(aws):
    await queue(aws)
    named, by_url = await queue(aws, "named"), await queue(aws, "by-url")
    async with sending(Awssqs, sqs_config(aws, queue="deployments", account=ACCOUNT)) as client:
        await client.send(TOLD, "named", "k")
        await client.send(TOLD, by_url, "k")
    assert [len(await received(aws, url)) for url in (named, by_url)] == [1, 1]


async def test_queue_in_order_drops_what_comes_twice(aws):
    url = await queue(aws, "deployments.fifo", FifoQueue="true")
    async with sending(Awssqs, sqs_config(aws, queue="deployments.fifo")) as client:
        for key in ("k-1", "k-1", "k-2"):
            await client.send(TOLD, "", key)
        long = Message(text="shop is ready", block={"messageGroupId": "shop"})
        await client.send(long, "", "ключ" * 99)
    found = [one["Attributes"] for one in await received(aws, url)]
    assert [one["MessageGroupId"] for one in found] == ["tocsin", "tocsin", "shop"]
    assert [one["MessageDeduplicationId"] for one in found[:2]] == ["k-1", "k-2"]


async def test_credentials_and_region_of_the_environment(aws, monkeypatch):
    url = await queue(aws)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "root")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "root-secret")
    monkeypatch.setenv("AWS_REGION", REGION)
    async with sending(Awssqs, {"queue": "deployments", "endpointUrl": aws.url}) as client:
        await client.send(TOLD, "", "k")
    assert len(await received(aws, url)) == 1


async def test_no_credentials_and_no_region(aws, monkeypatch):
    with pytest.raises(ConfigError, match=r"region.*write region, or set AWS_DEFAULT_REGION"):
        async with sending(Awssqs, {"queue": "q", "endpointUrl": aws.url}):
            pass
    async with sending(Awssqs, {"region": REGION, "endpointUrl": aws.url}) as client:
        with pytest.raises(TriggerError, match=r"credentials.*write key and secret") as caught:
            await client.send(TOLD, "q", "k")
    assert not caught.value.permanent


async def test_missing_permission_is_named(aws):
    await queue(aws)
    user = await aws.user("sqs:GetQueueUrl")
    async with sending(Awssqs, sqs_config(aws, **user)) as client:
        with pytest.raises(TriggerError, match=r"\(grant sqs:SendMessage") as caught:
            await client.send(TOLD, "deployments", "k")
    assert caught.value.permanent
    assert user["secret"] not in str(caught.value)


async def test_no_such_queue(aws):
    async with sending(Awssqs, sqs_config(aws)) as client:
        with pytest.raises(TriggerError, match=r"looking for queue nowhere: .*check queue, region"):
            await client.send(TOLD, "nowhere", "k")


async def test_queue_that_was_made_anew_is_found_again(aws):
    await queue(aws)
    async with sending(Awssqs, sqs_config(aws)) as client:
        await client.send(TOLD, "deployments", "k")
        async with aws.client("sqs") as sqs:
            await sqs.delete_queue(QueueUrl=f"{aws.url}/{ACCOUNT}/deployments")
        with pytest.raises(TriggerError, match="sending to queue deployments"):
            await client.send(TOLD, "deployments", "k")
        url = await queue(aws)
        await client.send(TOLD, "deployments", "k")
    assert len(await received(aws, url)) == 1


async def test_server_that_comes_back_is_used_again(aws):
    await queue(aws)
    async with sending(Awssqs, sqs_config(aws)) as client:
        await client.send(TOLD, "deployments", "k")
        await aws.kill()
        with pytest.raises(TriggerError, match=f"{aws.port}") as caught:
            await client.send(TOLD, "deployments", "k")
        assert not caught.value.permanent
        await aws.start()
        url = await queue(aws)
        await client.send(TOLD, "deployments", "k")
    assert len(await received(aws, url)) == 1


async def test_client_is_kept_and_serves_many_at_a_time(aws):
    url = await queue(aws)
    async with sending(Awssqs, sqs_config(aws)) as client, asyncio.TaskGroup() as tasks:
        for number in range(30):
            tasks.create_task(client.send(TOLD, "deployments", f"k-{number}"))
    async with aws.client("sqs") as sqs:
        names = ["ApproximateNumberOfMessages"]
        found = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    assert found["Attributes"]["ApproximateNumberOfMessages"] == "30"


async def subscribed(aws: Moto, name: str) -> tuple[str, str]:
    """Make a topic and a queue that gets what it is told; return their ARN and URL."""
    fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    queue_of = {"FifoQueue": "true"} if fifo else {}
    url = await queue(aws, name, **queue_of)
    async with aws.client("sns") as sns:
        topic = (await sns.create_topic(Name=name, Attributes=fifo))["TopicArn"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        await sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, url


async def test_topic_tells_its_queue(aws):
    topic, url = await subscribed(aws, "deployments")
    block = {"subject": "shop\nis ready", "messageAttributes": {"namespace": "prod"}}
    config = {"endpointUrl": aws.url, "topic": topic, **KEYS}
    async with sending(Awssns, config) as client:
        receipt = await client.send(Message(text="all of it", block=block), "", "k-1")
    (one,) = await received(aws, url)
    told = json.loads(one["Body"])
    assert (told["Message"], told["Subject"]) == ("all of it", "shop is ready")
    texts = {name: value["Value"] for name, value in told["MessageAttributes"].items()}
    assert texts == {"namespace": "prod", "idempotency-key": "k-1"}
    assert receipt.detail["messageId"] == told["MessageId"]


async def test_topic_in_order_drops_what_comes_twice(aws):
    topic, url = await subscribed(aws, "deployments.fifo")
    async with sending(Awssns, sqs_config(aws)) as client:
        for key in ("k-1", "k-1", "k-2"):
            await client.send(TOLD, topic, key)
    assert len(await received(aws, url)) == 2


async def test_missing_permission_to_publish_is_named(aws):
    topic, _ = await subscribed(aws, "deployments")
    user = await aws.user("sqs:*")
    async with sending(Awssns, sqs_config(aws, **user)) as client:
        with pytest.raises(TriggerError, match=r"\(grant (?i:sns:Publish)"):
            await client.send(TOLD, topic, "k")


async def test_no_such_topic(aws):
    async with sending(Awssns, sqs_config(aws)) as client:
        with pytest.raises(TriggerError, match=r"publishing to topic .*NotFound") as caught:
            await client.send(TOLD, f"arn:aws:sns:{REGION}:{ACCOUNT}:nowhere", "k")
    assert caught.value.permanent
