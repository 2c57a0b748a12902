"""The certificate of the webhook, from one to the next without a gap.

A new certificate with an authority of its own is first only announced: the API server is told to
trust its authority beside the present one. When that has had time to spread, it is served. The
key of an authority is thrown away as soon as it has signed, so nobody can ever make another
certificate that the API server trusts.

To be imported where one is made: it needs the library `cryptography`.
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from controller.bus.certificates import BEFORE, authority, certificate

CERTIFICATE, KEY, TRUST = "tls.crt", "tls.key", "ca.crt"
"""Keys of the Secret: what is served, and the authorities that are to be trusted."""
NEXT, NEXT_KEY = "next.crt", "next.key"
"""Keys of the Secret: what will be served when its authority is trusted."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things last."""

    life: dt.timedelta = dt.timedelta(days=90)
    """Of a certificate."""
    renewed: float = 0.6
    """Part of its life after which the next one is made."""
    overlap: float = 60.0
    """Seconds for which the API server has trusted the next one before it is served."""


def usable(data: Mapping[str, str], hosts: Sequence[str], now: dt.datetime) -> bool:
    """Return whether what is to be served can be."""
    return _good(data.get(CERTIFICATE, ""), data.get(KEY, ""), data.get(TRUST, ""), hosts, now)


def ends(data: Mapping[str, str]) -> dt.datetime:
    """Return when the certificate that is served ends."""
    return x509.load_pem_x509_certificate(data[CERTIFICATE].encode()).not_valid_after_utc


def advanced(
    data: Mapping[str, str],
    hosts: Sequence[str],
    now: dt.datetime,
    terms: Terms,
    *,
    trusted: bool,
) -> dict[str, str]:
    """Return what the Secret should hold now; the same where nothing is to be done.

    `trusted` says that the API server has trusted all of `ca.crt` for long enough.
    """
    if not usable(data, hosts, now):
        made, key, trust = _make(hosts, now, terms)
        return {CERTIFICATE: made, KEY: key, TRUST: trust}
    found = dict(data)
    trust = found[TRUST]
    if _good(found.get(NEXT, ""), found.get(NEXT_KEY, ""), trust, hosts, now):
        if not trusted:
            return found
        return {CERTIFICATE: found[NEXT], KEY: found[NEXT_KEY], TRUST: trust}
    served = x509.load_pem_x509_certificate(found[CERTIFICATE].encode())
    life = served.not_valid_after_utc - served.not_valid_before_utc - BEFORE
    if now < served.not_valid_before_utc + BEFORE + life * terms.renewed:
        return {key: found[key] for key in (CERTIFICATE, KEY, TRUST)}
    made, key, new = _make(hosts, now, terms)
    present = [one for one in _PEM.findall(trust) if _signed(served, one)]
    return {
        CERTIFICATE: found[CERTIFICATE],
        KEY: found[KEY],
        TRUST: new + "".join(present),
        NEXT: made,
        NEXT_KEY: key,
    }


def _make(hosts: Sequence[str], now: dt.datetime, terms: Terms) -> tuple[str, str, str]:
    """Return a certificate, its key and its authority."""
    signer = authority(f"tocsin admission {now:%Y-%m-%d %H:%M:%S}", now, terms.life)
    made, key = certificate("tocsin admission", hosts, now, signer, terms.life)
    return made, key, signer[0]


def _good(pem: str, key: str, trust: str, hosts: Sequence[str], now: dt.datetime) -> bool:
    """Return whether a certificate is good, of these hosts, of that key, and to be trusted."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        private = load_pem_private_key(key.encode(), None)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return (
        set(names.get_values_for_type(x509.DNSName)).issuperset(hosts)
        and found.not_valid_before_utc <= now < found.not_valid_after_utc
        and private.public_key() == found.public_key()
        and any(_signed(found, one) for one in _PEM.findall(trust))
    )


def _signed(found: x509.Certificate, authority: str) -> bool:
    """Return whether an authority signed a certificate."""
    try:
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    except Exception:  # noqa: BLE001 -- the library has an exception for each reason
        return False
    return True
