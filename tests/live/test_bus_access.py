"""Every way to be let in by a nats-server, and what is said when one is not."""

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import asynccontextmanager

import nkeys
import pytest
from nats_server import nats_server

from eventbus import open_bus
from eventbus.bus import DEAD
from eventbus.config import BusConfig
from spine.errors import BusError, ConfigError
from spine.model import load
from spine.secrets import GivenSecrets


@asynccontextmanager
async def opened(server, secrets=None, url=None, *, patience=60.0, **fields):
    raw = {"jetstream": {"url": url or server.url, **fields}}
    given = GivenSecrets({("s", key): value for key, value in (secrets or {}).items()})
    async with open_bus(load(BusConfig, raw), given, give_up_after=patience) as bus:
        yield bus


async def works(*args, **kwargs) -> bool:
    async with opened(*args, **kwargs) as bus:
        return await bus.append(DEAD, f"{DEAD}.x", b"1") > 0


async def refused(*args, **kwargs) -> str:
    """Return why one is not let in, once an attempt has had its time to end."""
    patience = 0.5
    while True:
        with pytest.raises(BusError) as found:
            await works(*args, patience=patience, **kwargs)
        if "no answer yet" not in str(found.value):
            return str(found.value)
        patience *= 2


ACCESS = {"accessSecret": {"name": "s", "key": "auth"}}

# ---------------------------------------------------------------------------- words

USER = 'authorization { user: "u", password: "p: w" }'
TOKEN = 'authorization { token: "t0ken" }'


async def test_user_and_password(tmp_path):
    async with nats_server(tmp_path, extra=USER) as server:
        assert await works(server, {"auth": 'username: u\npassword: "p: w"\n'}, **ACCESS)


async def test_user_and_password_in_the_url(tmp_path):
    async with nats_server(tmp_path, extra=USER.replace("p: w", "pw")) as server:
        assert await works(server, url=server.url.replace("//", "//u:pw@"))


@pytest.mark.parametrize("text", ["token: t0ken", "t0ken", "t0ken\n"])
async def test_token(tmp_path, text):
    async with nats_server(tmp_path, extra=TOKEN) as server:
        assert await works(server, {"auth": text}, **ACCESS)


async def test_token_file(tmp_path):
    (tmp_path / "token").write_text("t0ken\n")
    async with nats_server(tmp_path, extra=TOKEN) as server:
        assert await works(server, tokenFile=str(tmp_path / "token"))


async def test_a_wrong_password_is_told_without_it(tmp_path):
    async with nats_server(tmp_path, extra=USER) as server:
        why = await refused(server, {"auth": "username: u\npassword: wrong-one"}, **ACCESS)
        assert "Authorization Violation (check the user" in why
        assert "wrong-one" not in why
        assert "wrong-one" not in await refused(
            server, url=server.url.replace("//", "//u:wrong-one@")
        )


async def test_a_changed_password_is_taken_with_the_next_connection(tmp_path):
    (tmp_path / "token").write_text("one")
    async with (
        nats_server(tmp_path, extra='authorization { token: "one" }') as server,
        opened(server, tokenFile=str(tmp_path / "token")) as bus,
    ):
        await bus.append(DEAD, f"{DEAD}.x", b"1")
        server.extra = 'authorization { token: "two" }'
        await server.restart()
        async with asyncio.timeout(60):
            while "Authorization Violation" not in bus.problem:
                await asyncio.sleep(0.01)
        (tmp_path / "token").write_text("two")
        await bus.append(DEAD, f"{DEAD}.x", b"2")


async def test_a_missing_secret_is_a_mistake_of_the_user(tmp_path):
    async with nats_server(tmp_path) as server:
        with pytest.raises(ConfigError, match="no Secret of that name"):
            await works(server, **ACCESS)
        with pytest.raises(ConfigError, match="neither username and password nor token"):
            await works(server, {"auth": "user: u"}, **ACCESS)
        with pytest.raises(ConfigError, match=r"reading token file .*: No such file"):
            await works(server, tokenFile=str(tmp_path / "none"))


# ---------------------------------------------------------------------------- keys


def seed(prefix: int) -> nkeys.KeyPair:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def jwt(issuer: nkeys.KeyPair, subject: bytes, nats: dict) -> str:
    def part(value: dict) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {
        "jti": "",
        "iat": int(time.time()),
        "iss": issuer.public_key.decode(),
        "name": "test",
        "sub": subject.decode(),
        "nats": {"version": 2, **nats},
    }
    digest = hashlib.sha256(json.dumps(claims).encode()).digest()
    claims["jti"] = base64.b32encode(digest).decode().rstrip("=")
    head = part({"typ": "JWT", "alg": "ed25519-nkey"})
    body = head + b"." + part(claims)
    signature = base64.urlsafe_b64encode(issuer.sign(body)).rstrip(b"=")
    return (body + b"." + signature).decode()


async def test_nkey_file(tmp_path):
    user = seed(nkeys.PREFIX_BYTE_USER)
    (tmp_path / "seed").write_text(user.seed.decode() + "\n")
    extra = f"authorization {{ users: [{{ nkey: {user.public_key.decode()} }}] }}"
    async with nats_server(tmp_path, extra=extra) as server:
        assert await works(server, nkeyFile=str(tmp_path / "seed"))


async def test_creds_file(tmp_path):
    operator, user = seed(nkeys.PREFIX_BYTE_OPERATOR), seed(nkeys.PREFIX_BYTE_USER)
    account, system = seed(nkeys.PREFIX_BYTE_ACCOUNT), seed(nkeys.PREFIX_BYTE_ACCOUNT)
    limits = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1}
    limits |= {"leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1}
    account_jwt = jwt(operator, account.public_key, {"type": "account", "limits": limits})
    system_jwt = jwt(operator, system.public_key, {"type": "account"})
    user_jwt = jwt(
        account, user.public_key, {"type": "user", "subs": -1, "data": -1, "payload": -1}
    )
    creds = tmp_path / "user.creds"
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    operator_jwt = jwt(operator, operator.public_key, {"type": "operator"})
    extra = (
        f"operator: {operator_jwt}\nresolver: MEMORY\n"
        f"system_account: {system.public_key.decode()}\n"
        f"resolver_preload {{ {account.public_key.decode()}: {account_jwt}\n"
        f" {system.public_key.decode()}: {system_jwt} }}"
    )
    async with nats_server(tmp_path, extra=extra) as server:
        assert await works(server, credsFile=str(creds))
        with pytest.raises(ConfigError, match="reading creds file"):
            await works(server, credsFile=str(tmp_path / "none"))
        (tmp_path / "bad").write_text("not a creds file")
        with pytest.raises(ConfigError, match="the creds file is not one"):
            await works(server, credsFile=str(tmp_path / "bad"))
        with pytest.raises(ConfigError, match="the seed of the nkey is not one"):
            await works(server, nkeyFile=str(tmp_path / "bad"))


# ---------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """An authority, and certificates of it for a server and a client."""
    if not shutil.which("openssl"):
        reason = "needs openssl: apt-get install openssl"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("pki")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    for name in ("server", "client"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", f"{name}.crt"),
        )
    return folder


def tls_of(pki, verify=False) -> str:
    mutual = f', ca_file: "{pki}/ca.crt", verify: true' if verify else ""
    return f'tls {{ cert_file: "{pki}/server.crt", key_file: "{pki}/server.key"{mutual} }}'


def files(pki) -> dict[str, str]:
    return {path.name: path.read_text() for path in pki.iterdir()}


def ref(key: str) -> dict[str, str]:
    return {"name": "s", "key": key}


async def test_tls_with_our_authority(tmp_path, pki):
    async with nats_server(tmp_path, extra=tls_of(pki)) as server:
        assert await works(server, files(pki), tls={"caCertSecret": ref("ca.crt")})


async def test_the_end_of_a_connection_under_tls_is_no_cause_for_a_warning(tmp_path, pki, caplog):
    async with nats_server(tmp_path, extra=tls_of(pki)) as server:
        assert await works(server, files(pki), tls={"caCertSecret": ref("ca.crt")})
    async with nats_server(tmp_path, extra=tls_of(pki) + "\nauthorization { token: x }") as server:
        why = await refused(server, files(pki), tls={"caCertSecret": ref("ca.crt")})
        assert "uthorization" in why  # it is the server that ends this one
    assert [one.message for one in caplog.records if one.name == "asyncio"] == []


async def test_tls_without_verification(tmp_path, pki):
    async with nats_server(tmp_path, extra=tls_of(pki)) as server:
        assert await works(server, tls={"insecureSkipVerify": True})


async def test_tls_of_somebody_else_is_refused(tmp_path, pki):
    async with nats_server(tmp_path, extra=tls_of(pki)) as server:
        assert re.search(
            r"certificate verify failed.*\(give the CA in tls", await refused(server, tls={})
        )
        why = await refused(server, url=server.url.replace("nats:", "tls:"))
        assert "certificate verify failed" in why


async def test_tls_that_only_the_server_wants_is_unverified_as_upstream(tmp_path, pki, caplog):
    async with nats_server(tmp_path, extra=tls_of(pki)) as server:
        assert await works(server)
    assert "not verified" in caplog.text


async def test_mutual_tls(tmp_path, pki):
    tls = {"caCertSecret": ref("ca.crt")}
    mutual = tls | {"clientCertSecret": ref("client.crt"), "clientKeySecret": ref("client.key")}
    async with nats_server(tmp_path, extra=tls_of(pki, verify=True)) as server:
        assert await works(server, files(pki), tls=mutual)
        assert "connecting to" in await refused(server, files(pki), tls=tls)


NO_TLS = "the server does not speak TLS, and tls is configured"


async def test_no_credential_is_sent_without_the_tls_that_was_demanded(tmp_path):
    async with nats_server(tmp_path, extra=TOKEN) as server:
        assert NO_TLS in await refused(server, {"auth": "t0ken"}, tls={}, **ACCESS)


async def test_demanded_tls_is_demanded_without_credentials_too(tmp_path):
    async with nats_server(tmp_path) as server:
        assert NO_TLS in await refused(server, tls={"insecureSkipVerify": True})


async def test_bad_certificates_are_mistakes_of_the_user(tmp_path, pki):
    async with nats_server(tmp_path) as server:
        with pytest.raises(ConfigError, match=r"tls.caCertSecret.*PEM"):
            await works(server, {"ca": "no pem"}, tls={"caCertSecret": ref("ca")})
        with pytest.raises(ConfigError, match="belong together"):
            await works(server, files(pki), tls={"clientCertSecret": ref("client.crt")})
        swapped = {"clientCertSecret": ref("client.crt"), "clientKeySecret": ref("server.key")}
        with pytest.raises(ConfigError, match="clientKeySecret"):
            await works(server, files(pki), tls=swapped)


# ---------------------------------------------------------------------------- servers


async def fake_server(info: dict):
    async def talk(reader, writer):
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    return server, f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_old_server_is_refused():
    server, url = await fake_server(
        {"version": "2.9.21", "max_payload": 1048576, "headers": True, "proto": 1}
    )
    async with server:
        with pytest.raises(ConfigError, match=r"nats-server 2\.9\.21 is too old \(2\.10 is"):
            await works(None, url=url)


async def test_something_else_on_the_port_is_told():
    async def talk(reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        url = f"nats://127.0.0.1:{port}"
        assert f"connecting to {url}: " in await refused(None, url=url)


async def test_a_server_without_jetstream_is_told(tmp_path):
    async with nats_server(tmp_path, extra="") as server:
        config = server.folder / "nats.conf"
        text = config.read_text()
        await server.kill()
        for old in server.folder.glob("*.ports"):
            old.unlink()
        config.write_text("\n".join(x for x in text.splitlines() if "jetstream" not in x))
        plain = await asyncio.create_subprocess_exec(
            *(shutil.which("nats-server") or server_binary(), "-c", str(config)),
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(60):
                while not any(one.read_text() for one in server.folder.glob("*.ports")):
                    await asyncio.sleep(0.01)
            assert "JetStream does not answer (enable it" in await refused(None, url=server.url)
        finally:
            plain.kill()
            await plain.wait()


def server_binary() -> str:
    from nats_server import find_binary

    return find_binary()


async def test_kinds_that_are_not_served_are_told():
    with pytest.raises(ConfigError, match="NATS Streaming ended in 2023"):
        async with open_bus(
            load(BusConfig, {"nats": {"url": "nats://u:secret@x", "clusterID": "c"}}),
            GivenSecrets(),
        ):
            pass
    with pytest.raises(ConfigError, match="known kind of bus that is not built yet"):
        async with open_bus(load(BusConfig, {"kafka": {"url": "k:9092"}}), GivenSecrets()):
            pass
