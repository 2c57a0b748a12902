"""The signature of what SNS posts: whose certificate it is, and that it fits and is of today.

The message itself says where its certificate is, so that counts only where it is a host of SNS in
the region of the topic, by TLS. Certificates are kept; fetching them is bounded, since anybody may
name others. SNS gives up after an hour, so what is older has been caught and is played again; what
has come within that hour is known.

Source: AWS's public documentation, "Verifying the signatures of Amazon SNS messages".
"""

import asyncio
import base64
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from eventsource.aws.notice import Envelope
from spine.errors import ConfigError, SourceError, TriggerError
from spine.http.client import Request, open_guarded_client
from spine.http.tls import Tls
from spine.http.url import parse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

log = logging.getLogger(__name__)

LARGEST = 65 * 1024
"""Bytes of a certificate."""
WITHIN = 5.0
"""Seconds for a certificate; SNS waits for an answer for 15."""
WAITING = 8
"""Certificates that are asked for at a time; more messages than that are told to come again."""
AWAY_FOR = 2.0
"""Seconds for which nobody is asked who did not answer."""
KEPT = 64
"""Certificates that are remembered."""
GOOD_FOR = 86_400.0
"""Seconds for which a certificate is not fetched again."""
BAD_FOR = 60.0
"""Seconds for which one that could not be had is not asked for again."""
OLDEST = timedelta(minutes=75)
"""Age of a message: SNS tries for an hour at most, and clocks differ."""
SKEW = timedelta(minutes=15)
"""By how much the clock of AWS may be ahead of ours."""
SEEN = 100_000
"""Messages that are remembered."""
SHORTEST = 2048
"""Bits of a key."""
_URL = re.compile(
    r"https://sns\.(?P<region>[a-zA-Z0-9-]{3,})\.amazonaws\.com(?P<cn>\.cn)?/[\w-]+\.pem"
)


class Refused(Exception):
    """A message is not one of SNS; says why."""


Fetch = Callable[[str], Awaitable[bytes]]
"""Gets what is at a URL. Raises SourceError where that may work later, Refused else."""


def check_url(url: str, region: str) -> None:
    """Raise Refused where a URL is not that of a certificate of SNS in a region."""
    found = _URL.fullmatch(url)
    if found is None or found["region"].lower() != region.lower():
        raise Refused(f"SigningCertURL is not of SNS in {region}")
    if bool(found["cn"]) != region.startswith("cn-"):
        raise Refused(f"SigningCertURL is not of SNS in {region}")


class Certificates:
    """The keys of certificates, by URL."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._keys: OrderedDict[str, tuple[RSAPublicKey, float]] = OrderedDict()
        self._bad: OrderedDict[str, tuple[Exception, float]] = OrderedDict()
        """Apart, as anybody may ask for those."""
        self._asking: dict[str, asyncio.Lock] = {}

    async def key(self, url: str) -> "RSAPublicKey":
        """Return the key of a certificate. Raises Refused; SourceError: it cannot be had now."""
        found = self._known(url)
        if found is not None:
            return found
        if url not in self._asking and len(self._asking) >= WAITING:
            raise SourceError("fetching certificates of SNS: too many are asked for")
        lock = self._asking.setdefault(url, asyncio.Lock())
        try:
            async with lock:
                return self._known(url) or await self._ask(url)
        finally:
            self._asking.pop(url, None)

    def _known(self, url: str) -> "RSAPublicKey | None":
        now = self._clock()
        bad, until = self._bad.get(url, (None, 0.0))
        if bad is not None and now < until:
            raise bad.with_traceback(None)
        key, until = self._keys.get(url, (None, 0.0))
        return key if now < until else None

    async def _ask(self, url: str) -> "RSAPublicKey":
        try:
            key, left = key_of(await self._fetch(url), datetime.now(UTC))
        except (Refused, SourceError) as exc:
            wait = BAD_FOR if isinstance(exc, Refused) else AWAY_FOR
            _remember(self._bad, url, (exc, self._clock() + wait))
            raise
        _remember(self._keys, url, (key, self._clock() + min(GOOD_FOR, left)))
        return key


def _remember(known: OrderedDict[str, Any], url: str, found: Any) -> None:
    known[url] = found
    known.move_to_end(url)
    if len(known) > KEPT:
        known.popitem(last=False)


def key_of(pem: bytes, now: datetime) -> "tuple[RSAPublicKey, float]":
    """Return the key of a certificate, and for how many seconds it is valid. Raises Refused."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        key = certificate.public_key()
    except Exception as exc:  # whatever the library finds in what came
        raise Refused("SigningCertURL leads to no certificate") from exc
    if not isinstance(key, RSAPublicKey) or key.key_size < SHORTEST:
        raise Refused("SigningCertURL leads to no RSA key of 2048 bits")
    left = certificate.not_valid_after_utc - now
    if left <= timedelta(0) or certificate.not_valid_before_utc > now + SKEW:
        raise Refused("the certificate is not valid now")
    return key, left.total_seconds()


class Verifier:
    """Tells messages of SNS from others."""

    def __init__(self, region: str, certificates: Certificates) -> None:
        self._region, self._certificates = region, certificates

    async def check(self, envelope: Envelope, body: bytes) -> None:
        """Raise Refused for a message that is not of SNS, SourceError where nobody can say."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA1, SHA256

        hashes = {"1": SHA1, "2": SHA256}
        made_by = hashes.get(envelope.signature_version)
        if made_by is None:
            raise Refused("SignatureVersion must be 1 or 2")
        _check_members(body)
        check_url(envelope.signing_cert_url, self._region)
        _check_age(envelope, datetime.now(UTC))
        try:
            signature = base64.b64decode(envelope.signature, validate=True)
        except ValueError as exc:
            raise Refused("Signature is not base64") from exc
        key = await self._certificates.key(envelope.signing_cert_url)
        try:
            key.verify(signature, envelope.text, PKCS1v15(), made_by())
        except InvalidSignature as exc:
            raise Refused("the signature does not fit") from exc


def _check_members(body: bytes) -> None:
    """Refuse a name that stands twice: others may read the one that is not signed."""

    def once(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise Refused("a member stands twice")

    json.loads(body, object_pairs_hook=once)


def _check_age(envelope: Envelope, now: datetime) -> None:
    age = now - envelope.time
    if age > OLDEST:
        raise Refused("the message is older than SNS keeps trying")
    if age < -SKEW:
        raise Refused("the message is of the future")


class Seen:
    """The messages that have become events of late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, id: str) -> bool:
        return self._until.get(id, 0.0) > self._clock()

    def add(self, id: str) -> None:
        """Remember a message."""
        now = self._clock()
        self._until[id] = now + OLDEST.total_seconds() + SKEW.total_seconds()
        self._until.move_to_end(id)
        while len(self._until) > SEEN or next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)


@asynccontextmanager
async def open_certificates() -> AsyncIterator[Certificates]:
    """Yield certificates that are fetched from AWS; proxies of the environment are honoured.

    Raises ConfigError where the library is missing.
    """
    try:
        import cryptography  # noqa: F401 -- whether it is there
    except ImportError as exc:
        hint = "pip install 'tocsin[aws]'"
        raise ConfigError(f"verifying what SNS posts: {exc}", hint=hint) from exc
    async with open_guarded_client() as client:

        async def fetch(url: str) -> bytes:
            asked = Request(
                "GET", parse(url), keep=LARGEST + 1, guarded=True, tls=Tls(), follow=False
            )
            try:
                answer = await client.send(asked, WITHIN)
            except TriggerError as exc:
                raise SourceError(f"fetching a certificate of SNS: {exc.message}") from exc
            if answer.status >= 500:  # noqa: PLR2004 -- AWS's own fault
                raise SourceError(f"fetching a certificate of SNS: {answer.status}")
            if not answer.ok or len(answer.body) > LARGEST:
                raise Refused("SigningCertURL leads to no certificate")
            return answer.body

        yield Certificates(fetch)
