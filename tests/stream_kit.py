"""What tests of sources of messages share: waiting, a bus that is away, failures, certificates.

`from stream_kit import Certificates, Fickle, bodies, failure, until`.
"""

import asyncio
import datetime as dt
import ipaddress
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from eventbus.bus import Bus
from eventbus.memory import MemoryBus
from eventsource.runner import Runner
from eventsource.spec import EventSourceSpec
from spine.errors import BusError
from spine.event import Event
from spine.model import load
from spine.secrets import GivenSecrets, Secrets
from spine.telemetry import SourceMetrics


async def until(met: Callable[[], Awaitable[Any]], seconds: float = 60.0) -> Any:
    """Wait until something is true; return it."""
    async with asyncio.timeout(seconds):
        while not (found := await met()):
            await asyncio.sleep(0.02)
    return found


async def bodies(it: Any, count: int, seconds: float = 60.0) -> list[dict[str, Any]]:
    """Wait for so many events and return their data."""

    async def enough() -> bool:
        return bool(await it.count() >= count)

    try:
        await until(enough, seconds)
    except TimeoutError:
        raise AssertionError(f"{await it.count()} of {count} events") from None
    return [json.loads(event.data or b"") for event in await it.events()]


class Fickle(MemoryBus):
    """A bus that counts what it is told by id, and can be away or slow."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Counter[str] = Counter()
        self.tried: set[str] = set()
        """Ids of events that it was given, even while it was away."""
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, event: Event) -> None:
        self.tried.add(event.id)
        if self.away:
            raise BusError("away")
        self.told[event.id] += 1
        await self.open.wait()
        await super().publish(event)


async def failure(
    spec: dict[str, Any], *, secrets: Secrets | None = None, bus: Bus | None = None
) -> str:
    """Return why the one event of an EventSource does not come up. Raises what ends the process."""
    parsed = load(EventSourceSpec, spec)
    one = Runner(
        name="hooks",
        namespace="ns",
        spec=parsed,
        bus=bus or MemoryBus(),
        secrets=secrets or GivenSecrets(),
        metrics=SourceMetrics("ns", "hooks", parsed.sources()),
    )

    task = asyncio.create_task(one.run())

    async def problem() -> str:
        if task.done():
            task.result()
        return one.problem if "failed" in one.problem else ""

    try:
        return str(await until(problem))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Certificates:
    """An authority, and certificates of it as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority")
        self.ca = self._signed(self._name, self._key, ca=True)
        (folder / "ca.pem").write_text(self.ca)

    def issue(self, name: str) -> tuple[str, str]:
        """Return certificate and key of a name, for 127.0.0.1; also as NAME.pem and NAME.key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(_named(name), key)
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        (self.folder / f"{name}.pem").write_text(certificate)
        (self.folder / f"{name}.key").write_text(text)
        return certificate, text

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool = False) -> str:
        now = dt.datetime.now(dt.UTC)
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM).decode()


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
