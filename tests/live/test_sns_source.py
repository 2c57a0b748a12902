"""The sns source on a moto server, which signs what it posts; certificates come from a host of
the test that is reached by the name of the real one. What nobody signed must be refused.
"""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from hooks import Talk, running
from moto_kit import REGION, Moto, moto_server
from ports import free_port
from sns_kit import HOST, NAME, TOPIC, Signer, certificate_host, posted
from stream_kit import Fickle, bodies, failure, until

from eventbus.memory import MemoryBus
from eventsource.aws import subscription
from spine.runtime import Backoff
from spine.secrets import GivenSecrets

pytestmark = pytest.mark.timeout(120)
ROOT = GivenSecrets({("aws", "key"): "root", ("aws", "secret"): "root-secret"})
KEYS = {"accessKey": {"name": "aws", "key": "key"}, "secretKey": {"name": "aws", "key": "secret"}}
CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "Token": "t0k",
    "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription",
}
FAREWELL = {**CONFIRMATION, "Type": "UnsubscribeConfirmation"}


@pytest.fixture(scope="module")
def signer():
    return Signer()


@pytest.fixture
async def aws(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    async with moto_server(tmp_path) as one:
        async with one.client("sns") as sns:
            await sns.create_topic(Name="orders")
        yield one


@pytest.fixture
async def host(tmp_path, aws, signer, monkeypatch):
    """Where certificates are."""
    async with certificate_host(tmp_path, aws.port) as one:
        one.files[NAME] = signer.pem
        for name, value in one.environment.items():
            monkeypatch.setenv(name, value)
        yield one


def spec(aws: Moto, port: int, **more: Any) -> dict[str, Any]:
    hook = {"endpoint": "/orders", "port": str(port), "url": f"http://127.0.0.1:{port}"}
    event = {
        "region": REGION,
        "topicArn": TOPIC,
        "endpoint": aws.url,
        "webhook": hook,
        "validateSignature": True,
        **KEYS,
        **more,
    }
    return {"sns": {"ev": {name: value for name, value in event.items() if value is not None}}}


class Receiving:
    """A source that runs, and who posts to it."""

    def __init__(self, it: Any, port: int) -> None:
        self.it, self.port = it, port

    async def post(self, message: dict[str, Any] | bytes, **headers: str) -> tuple[int, str]:
        body = message if isinstance(message, bytes) else posted(message)
        async with Talk(self.port) as talk:
            status, text, _ = await talk.ask("/orders", body, **headers)
        return status, text


@asynccontextmanager
async def receiving(aws: Moto, *, bus: Any = None, secrets: Any = ROOT, **more: Any):
    port = free_port()
    async with running(spec(aws, port, **more), secrets=secrets, bus=bus) as it:
        yield Receiving(it, port)


async def subscriptions(aws: Moto) -> list[dict[str, str]]:
    async with aws.client("sns") as sns:
        return (await sns.list_subscriptions_by_topic(TopicArn=TOPIC))["Subscriptions"]


async def subscribed(aws: Moto) -> list[dict[str, str]]:
    return await until(lambda: subscriptions(aws))


async def publish(aws: Moto, *messages: str) -> list[str]:
    """Publish messages; return their ids."""
    async with aws.client("sns") as sns:
        return [
            (await sns.publish(TopicArn=TOPIC, Message=message))["MessageId"]
            for message in messages
        ]


# ---------------------------------------------------------------------------- what it tells


async def test_published_message_that_moto_signed_becomes_an_event(aws, host, monkeypatch):
    monkeypatch.setattr(subscription, "FINISH", 60.0)
    async with receiving(aws, metadata={"a": "b"}) as one:
        (made,) = await subscribed(aws)
        assert made["Protocol"] == "http"
        assert made["Endpoint"] == f"http://127.0.0.1:{one.port}/orders"
        ids = await publish(aws, '{"order": 42}', "größer <&>")
        found = await bodies(one.it, 2)
        assert len(await subscriptions(aws)) == 1
    assert await subscriptions(aws) == []
    assert [one["body"]["MessageId"] for one in found] == ids
    assert [one["body"]["Message"] for one in found] == ['{"order": 42}', "größer <&>"]
    assert list(found[0]) == ["header", "body", "metadata"]
    assert found[0]["header"]["Content-Type"] == ["text/plain; charset=UTF-8"]
    assert {path.partition("-")[0] for path in host.asked} == {"/SimpleNotificationService"}


async def test_envelope_goes_through_as_it_was_posted(aws, host, signer):
    message = signer.message(version="1", Subject="x", UnsubscribeURL="https://a/?b&c")
    async with receiving(aws) as one:
        assert await one.post(message, Authorization="Basic c2VjcmV0") == (200, "success")
        (event,) = await one.it.events()
    body = json.loads(event.data)["body"]
    assert list(body) == list(message)
    assert body == message
    assert b"c2VjcmV0" not in event.data
    assert b"Masked" in event.data
    assert event.type == "sns"


async def test_filtered_message_is_taken(aws, host, signer):
    more = {"filter": {"expression": 'body.Subject == "paid"'}}
    async with receiving(aws, **more) as one:
        assert await one.post(signer.message(MessageId="1", Subject="open")) == (200, "success")
        assert await one.post(signer.message(MessageId="2", Subject="paid")) == (200, "success")
        (found,) = await bodies(one.it, 1)
    assert found["body"]["MessageId"] == "2"


# ---------------------------------------------------------------------------- whom it believes


async def test_forged_messages_are_refused(aws, host, signer):
    forged = base64.b64encode(b"x" * 256).decode()
    good = signer.message()
    bad: list[dict[str, Any]] = [
        {**good, "Message": "forged"},
        {**good, "Signature": forged},
        {name: value for name, value in good.items() if name != "Signature"},
        {**good, "SignatureVersion": "0"},
        Signer().message(),
        signer.message(SigningCertURL=f"https://sns.us-east-1.amazonaws.com/{NAME}"),
        signer.message(SigningCertURL=f"https://sns.s3-{REGION}.amazonaws.com/{NAME}"),
        signer.message(SigningCertURL=f"http://127.0.0.1:1/{NAME}"),
        signer.message(SigningCertURL=f"https://{HOST}/none.pem"),
        signer.message(Timestamp="2020-01-01T00:00:00.000Z"),
        signer.message(TopicArn=TOPIC + "2"),
        {**signer.message(**CONFIRMATION), "Token": "other"},
        Signer().message(**FAREWELL),
    ]
    async with receiving(aws) as one:
        (made,) = await subscribed(aws)
        for message in bad:
            status, text = await one.post(message)
            assert status == 403, (text, message)
        assert await one.it.events() == []
        assert await subscriptions(aws) == [made]
    assert set(host.asked) == {f"/{NAME}", "/none.pem"}


async def test_what_is_no_message(aws, host, signer):
    async with receiving(aws) as one:
        assert await one.post(b"") == (400, "bad request, not a valid SNS notification\n")
        assert (await one.post(b"{"))[0] == 400
        assert (await one.post(signer.message(Timestamp="now")))[0] == 400
        raw = await one.post(b'{"order":42}', x_amz_sns_rawdelivery="true")
        assert raw == (
            400,
            "a raw message: turn RawMessageDelivery of the subscription off\n",
        )
        assert await one.it.events() == []


async def test_message_that_is_played_again_is_no_second_event(aws, host, signer):
    message = signer.message()
    bus = Fickle()
    async with receiving(aws, bus=bus) as one:
        for _ in range(3):
            assert await one.post(message) == (200, "success")
        assert len(await one.it.events()) == 1
    assert list(bus.told.values()) == [1]


async def test_the_same_message_has_the_same_id_after_a_restart(aws, host, signer):
    message, bus = signer.message(), Fickle()
    for _ in range(2):
        async with receiving(aws, bus=bus) as one:
            await one.post(message)
    assert list(bus.told.values()) == [2]


async def test_token_where_one_is_wanted(aws, host, signer):
    port = free_port()
    asked = spec(aws, port)
    asked["sns"]["ev"]["webhook"]["authSecret"] = {"name": "aws", "key": "secret"}
    async with running(asked, secrets=ROOT) as it:
        one = Receiving(it, port)
        assert (await one.post(signer.message()))[0] == 401
        good = await one.post(signer.message(), Authorization="Bearer root-secret")
        assert good == (200, "success")


async def test_without_validation_only_the_topic_counts(aws):
    unsigned = {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": "x",
        "Timestamp": "2020-01-01T00:00:00.000Z",
    }
    async with receiving(aws, validateSignature=None) as one:
        assert await one.post(unsigned) == (200, "success")
        assert (await one.post({**unsigned, "TopicArn": "arn:aws:sns:x:1:y"}))[0] == 403


# ---------------------------------------------------------------------------- what it survives


async def test_bus_that_is_away_and_certificates_that_are(aws, host, signer):
    bus = Fickle()
    async with receiving(aws, bus=bus) as one:
        host.down = True
        status, text = await one.post(signer.message())
        assert (status, text) == (503, "the signature cannot be verified now\n")
        host.down = False

        async def taken() -> bool:
            return (await one.post(signer.message(MessageId="1")))[0] == 200

        await until(taken)
        bus.away = True
        assert (await one.post(signer.message(MessageId="2")))[0] == 503
        bus.away = False
        assert await one.post(signer.message(MessageId="2")) == (200, "success")
        assert len(await one.it.events()) == 2


async def test_server_that_is_killed_and_restarted_is_subscribed_to_again(aws, host, monkeypatch):
    """moto forgets the topic; SNS is away, and what is posted is served all the same."""
    monkeypatch.setattr(subscription, "EVERY", 0.1)
    monkeypatch.setattr(subscription, "AT_LEAST", 0.05)
    monkeypatch.setattr(subscription, "AGAIN", Backoff(0.1, 1.0, 0.0, 0, 0.1))
    bus = MemoryBus()
    async with receiving(aws, bus=bus) as one:
        await subscribed(aws)
        before = await publish(aws, "1", "2")
        await aws.restart()
        assert one.it.runner.problem == ""
        async with aws.client("sns") as sns:
            await sns.create_topic(Name="orders")
        await subscribed(aws)
        after = await publish(aws, "3")
        found = await bodies(one.it, 3)
    assert [one["body"]["MessageId"] for one in found] == [*before, *after]


async def test_event_source_that_is_restarted_gets_what_it_refused(aws, host, signer):
    bus, accepted = MemoryBus(), set()
    port = free_port()
    stopped = asyncio.Event()

    async def pour() -> None:
        n = 0
        while not stopped.is_set() or n not in accepted:
            n += n in accepted
            message = signer.message(MessageId=str(n))
            try:
                async with Talk(port) as talk:
                    status, _, _ = await talk.ask("/orders", posted(message))
            except (OSError, EOFError):
                status = 0
            if status == 200:
                accepted.add(n)
            else:
                await asyncio.sleep(0.02)

    pouring = asyncio.create_task(pour())
    try:
        for _ in range(3):
            async with running(spec(aws, port), secrets=ROOT, bus=bus) as it:
                await until(partial(_beyond, accepted, len(accepted) + 20))
        async with running(spec(aws, port), secrets=ROOT, bus=bus) as it:
            stopped.set()
            await pouring
            found = [json.loads(one.data)["body"]["MessageId"] for one in await it.events()]
    finally:
        pouring.cancel()
    assert sorted(map(int, found)) == sorted(accepted)
    assert len(accepted) > 60


async def _beyond(accepted: set[int], count: int) -> bool:
    return len(accepted) > count


# ---------------------------------------------------------------------------- the subscription


async def test_confirmation_is_answered_through_the_api(aws, host, signer, caplog):
    async with receiving(aws) as one:
        await subscribed(aws)
        assert await one.post(signer.message(**CONFIRMATION)) == (200, "")
        assert await one.it.events() == []
    assert "subscribed to" in caplog.text or caplog.text == ""


async def test_confirmation_that_sns_refuses_is_asked_for_again(aws, host, signer):
    async with receiving(aws) as one:
        await subscribed(aws)
        async with aws.client("sns") as sns:
            await sns.delete_topic(TopicArn=TOPIC)
        status, text = await one.post(signer.message(**CONFIRMATION))
    assert (status, text) == (503, "the subscription cannot be confirmed now\n")


async def test_deleted_subscription_is_made_again(aws, host, signer, monkeypatch):
    monkeypatch.setattr(subscription, "AT_LEAST", 0.05)
    async with receiving(aws) as one:
        (made,) = await subscribed(aws)
        async with aws.client("sns") as sns:
            await sns.unsubscribe(SubscriptionArn=made["SubscriptionArn"])
        assert await one.post(signer.message(**FAREWELL)) == (200, "")
        (again,) = await subscribed(aws)
    assert again["SubscriptionArn"] != made["SubscriptionArn"]


async def test_subscription_that_is_to_stay_stays(aws, host):
    async with receiving(aws, keepSubscription=True):
        await subscribed(aws)
    assert len(await subscriptions(aws)) == 1


async def test_unknown_type_is_taken_and_ignored(aws, host, signer):
    async with receiving(aws) as one:
        assert await one.post(signer.message(**{**FAREWELL, "Type": "Other"})) == (200, "")
        assert await one.it.events() == []


async def test_right_that_is_missing_is_named(aws, host, caplog):
    user = await aws.user()
    secrets = GivenSecrets({("aws", "key"): user["key"], ("aws", "secret"): user["secret"]})
    async with receiving(aws, secrets=secrets):
        await until(lambda: _logged(caplog, "grant sns:Subscribe"))
    assert user["secret"] not in caplog.text


async def _logged(caplog: Any, text: str) -> bool:
    return any(text in getattr(one, "error", "") for one in caplog.records)


async def test_secret_that_is_missing_is_said_at_once(aws, host):
    with pytest.raises(BaseException, match="reading key 'key' of Secret 'aws'"):
        await failure(spec(aws, free_port()))
