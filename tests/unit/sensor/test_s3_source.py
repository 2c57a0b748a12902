"""Objects that stand in a bucket: the signed request, its bounds, and what refusals say."""

import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from git_kit import certificate

from sensor.artifact import ArtifactLocation, S3Artifact
from sensor.kubernetes import s3
from sensor.kubernetes.s3 import MOST, read
from spine.errors import ConfigError
from spine.model import load
from spine.secrets import GivenSecrets
from spine.sigv4 import Keys, Scope, quoted, signed_headers

SECRETS = {("s", "a"): "AKID\n", ("s", "s"): " sEcret \n"}
KEYS = {"accessKey": {"name": "s", "key": "a"}, "secretKey": {"name": "s", "key": "s"}}

# ---------------------------------------------------------------------------- signatures


@dataclass(frozen=True)
class Signed:
    """An example of the public documentation of S3, "Signature Calculations"."""

    name: str
    signature: str
    path: str = "/"
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


SIGNED = [
    Signed(
        "object",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        "/test.txt",
        headers={"Range": "bytes=0-9"},
    ),
    Signed(
        "lifecycle",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        query={"lifecycle": ""},
    ),
    Signed(
        "list",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        query={"prefix": "J", "max-keys": "2"},
    ),
]


@pytest.mark.parametrize("case", SIGNED, ids=str)
def test_signature(case: Signed) -> None:
    headers = signed_headers(
        Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        Scope("us-east-1", "s3"),
        datetime(2013, 5, 24, tzinfo=UTC),
        host="examplebucket.s3.amazonaws.com",
        path=case.path,
        query=case.query,
        headers=case.headers,
    )
    assert headers["authorization"].endswith(f"Signature={case.signature}")
    assert headers["x-amz-date"] == "20130524T000000Z"


def test_a_path_is_quoted_once_and_keys_are_not_shown() -> None:
    assert quoted("a b/ä+c/~d%") == "a%20b/%C3%A4%2Bc/~d%25"
    assert "sEcret" not in repr(Keys("a", "sEcret"))


# ---------------------------------------------------------------------------- a server


class Server:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.answers: list[web.Response] = []
        self.asked: list[web.Request] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        return self.answers.pop(0)

    async def read(self, secrets: Any = None, **fields: Any) -> str:
        given = {"bucket": {"name": "b", "key": "d/one two.yaml"}, "insecure": True, **fields}
        given.setdefault("endpoint", f"127.0.0.1:{self.port}")
        return await read(S3Artifact.model_validate(given), GivenSecrets(secrets or SECRETS))


@pytest.fixture
async def server():
    one = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", one.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.port = runner.addresses[0][1]
    yield one
    await runner.cleanup()


def refusal(status: int, code: str = "", region: str = "", **headers: str) -> web.Response:
    body = f"<Error><Code>{code}</Code><Message>it says</Message>"
    body += f"<Region>{region}</Region></Error>" if region else "</Error>"
    return web.Response(status=status, text=body, headers=headers)


async def test_what_is_asked(server) -> None:
    server.answers = [web.Response(body="kind: Ä".encode()) for _ in range(2)]
    assert await server.read(**KEYS, region="eu-north-1") == "kind: Ä"
    assert await server.read() == "kind: Ä"

    signed, unsigned = server.asked
    assert signed.raw_path == "/b/d/one%20two.yaml"
    assert "Credential=AKID/" in signed.headers["Authorization"]
    assert "/eu-north-1/s3/aws4_request" in signed.headers["Authorization"]
    assert "Authorization" not in unsigned.headers


async def test_rotated_keys_count_at_once(server) -> None:
    server.answers = [web.Response(text="a"), web.Response(text="a")]
    await server.read(**KEYS)
    await server.read({**SECRETS, ("s", "a"): "OTHER"}, **KEYS)

    assert "Credential=OTHER/" in server.asked[1].headers["Authorization"]


@pytest.mark.parametrize(
    "first",
    [
        lambda: refusal(400, "AuthorizationHeaderMalformed", "eu-west-3"),
        lambda: refusal(301, "PermanentRedirect", **{"x-amz-bucket-region": "eu-west-3"}),
    ],
    ids=["in the body", "in a header"],
)
async def test_a_region_that_the_answer_names_is_taken(server, first) -> None:
    server.answers = [first(), web.Response(text="a: 1")]

    assert await server.read(**KEYS) == "a: 1"
    regions = [one.headers["Authorization"].split("/")[2] for one in server.asked]
    assert regions == ["us-east-1", "eu-west-3"]


async def test_a_region_that_is_none_is_not_taken(server) -> None:
    server.answers = [refusal(400, "Odd", "evil.test/#")]
    with pytest.raises(ConfigError, match="400 Odd"):
        await server.read(**KEYS)


@pytest.mark.parametrize(
    ("status", "code", "problem"),
    [
        (
            403,
            "AccessDenied",
            r"403 AccessDenied: it says \(allow s3:GetObject on arn:aws",
        ),
        (403, "InvalidAccessKeyId", "look at accessKey, key 'a' of Secret 's'"),
        (403, "SignatureDoesNotMatch", "look at secretKey, key 's' of Secret 's'"),
        (404, "NoSuchKey", "the bucket holds no 'd/one two.yaml'"),
        (404, "NoSuchBucket", "there is no bucket 'b'"),
        (404, "", "404"),
        (500, "InternalError", "500 InternalError: it says"),
        (206, "", "206"),
    ],
)
async def test_what_a_refusal_says(server, status: int, code: str, problem: str) -> None:
    server.answers = [refusal(status, code)]
    with pytest.raises(ConfigError, match=problem) as caught:
        await server.read(**KEYS)
    assert "sEcret" not in str(caught.value)


async def test_without_keys_what_is_not_for_everybody(server) -> None:
    server.answers = [refusal(403, "AccessDenied")]
    with pytest.raises(ConfigError, match="set accessKey and secretKey"):
        await server.read()


@pytest.mark.parametrize(("minutes", "word"), [(20, "behind"), (-20, "ahead of")])
async def test_a_clock_that_is_wrong(server, minutes: int, word: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    server.answers = [refusal(403, "RequestTimeTooSkewed", Date=date)]
    with pytest.raises(ConfigError, match=rf"set the clock .*: it is 1\d\d\d s {word}"):
        await server.read(**KEYS)


@pytest.mark.parametrize(
    ("body", "problem"),
    [(b"x" * (MOST + 1), "larger than 1024 KiB"), (b"\xff\xfe", "no UTF-8")],
)
async def test_what_is_not_taken(server, body: bytes, problem: str) -> None:
    server.answers = [web.Response(body=body)]
    with pytest.raises(ConfigError, match=problem):
        await server.read()


async def test_the_largest_that_is_taken(server) -> None:
    server.answers = [web.Response(body=b"x" * MOST)]
    assert len(await server.read()) == MOST


async def test_where_it_is_not_fetched_from(server, monkeypatch) -> None:
    def lookup(host: str, port: int, *_: object, **__: object) -> list:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for endpoint, problem in [
        ("169.254.169.254", "never fetched from"),
        ("metadata.test", "has the address 169.254.169.254"),
        ("127.0.0.1:1", "127.0.0.1:1"),
    ]:
        with pytest.raises(ConfigError, match=problem):
            await server.read(endpoint=endpoint)
    monkeypatch.setenv("TOCSIN_EGRESS", "*.example.test")
    with pytest.raises(ConfigError, match=r"TOCSIN_EGRESS does not allow 127\.0\.0\.1"):
        await server.read()
    assert not server.asked


async def test_a_server_that_says_nothing_is_left_in_time(server, monkeypatch) -> None:
    monkeypatch.setattr(s3, "SECONDS", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(ConfigError, match="imeout"),
    ):
        await server.read(endpoint=f"127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize(
    ("endpoint", "bucket", "url"),
    [
        ("s3.amazonaws.com", "b", "https://b.s3.amazonaws.com/k%23/x"),
        ("s3.eu-west-1.amazonaws.com", "b", "https://b.s3.eu-west-1.amazonaws.com/k%23/x"),
        ("s3.amazonaws.com", "b.c", "https://s3.amazonaws.com/b.c/k%23/x"),
        ("minio.ns:9000", "b", "https://minio.ns:9000/b/k%23/x"),
    ],
)
def test_address(endpoint: str, bucket: str, url: str) -> None:
    artifact = S3Artifact.model_validate({"bucket": {"name": bucket, "key": "k#/x"}})
    assert str(s3._address(artifact, endpoint)) == url


# ---------------------------------------------------------------------------- TLS, and manifests


async def test_ca_certificate(tmp_path) -> None:
    file = certificate(tmp_path / "both.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    ref = {"caCertificate": {"name": "s", "key": "ca"}}
    one = Server()
    application = web.Application()
    application.router.add_get("/{path:.*}", one.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    there = {"endpoint": f"localhost:{runner.addresses[0][1]}", "insecure": False}
    one.answers = [web.Response(text="a: 1")]
    try:
        ca = {("s", "ca"): file.read_text().partition("-----BEGIN PRIVATE")[0]}
        assert await one.read(ca, **ref, **there) == "a: 1"
        with pytest.raises(ConfigError, match="certificate verify failed"):
            await one.read(**there)
        with pytest.raises(ConfigError, match="caCertificate holds no certificate in PEM"):
            await one.read({("s", "ca"): "none"}, **ref, **there)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"bucket": {"name": "b"}}, "key"),
        ({"bucket": {"name": "a/b", "key": "k"}}, "name"),
        ({"endpoint": "https://h.test"}, "write HOST or HOST:PORT"),
        ({"endpoint": "h.test:port"}, "write HOST or HOST:PORT"),
        ({"accessKey": {"name": "s", "key": "a"}}, "belong together"),
    ],
)
def test_what_can_never_be_read_is_found_at_once(fields: dict, problem: str) -> None:
    given = {"bucket": {"name": "b", "key": "k"}, **fields}
    with pytest.raises(ConfigError, match=problem):
        load(ArtifactLocation, {"s3": given})
