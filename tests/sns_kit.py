"""SNS for tests: messages that are signed as AWS signs them, and the host that has certificates.

`from sns_kit import Signer, certificate_host`. Keys and certificates are of the test. The host is
reached as the real one is, by its name and TLS: through a proxy of the environment, with a CA of
the environment, so that nothing in the code knows of it.
"""

import asyncio
import base64
import datetime as dt
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from listening import stop_listening

REGION = "eu-central-1"
HOST = f"sns.{REGION}.amazonaws.com"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:orders"
NAME = "SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem"
URL = f"https://{HOST}/{NAME}"


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Signer:
    """A key, its certificate, and messages that are signed with it."""

    def __init__(self, *, bits: int = 2048, days: float = 1.0) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_named("sns.amazonaws.com"))
            .issuer_name(_named("Amazon"))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=10))
            .not_valid_after(now + dt.timedelta(days=days))
            .sign(self.key, hashes.SHA256())
        )
        self.pem = made.public_bytes(Encoding.PEM)

    def message(self, version: str = "2", **other: Any) -> dict[str, Any]:
        """Return a notification, or what else `Type` says, with some of it changed; None: out."""
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        body = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Message": '{"order":42}',
            "Timestamp": now.replace("+00:00", "Z"),
            "SignatureVersion": version,
            "SigningCertURL": URL,
            **other,
        }
        body = {name: value for name, value in body.items() if value is not None}
        return {**body, "Signature": self.sign(body)}

    def sign(self, body: dict[str, Any]) -> str:
        """Return the signature of a message."""
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
        if body["Type"] != "Notification":
            names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token"]
            names += ["TopicArn", "Type"]
        text = "".join(f"{name}\n{body[name]}\n" for name in names if name in body)
        made_by = hashes.SHA1() if body["SignatureVersion"] == "1" else hashes.SHA256()
        signed = self.key.sign(text.encode(), padding.PKCS1v15(), made_by)
        return base64.b64encode(signed).decode()


def posted(message: dict[str, Any]) -> bytes:
    """Return a message as it is posted."""
    return json.dumps(message, indent=2).encode()


class CertificateHost:
    """The host of SNS in a region: certificates of the test, and what a moto server has."""

    def __init__(self, folder: Path, moto: int) -> None:
        self.folder, self._moto = folder, moto
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.proxy = ""
        """URL of the proxy that leads to it, and nowhere else."""
        self.down = False
        self.ends: set[asyncio.StreamWriter] = set()
        """Connections, to be closed in the end."""

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process find it."""
        return {"https_proxy": self.proxy, "SSL_CERT_FILE": str(self.folder / "ca.pem")}

    def context(self) -> ssl.SSLContext:
        """Make an authority and a certificate of the host."""
        keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
        now, made = dt.datetime.now(dt.UTC), []
        for ca, name, key in ((True, "authority", keys[0]), (False, HOST, keys[1])):
            builder = (
                x509.CertificateBuilder()
                .subject_name(_named(name))
                .issuer_name(_named("authority"))
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - dt.timedelta(hours=1))
                .not_valid_after(now + dt.timedelta(days=1))
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            )
            made.append(builder.sign(keys[0], hashes.SHA256()).public_bytes(Encoding.PEM))
        (self.folder / "ca.pem").write_bytes(made[0])
        private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "host.pem").write_bytes(made[1] + private)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "host.pem")
        return context

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.ends.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            self.asked.append(path)
            status, body = (503, b"") if self.down else await self._file(path.removeprefix("/"))
            head = (
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
            writer.close()

    async def _file(self, name: str) -> tuple[int, bytes]:
        if name in self.files:
            return 200, self.files[name]
        url = f"http://127.0.0.1:{self._moto}/{name}"
        scope = f"AK/20261121/{REGION}/sns/aws4_request"  # by which moto knows the service
        login = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=x"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"Host": HOST, "Authorization": login}) as found,
        ):
            return found.status, await found.read()

    async def tunnel(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Lead a connection to the host."""
        self.ends.add(writer)
        try:
            asked = await reader.readuntil(b"\r\n\r\n")
        except (OSError, asyncio.IncompleteReadError):
            return
        if not asked.startswith(f"CONNECT {HOST}:443 ".encode()):
            writer.write(b"HTTP/1.1 403 no\r\n\r\n")
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)
        self.ends.add(back)
        writer.write(b"HTTP/1.1 200 yes\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        finally:
            back.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def certificate_host(folder: Path, moto: int) -> AsyncIterator[CertificateHost]:
    """Yield the host; what it has not itself, it asks the moto server on a port for."""
    host = CertificateHost(folder, moto)
    served = await asyncio.start_server(host.answer, "127.0.0.1", 0, ssl=host.context())
    port = served.sockets[0].getsockname()[1]
    proxy = await asyncio.start_server(lambda r, w: host.tunnel(port, r, w), "127.0.0.1", 0)
    host.proxy = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        await stop_listening(proxy)
        await stop_listening(served)
        for end in host.ends:
            end.transport.abort()
        await asyncio.sleep(0)  # they learn of it
