"""Who may pull: permissions that are missing, and the credentials of a service account.

Permissions and failures are those of the stand-in. The credentials go over TLS to a server of
the test that looks at what they are.
"""

import asyncio
import json
import logging
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from pubsub_emulator import Emulator, emulator
from pubsub_tokens import private_pem

from eventsource.pubsub import connection, credentials
from eventsource.pubsub.connection import Connection, PubSubError
from eventsource.pubsub.credentials import Credentials
from eventsource.pubsub.puller import Puller
from eventsource.pubsub.subscription import CONSUME, Place, delete, ensure
from spine.errors import SourceError
from spine.runtime import Env
from spine.secrets import GivenSecrets, SecretRef

PLACE = Place("shop-project", "sub", "shop-project", "orders")
OTHER = Place("shop-project", "sub", "other-project", "orders")
BARE = Place("shop-project", "sub")
ACCOUNT = "tocsin@shop-project.iam.gserviceaccount.com"


class Someone(Credentials):
    """Credentials that need no TLS."""

    def __init__(self) -> None:
        self.account, self.project = ACCOUNT, "shop-project"

    def current(self) -> Any:
        return None


@asynccontextmanager
async def connected(server: Emulator, *, real: bool = True):
    """Yield a connection as to Google, where there are permissions, or as to the emulator."""
    import grpc.aio

    await asyncio.to_thread(connection.methods)
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(server.host, options=options) as channel:
        yield Connection(channel, Someone() if real else None)


@dataclass(frozen=True)
class Refused:
    name: str
    options: tuple[str, ...]
    why: str
    place: Place = PLACE
    made: bool = True
    """Whether topic and subscription are there."""

    def __str__(self) -> str:
        return self.name


def fails(*calls: str) -> tuple[str, ...]:
    return tuple(word for call in calls for word in ("-fail", call))


REFUSED = [
    Refused(
        "nothing is granted",
        (),
        f"pulling from {PLACE.subscription}: no permission {CONSUME}"
        f" (grant {ACCOUNT} the role roles/pubsub.subscriber on the subscription)",
    ),
    Refused(
        "nothing may even be looked at",
        fails("GetSubscription=PermissionDenied"),
        f"pulling from {PLACE.subscription}: no permission {CONSUME}"
        f" (grant {ACCOUNT} the role roles/pubsub.subscriber on the subscription)",
    ),
    Refused(
        "no topic is named",
        (),
        f"pulling from {PLACE.subscription}: it does not exist"
        " (write topic, so that it is made, or check subscriptionID and projectID)",
        BARE,
        made=False,
    ),
    Refused(
        "subscriptions may not be made",
        fails("CreateSubscription=PermissionDenied"),
        f"creating {PLACE.subscription}: PERMISSION_DENIED: this fails, as was asked for"
        f" (grant {ACCOUNT} the role roles/pubsub.editor on project shop-project)",
        made=False,
    ),
    Refused(
        "subscriptions to the topic of another project may not be made",
        fails("CreateSubscription=PermissionDenied"),
        "roles/pubsub.editor on project shop-project and roles/pubsub.subscriber on"
        " projects/other-project/topics/orders)",
        OTHER,
        made=False,
    ),
    Refused(
        "topics may not be made",
        fails("CreateTopic=PermissionDenied"),
        f"creating {PLACE.topic}: PERMISSION_DENIED: this fails, as was asked for (grant {ACCOUNT}"
        " the role roles/pubsub.editor on project shop-project, or make the topic yourself)",
        made=False,
    ),
    Refused(
        "a project that is none",
        fails("CreateSubscription=NoProject"),
        "creating projects/shop-project/subscriptions/sub: NOT_FOUND: Requested project not found"
        " or user does not have access to it (project=x). (check projectID and topicProjectID)",
        made=False,
    ),
    Refused(
        "credentials that Google does not take",
        fails("TestIamPermissions=Unauthenticated"),
        f"asking for our permissions on {PLACE.subscription}: UNAUTHENTICATED: this fails, as was"
        f" asked for (Google does not take the credentials of {ACCOUNT}: make a new key, or see to"
        " workload identity)",
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
async def test_refused(case: Refused, tmp_path):
    async with emulator(tmp_path, "stand-in", *case.options) as server, connected(server) as link:
        if case.made:
            await server.subscribe(await server.topic("orders"), "sub")
        with pytest.raises(SourceError) as caught:
            await ensure(link, case.place)
    assert case.why in str(caught.value)


async def test_permission_to_consume_is_enough(tmp_path, caplog):
    more = ("-grant", CONSUME, *fails("GetSubscription=PermissionDenied"))
    async with emulator(tmp_path, "stand-in", *more) as server, connected(server) as link:
        await server.subscribe(await server.topic("orders"), "sub")
        with caplog.at_level(logging.WARNING):
            await ensure(link, PLACE)
    assert "cannot see which topic" in caplog.text
    assert "roles/pubsub.viewer" in caplog.text


async def test_what_is_missing_is_made_once_by_replicas(tmp_path):
    async with emulator(tmp_path, "stand-in") as server, connected(server, real=False) as link:
        await asyncio.gather(*(ensure(link, PLACE) for _ in range(5)))
        assert [*(await server.subscriptions())] == ["sub"]
        await delete(link, PLACE)
        await delete(link, PLACE)  # gone is gone
        assert await server.subscriptions() == {}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("PermissionDenied", f"grant {ACCOUNT} the role roles/pubsub.subscriber on"),
        ("NotFound", "NOT_FOUND"),
        ("Unauthenticated", "Google does not take the credentials"),
        ("Unavailable", "UNAVAILABLE|Internal error from Core"),  # gRPC's own words under load
    ],
)
async def test_streams_that_do_not_come_about(tmp_path, monkeypatch, status, why):
    from eventsource.pubsub import puller
    from spine.runtime import Backoff

    monkeypatch.setattr(puller, "RECONNECT", Backoff(duration=0.01, jitter=0, steps=0))

    async def take(_: Any) -> None:
        raise AssertionError

    options = fails(f"StreamingPull={status}")
    async with emulator(tmp_path, "stand-in", *options) as server, connected(server) as link:
        with pytest.raises(PubSubError) as caught:
            await Puller(link, PLACE.subscription, take, 10).run(lambda: None)
    assert str(caught.value).startswith(f"pulling from {PLACE.subscription}: ")
    assert any(one in str(caught.value) for one in why.split("|"))


# ---------------------------------------------------------------------------- service accounts


class Google:
    """A server with a certificate that notes who calls."""

    def __init__(self) -> None:
        self.callers: list[str] = []
        self.routed: list[str] = []

    async def answer(self, request: bytes, context: Any) -> bytes:
        """Note the token of a call, and grant everything."""
        from google.iam.v1 import iam_policy_pb2

        metadata = dict(context.invocation_metadata())
        self.callers.append(metadata["authorization"].removeprefix("Bearer "))
        self.routed.append(metadata["x-goog-request-params"])
        return iam_policy_pb2.TestIamPermissionsResponse(permissions=[CONSUME]).SerializeToString()


@pytest.fixture
async def google(tmp_path, monkeypatch):
    """A server that calls go to as if it were Google's."""
    import grpc
    import grpc.aio

    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    assert ssl.create_default_context(cafile=str(certificate))
    one, server = Google(), grpc.aio.server()
    methods = {"TestIamPermissions": grpc.unary_unary_rpc_method_handler(one.answer)}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("google.iam.v1.IAMPolicy", methods)]
    )
    pair = (key.read_bytes(), certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    trusted = grpc.ssl_channel_credentials(certificate.read_bytes())
    monkeypatch.setattr(connection, "HOST", f"localhost:{port}")
    monkeypatch.setattr(connection, "_tls", lambda: trusted)
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    yield one
    await server.stop(0)


def service_account(email: str) -> tuple[str, str]:
    """Return the key file of an account, and what verifies its signature."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = {
        "type": "service_account",
        "project_id": "key-project",
        "private_key_id": email[0],
        "private_key": private_pem(key),
        "client_email": email,
        "token_uri": "https://oauth2.invalid/token",
    }
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return json.dumps(file), key.public_key().public_bytes(*form).decode()


async def permitted(link: Connection) -> None:
    await link.ask("TestIamPermissions", resource="projects/p/subscriptions/s", permissions=["x"])


async def test_calls_are_signed_with_the_key_that_is_current(env, google, monkeypatch, caplog):
    monkeypatch.setattr(credentials, "REREAD", 0.0)
    first, first_public = service_account("first@x.iam.gserviceaccount.com")
    second, second_public = service_account("second@x.iam.gserviceaccount.com")
    values = {("gcp", "key"): first}
    secrets = GivenSecrets(values)
    own = Env("es", "ev", "ns", secrets, env.shared)
    async with connection.connect(own, SecretRef(name="gcp", key="key")) as link:
        assert (link.real, link.key_project) == (True, "key-project")
        await permitted(link)
        secrets._secrets["gcp", "key"] = second
        await permitted(link)
        assert link.account == "second@x.iam.gserviceaccount.com"
        secrets._secrets["gcp", "key"] = "{broken"
        await permitted(link)
        del secrets._secrets["gcp", "key"]
        await permitted(link)
    one, *others = google.callers
    claims = jwt.decode(one, certs=first_public)
    assert claims["iss"] == "first@x.iam.gserviceaccount.com"
    assert "pubsub" in claims.get("scope", "") + claims.get("aud", "")
    for other in others:
        found = jwt.decode(other, certs=second_public, verify=True)
        assert found["iss"] == "second@x.iam.gserviceaccount.com"
    assert google.routed == ["resource=projects%2Fp%2Fsubscriptions%2Fs"] * 4
    assert caplog.text.count("keeping the present credentials") == 2
    assert "PRIVATE KEY" not in caplog.text


async def test_application_default_credentials(env, google, monkeypatch, tmp_path):
    text, public = service_account("default@x.iam.gserviceaccount.com")
    file = tmp_path / "key.json"
    file.write_text(text)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    async with connection.connect(env, None) as link:
        assert link.account == "default@x.iam.gserviceaccount.com"
        await permitted(link)
    (caller,) = google.callers
    assert jwt.decode(caller, certs=public)["iss"] == "default@x.iam.gserviceaccount.com"


async def test_credentials_that_cannot_be_renewed(env, google, monkeypatch, tmp_path):
    names = ("client_id", "client_secret", "refresh_token")
    user = {"type": "authorized_user", **dict.fromkeys(names, "x")}
    file = tmp_path / "user.json"
    file.write_text(json.dumps(user))
    endpoint = "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT"
    monkeypatch.setattr(endpoint, "https://127.0.0.1:9/token")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    async with connection.connect(env, None) as link:
        with pytest.raises(PubSubError) as caught:
            await permitted(link)
    assert "Google does not take the credentials of the service account" in str(caught.value)


# ---------------------------------------------------------------------------- projects


@pytest.mark.parametrize(
    ("flavor", "status", "found"),
    [("Google", 200, "machine-project"), ("", 200, "key-project"), ("Google", 404, "key-project")],
)
async def test_project_of_the_machine(monkeypatch, flavor, status, found):
    from aiohttp import web

    from eventsource.pubsub import names

    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Metadata-Flavor"] == "Google"
        return web.Response(
            text="machine-project\n", status=status, headers={"Metadata-Flavor": flavor}
        )

    app = web.Application()
    app.router.add_get("/computeMetadata/v1/project/project-id", answer)
    serving = web.AppRunner(app)
    await serving.setup()
    await web.TCPSite(serving, "127.0.0.1", 0).start()
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{serving.addresses[0][1]}")
    monkeypatch.setattr(names, "_METADATA_TIMEOUT", 60.0)
    try:
        assert await names.project("key-project") == found
    finally:
        await serving.cleanup()


async def test_no_metadata_server(monkeypatch):
    from eventsource.pubsub import names

    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    assert await names.project("key-project") == "key-project"
