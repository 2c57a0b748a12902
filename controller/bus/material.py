"""Keys, certificates and passwords of a bus: made once, and kept for as long as it lives.

A new encryption key makes a store unreadable, a new authority cuts servers off from each other,
and a new password shuts clients out. So what is there is kept, from wherever it is still to be
had, and what is lost and cannot be made anew is said. What must not be lost is in a Secret of its
own that no pod mounts; those of servers and clients are written again from it.
"""

import datetime as dt
import ipaddress
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from controller.bus.access import Login
from controller.bus.names import Names
from spine.errors import ConfigError

if TYPE_CHECKING:
    from cryptography import x509

Texts = Mapping[str, str]

CLIENT, CONTROLLER, SYSTEM = "client-auth", "controller-auth", "system-auth"
"""Keys with a login."""
ENCRYPTION = "encryption"
"""Key with the key of the store."""
ADOPTED = "adopted"
"""Key that is there where Argo Events made the bus."""
PAIR = ("cert", "private-key", "ca-cert")
"""Keys with a certificate, its key and the authority; as Argo Events has them."""
CLUSTER_PAIR = tuple(f"cluster-{key}" for key in PAIR)
"""The same between servers."""

YEARS = 10
SOON = dt.timedelta(days=90)
"""A certificate that ends sooner is made anew."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is, by key; empty where there is none."""

    root: Texts = field(default_factory=dict)
    server: Texts = field(default_factory=dict)
    access: Texts = field(default_factory=dict)
    running: bool = False
    """Whether there are servers already."""


@dataclass(frozen=True, slots=True)
class Material:
    """All that is secret."""

    root: Texts
    """For our own Secret."""
    tls: Texts
    """Certificates of the servers, by the keys of PAIR and CLUSTER_PAIR."""

    def login(self, key: str) -> Login:
        """Return a login. Raises ConfigError."""
        return Login.of(self.root[key], f"key {key!r} of the bus's root Secret")

    @property
    def adopted(self) -> bool:
        """Whether Argo Events made the bus."""
        return ADOPTED in self.root


def material(names: Names, kept: Kept, domain: str, now: dt.datetime) -> Material:
    """Return what there is, and make what is missing.

    `domain` is that of the cluster. Raises ConfigError where something is lost for good.
    """
    root = dict(kept.root)
    if not root and CLIENT in kept.access and "ca-cert" not in kept.access:
        root[ADOPTED] = "true"
    root.setdefault(ENCRYPTION, kept.server.get(ENCRYPTION, ""))
    if not root[ENCRYPTION]:
        if kept.running:
            raise ConfigError(
                f"reading Secret {names.root!r}: the encryption key of the store is gone",
                hint="restore that Secret from a backup, or delete the StatefulSet and its claims",
            )
        root[ENCRYPTION] = word(48)
    root.setdefault(CLIENT, kept.access.get(CLIENT) or Login("tocsin", word(32)).text)
    root.setdefault(CONTROLLER, Login("tocsin-controller", word(32)).text)
    root.setdefault(SYSTEM, Login("sys", word(32)).text)
    hosts = names.hosts(domain)
    tls: dict[str, str] = {}
    for keys, needed in ((PAIR, hosts), (CLUSTER_PAIR, ())):
        found = {key: kept.server.get(key, "") for key in keys}
        if not all(found.values()) or not _good(found[keys[0]], needed, now):
            found = _pair(keys, root, names, hosts, now)
        tls |= found
    return Material(root, tls)


def word(length: int) -> str:
    """Return a random word that no format takes for anything but a text."""
    letters = string.ascii_letters
    more = (secrets.choice(letters + string.digits) for _ in range(length - 1))
    return secrets.choice(letters) + "".join(more)


# ---------------------------------------------------------------------------- certificates


def _good(pem: str, hosts: Sequence[str], now: dt.datetime) -> bool:
    """Return whether a certificate has these names, and for some time."""
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return False
    covered = set[str]()
    for extension in found.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            covered.update(extension.value.get_values_for_type(x509.DNSName))
    return covered.issuperset(hosts) and found.not_valid_after_utc - now > SOON


def _pair(
    keys: Sequence[str],
    root: dict[str, str],
    names: Names,
    hosts: Sequence[str],
    now: dt.datetime,
) -> dict[str, str]:
    """Make a certificate, and the authority if there is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    if not _good(root.get("ca-cert", ""), (), now) or "ca-key" not in root:
        root["ca-cert"], root["ca-key"] = _authority(names, now)
    ca = x509.load_pem_x509_certificate(root["ca-cert"].encode())
    ca_key = serialization.load_pem_private_key(root["ca-key"].encode(), None)
    alternatives: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1")]
    made, key = _signed(
        names.servers,
        [
            (x509.SubjectAlternativeName(alternatives), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.ExtendedKeyUsage([_usage("SERVER_AUTH"), _usage("CLIENT_AUTH")]), False),
        ],
        now,
        signer=(ca, ca_key),
    )
    return dict(zip(keys, (made, key, root["ca-cert"]), strict=True))


def _usage(name: str) -> "x509.ObjectIdentifier":
    from cryptography.x509.oid import ExtendedKeyUsageOID

    found: x509.ObjectIdentifier = getattr(ExtendedKeyUsageOID, name)
    return found


def _authority(names: Names, now: dt.datetime) -> tuple[str, str]:
    from cryptography import x509

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    return _signed(f"{names.servers}-ca", [(constraints, True), (usage, True)], now, signer=None)


def _signed(
    title: str,
    extensions: Sequence[tuple["x509.ExtensionType", bool]],
    now: dt.datetime,
    *,
    signer: tuple["x509.Certificate", Any] | None,
) -> tuple[str, str]:
    """Return a certificate and its key, as PEM; without a signer it signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    issuer, issuer_key = (signer[0].subject, signer[1]) if signer else (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))  # clocks of nodes differ
        .not_valid_after(now + dt.timedelta(days=365 * YEARS))
    )
    issued_by = signer[0].public_key() if signer else key.public_key()
    identifiers: list[x509.ExtensionType] = [
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(issued_by),  # type: ignore[arg-type]  # ours, so of a kind that signs
    ]
    for extension, critical in [*extensions, *((one, False) for one in identifiers)]:
        builder = builder.add_extension(extension, critical)
    made = builder.sign(issuer_key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()
