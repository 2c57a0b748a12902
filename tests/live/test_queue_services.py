"""The services that are queues, on servers that take what they send: moto, Pub/Sub, NATS."""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from typing import Any

import nats
import pytest
from moto_kit import ACCOUNT, REGION, Moto, moto_server
from nats_server import nats_server
from pubsub_emulator import PROJECT, SERVERS, Emulator, emulator
from pubsub_tokens import private_pem

from services import gcppubsub
from services.awssns import Awssns
from services.awssqs import Awssqs
from services.gcppubsub import Gcppubsub
from services.nats import Nats
from services.service import Message
from spine import gcp
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


# ---------------------------------------------------------------------------- Pub/Sub


@pytest.fixture
async def pubsub(tmp_path, server, monkeypatch):
    """A server that the service is led to."""
    async with emulator(tmp_path, server) as one:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", one.host)
        yield one


each_server = pytest.mark.parametrize("server", SERVERS)
SUB = f"projects/{PROJECT}/subscriptions/sub"


async def pulled(pubsub: Emulator, least: int = 1) -> list[tuple[str, dict[str, str]]]:
    """Return text and attributes of what the subscription has, once it is so many messages."""
    from google.pubsub_v1.types import pubsub as api

    asked, found = api.PullRequest(subscription=SUB, max_messages=10), list[Any]()
    async with asyncio.timeout(60):
        while len(found) < least:
            found += (await pubsub.call("Subscriber/Pull", asked)).received_messages
    return [(one.message.data.decode(), dict(one.message.attributes)) for one in found]


@each_server
async def test_topic_gets_the_message_with_its_attributes_and_its_key(pubsub):
    topic = await pubsub.topic("deployments")
    await pubsub.subscribe(topic, "sub")
    message = Message(text="shop is ready", block={"attributes": {"namespace": "prod", "no": ""}})
    async with sending(Gcppubsub, {"project": PROJECT, "topic": "deployments"}) as client:
        receipt = await client.send(message, "", "k-1")
    assert await pulled(pubsub) == [
        ("shop is ready", {"namespace": "prod", "idempotency-key": "k-1"})
    ]
    assert receipt.summary == "in topic deployments"
    assert receipt.detail["messageId"]


@each_server
async def test_topic_of_a_recipient_counts_before_the_configured_one(pubsub):
    await pubsub.subscribe(await pubsub.topic("named"), "sub")
    async with sending(Gcppubsub, {"project": PROJECT, "topic": "nowhere"}) as client:
        await client.send(TOLD, "named", "k")
        await client.send(TOLD, f"projects/{PROJECT}/topics/named", "k")
        with pytest.raises(TriggerError, match=r"NOT_FOUND.*a topic is not made") as caught:
            await client.send(TOLD, "", "k")
    assert caught.value.permanent
    assert len(await pulled(pubsub, 2)) == 2


@pytest.mark.parametrize("server", ["stand-in"])
async def test_pubsub_that_comes_back_is_used_again(pubsub):
    await pubsub.topic("deployments")
    async with sending(Gcppubsub, {"project": PROJECT, "topic": "deployments"}) as client:
        await client.send(TOLD, "", "k")
        await pubsub.kill()
        with pytest.raises(TriggerError, match="UNAVAILABLE") as caught:
            await client.send(TOLD, "", "k")
        assert not caught.value.permanent
        await pubsub.start()
        await pubsub.subscribe(await pubsub.topic("deployments"), "sub")
        await taken(client)
    assert ("shop is ready", {"idempotency-key": "k"}) in await pulled(pubsub)


async def taken(client: Any) -> None:
    """Send until it is taken, as who retries would."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.send(TOLD, "", "k")
            except TriggerError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_missing_role_is_named(tmp_path, monkeypatch):
    async with emulator(tmp_path, "stand-in", "-fail", "Publish=PermissionDenied") as one:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", one.host)
        async with sending(Gcppubsub, {"project": PROJECT, "topic": "t"}) as client:
            with pytest.raises(TriggerError, match=r"grant .* the role roles/pubsub.publisher"):
                await client.send(TOLD, "", "k")


@pytest.mark.parametrize("kept_in", ["a file", "a Secret"])
async def test_calls_are_signed_with_the_service_accounts_key(tmp_path, monkeypatch, kept_in):
    text, public = service_account("told@x.iam.gserviceaccount.com")
    given = text
    if kept_in == "a file":
        (tmp_path / "key.json").write_text(text)
        given = str(tmp_path / "key.json")
    async with google(tmp_path, monkeypatch) as calls:
        config = {"project": "p", "topic": "t", "keyFile": given}
        async with sending(Gcppubsub, config) as client:
            receipt = await client.send(TOLD, "", "k")
    from google.auth import jwt

    (metadata,) = calls
    claims = jwt.decode(metadata["authorization"].removeprefix("Bearer "), certs=public)
    assert claims["iss"] == "told@x.iam.gserviceaccount.com"
    assert metadata["x-goog-request-params"] == "topic=projects%2Fp%2Ftopics%2Ft"
    assert receipt.detail["messageId"] == "7"


@asynccontextmanager
async def google(tmp_path, monkeypatch):
    """Yield the metadata of calls to a server that they go to as if it were Google's."""
    import grpc
    import grpc.aio
    from google.pubsub_v1.types import pubsub as api

    calls: list[dict[str, str]] = []

    async def publish(_: bytes, context: Any) -> bytes:
        calls.append(dict(context.invocation_metadata()))
        return api.PublishResponse.serialize(api.PublishResponse(message_ids=["7"]))

    certificate, key = await certificates(tmp_path)
    server = grpc.aio.server()
    methods = {"Publish": grpc.unary_unary_rpc_method_handler(publish)}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", methods)]
    )
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    await server.start()
    monkeypatch.setattr(gcp, "PUBSUB", f"localhost:{port}")
    monkeypatch.setattr(gcppubsub, "_tls", lambda: grpc.ssl_channel_credentials(certificate))
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    try:
        yield calls
    finally:
        await server.stop(0)


async def certificates(folder) -> tuple[bytes, bytes]:
    """Make a certificate of localhost; return it and its key."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    return certificate.read_bytes(), key.read_bytes()


def service_account(email: str) -> tuple[str, str]:
    """Return the key file of an account, and what verifies its signature."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = {
        "type": "service_account",
        "project_id": "key-project",
        "private_key_id": "1",
        "private_key": private_pem(key),
        "client_email": email,
        "token_uri": "https://oauth2.invalid/token",
    }
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return json.dumps(file), key.public_key().public_bytes(*form).decode()


# ---------------------------------------------------------------------------- NATS


@asynccontextmanager
async def listening(url: str, **options: Any):
    client = await nats.connect(url, connect_timeout=60, **options)
    try:
        subscription = await client.subscribe("told.>")
        await client.flush()
        yield subscription
    finally:
        await client.close()


async def test_subject_gets_the_message_with_its_headers_and_its_key(tmp_path):
    async with nats_server(tmp_path) as server, listening(server.url) as subscription:
        config = {"url": server.url, "headers": {"X-Team": "shop\r\nNats-Msg-Id: forged"}}
        async with sending(Nats, config) as client:
            receipt = await client.send(TOLD, "told.shop", "k-1")
        message = await subscription.next_msg(60)
    assert (message.subject, message.data) == ("told.shop", b"shop is ready")
    assert message.headers == {"Nats-Msg-Id": "k-1", "X-Team": "shop  Nats-Msg-Id: forged"}
    assert receipt.summary == "published to told.shop"


async def test_stream_has_the_message_once(tmp_path):
    async with nats_server(tmp_path) as server:
        peer = await nats.connect(server.url, connect_timeout=60)
        await peer.jetstream(timeout=60).add_stream(name="TOLD", subjects=["told.>"])
        async with sending(Nats, {"url": server.url, "jetStream": True}) as client:
            first = await client.send(TOLD, "told.shop", "k-1")
            again = await client.send(TOLD, "told.shop", "k-1")
        info = await peer.jetstream(timeout=60).stream_info("TOLD")
        await peer.close()
    assert info.state.messages == 1
    assert (first.summary, first.detail["sequence"]) == ("in stream TOLD", 1)
    assert again.summary == "in stream TOLD (it had it already)"


async def test_no_stream_takes_the_subject(tmp_path):
    async with (
        nats_server(tmp_path) as server,
        sending(Nats, {"url": server.url, "jetStream": True}) as client,
    ):
        with pytest.raises(TriggerError, match="no stream takes this subject") as caught:
            await client.send(TOLD, "told.shop", "k")
    assert not caught.value.permanent


async def test_full_stream_may_have_room_later(tmp_path):
    async with nats_server(tmp_path) as server:
        peer = await nats.connect(server.url, connect_timeout=60)
        await peer.jetstream(timeout=60).add_stream(
            name="TOLD", subjects=["told.>"], max_msgs=1, discard="new"
        )
        async with sending(Nats, {"url": server.url, "jetStream": True}) as client:
            await client.send(TOLD, "told.shop", "k-1")
            with pytest.raises(TriggerError, match="the stream refused it: maximum") as caught:
                await client.send(TOLD, "told.shop", "k-2")
        await peer.close()
    assert not caught.value.permanent


async def test_forbidden_subject_is_refused_at_once_with_a_stream_too(tmp_path):
    rules = """authorization { users: [
        { user: ann, password: pw-of-ann, permissions: { publish: ["other.>"] } } ] }"""
    login = {"username": "ann", "password": "pw-of-ann", "jetStream": True}
    async with (
        nats_server(tmp_path, extra=rules) as server,
        sending(Nats, {"url": server.url, **login}) as client,
    ):
        with pytest.raises(TriggerError, match=r"(?i)permissions violation") as caught:
            await client.send(TOLD, "told.shop", "k")
    assert caught.value.permanent


LOGINS = {
    "password": ("user: ann, password: s3cret", {"username": "ann", "password": "s3cret"}),
    "token": ("token: s3cret", {"token": "s3cret"}),
}


@pytest.mark.parametrize("login", LOGINS)
async def test_login_and_a_wrong_one(tmp_path, login):
    rules, given = LOGINS[login]
    async with nats_server(tmp_path, extra=f"authorization {{ {rules} }}") as server:
        async with sending(Nats, {"url": server.url, **given}) as client:
            await client.send(TOLD, "told.shop", "k")
        wrong = given | {login: "wrong-secret"}
        async with sending(Nats, {"url": server.url, **wrong}) as client:
            with pytest.raises(TriggerError, match="check service told") as caught:
                await client.send(TOLD, "told.shop", "k")
    assert "wrong-secret" not in str(caught.value)


async def test_nkey(tmp_path):
    import nkeys

    pair = nkeys.from_seed(nkeys.encode_seed(b"0" * 32, nkeys.PREFIX_BYTE_USER))
    rules = f"authorization {{ users: [{{ nkey: {pair.public_key.decode()} }}] }}"
    async with nats_server(tmp_path, extra=rules) as server:
        config = {"url": server.url, "nkey": f"{pair.seed.decode()}\n"}
        async with sending(Nats, config) as client:
            await client.send(TOLD, "told.shop", "k")


async def test_tls_with_a_ca_of_ones_own(tmp_path):
    certificate, _ = await certificates(tmp_path)
    files = f'cert_file: "{tmp_path}/tls.crt", key_file: "{tmp_path}/tls.key"'
    trusted = ssl.create_default_context(cadata=certificate.decode())
    async with nats_server(tmp_path, extra=f"tls {{ {files} }}") as server:
        async with listening(server.url, tls=trusted) as subscription:
            tls = {"tls": {"ca": certificate.decode()}}
            async with sending(Nats, {"url": server.url, **tls}) as client:
                await client.send(TOLD, "told.shop", "k")
            assert (await subscription.next_msg(60)).data == b"shop is ready"
        async with sending(Nats, {"url": server.url}) as client:
            with pytest.raises(TriggerError, match=r"(?i)certificate"):
                await client.send(TOLD, "told.shop", "k")


async def test_nats_that_comes_back_is_used_again(tmp_path):
    async with nats_server(tmp_path) as server, sending(Nats, {"url": server.url}) as client:
        await client.send(TOLD, "told.shop", "k")
        await server.kill()
        with pytest.raises(TriggerError, match="nothing listens there") as caught:
            await client.send(TOLD, "told.shop", "k")
        assert not caught.value.permanent
        await server.start()
        async with listening(server.url) as subscription:
            await client.send(TOLD, "told.shop", "k")
            assert (await subscription.next_msg(60)).data == b"shop is ready"
