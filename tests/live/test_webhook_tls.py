"""TLS: served, taken anew when the Secret changes, and refused in clear words."""

import asyncio
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from hooks import Talk, running
from ports import free_port

from eventsource import listener
from spine.errors import ConfigError
from spine.secrets import MountedSecrets


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory):
    openssl = shutil.which("openssl")
    if openssl is None:
        reason = "needs openssl: apt install openssl"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def make(name: str) -> tuple[str, str]:
        folder = tmp_path_factory.mktemp(name)
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-nodes", "-days", "2", "-subj", f"/CN={name}"]
        command += ["-addext", "subjectAltName=DNS:localhost"]
        command += ["-keyout", "key.pem", "-out", "crt.pem"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return (folder / "crt.pem").read_text(), (folder / "key.pem").read_text()

    return make


@pytest.fixture
def mounted(tmp_path):
    """Secrets as a pod has them; `put` changes one."""
    secrets = MountedSecrets(tmp_path, tmp_path)

    def put(certificate: str, key: str) -> None:
        (tmp_path / "tls").mkdir(exist_ok=True)
        Path(tmp_path, "tls", "crt").write_text(certificate)
        Path(tmp_path, "tls", "key").write_text(key)

    return secrets, put


def spec(port: int) -> dict:
    hook = {
        "endpoint": "/a",
        "port": str(port),
        "method": "POST",
        "serverCertSecret": {"name": "tls", "key": "crt"},
        "serverKeySecret": {"name": "tls", "key": "key"},
    }
    return {"webhook": {"a": hook, "b": {**hook, "endpoint": "/b"}}}


def trusting(certificate: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=certificate)


async def asked(port: int, certificate: str) -> int:
    """Return what a request is answered with; 0 where the certificate is another one."""
    try:
        async with Talk(port, trusting(certificate)) as client:
            return int((await client.ask("/a"))[0])
    except ssl.SSLError:
        return 0


async def test_tls(make_certificate, mounted):
    secrets, put = mounted
    certificate, key = make_certificate("one")
    put(certificate, key)
    port = free_port()
    async with running(spec(port), secrets=secrets) as source:
        async with Talk(port, trusting(certificate)) as client:
            assert (await client.ask("/a"))[0] == 200
            assert (await client.ask("/b"))[0] == 200
            large = b'"' + b"x" * 900_000 + b'"'
            assert (await client.ask("/b", large))[0] == 200
        assert len(await source.events()) == 3
        async with Talk(port) as client:  # in clear
            client.post("/a")
            assert b"200" not in await client.closed()


async def test_new_certificate_is_taken_without_a_restart(make_certificate, mounted, monkeypatch):
    monkeypatch.setattr(listener, "BOUNDS", listener.Bounds(tick=0.02, reread=0.05))
    secrets, put = mounted
    old, new = make_certificate("old"), make_certificate("new")
    put(*old)
    port = free_port()
    async with running(spec(port), secrets=secrets), Talk(port, trusting(old[0])) as kept:
        assert (await kept.ask("/a"))[0] == 200
        put(new[0], "nonsense")  # half of it is there: the old one is kept
        await asyncio.sleep(0.2)
        async with Talk(port, trusting(old[0])) as client:
            assert (await client.ask("/a"))[0] == 200
        put(*new)
        async with asyncio.timeout(60):
            while (status := await asked(port, new[0])) == 0:
                await asyncio.sleep(0.05)
        assert status == 200
        with pytest.raises(ssl.SSLError):
            await Talk(port, trusting(old[0])).__aenter__()
        assert (await kept.ask("/a"))[0] == 200


async def test_certificate_that_is_missing_or_nonsense(make_certificate, mounted):
    secrets, put = mounted
    with pytest.raises(ConfigError, match="reading key 'crt' of Secret 'tls'"):
        async with running(spec(free_port()), secrets=secrets):
            pass
    put("nonsense", "nonsense")
    with pytest.raises(ConfigError, match="both must be PEM"):
        async with running(spec(free_port()), secrets=secrets):
            pass
    put(make_certificate("one")[0], make_certificate("two")[1])
    with pytest.raises(ConfigError, match="reading the certificate and key"):
        async with running(spec(free_port()), secrets=secrets):
            pass
