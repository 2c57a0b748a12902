"""Certificates of the servers of a bus, and of the authority that signs them.

To be imported where one is made: it needs the library `cryptography`.
"""

import datetime as dt
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = dt.timedelta(days=3650)
"""How long a certificate is good, where it does not say."""
BEFORE = dt.timedelta(hours=1)
"""For how long before it was made a certificate is good."""
SOON = dt.timedelta(days=90)
"""A certificate that ends sooner is made anew."""
LOOPBACK = ("127.0.0.1", "::1")
"""Where a server is reached by who forwards its port."""

Pem = str
Pair = tuple[Pem, Pem]
"""A certificate and its key."""


def good(pem: Pem, hosts: Sequence[str], now: dt.datetime) -> bool:
    """Return whether a text is a certificate of these names that lasts for some time."""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return False
    covered = set[str]()
    for extension in found.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            covered.update(extension.value.get_values_for_type(x509.DNSName))
    return covered.issuperset(hosts) and found.not_valid_after_utc - now > SOON


def authority(title: str, now: dt.datetime, life: dt.timedelta = LIFE) -> Pair:
    """Make a certificate that signs others."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    name = _name(title)
    builder = (
        _unsigned(name, name, key.public_key(), key.public_key(), (now, life))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return _signed(builder, key, key)


def certificate(
    title: str,
    hosts: Sequence[str],
    now: dt.datetime,
    signer: Pair,
    life: dt.timedelta = LIFE,
) -> Pair:
    """Make a certificate that an authority signs, for a server and for a client alike."""
    ca = x509.load_pem_x509_certificate(signer[0].encode())
    ca_key = serialization.load_pem_private_key(signer[1].encode(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)  # we made it
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in LOOPBACK]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _unsigned(_name(title), ca.subject, key.public_key(), ca_key.public_key(), (now, life))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    return _signed(builder, key, ca_key)


def _name(title: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])


def _unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    good: tuple[dt.datetime, dt.timedelta],
) -> x509.CertificateBuilder:
    now, life = good
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BEFORE)  # clocks of nodes differ
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(issued_by, critical=False)
    )


def _signed(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Pair:
    made = builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.decode(), private.decode()
