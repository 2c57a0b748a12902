"""TLS as triggers configure it: a context made of PEM texts that stand in Secrets."""

import ssl
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

from spine.errors import ConfigError
from spine.secrets import SecretRef, Secrets


class Tls(NamedTuple):
    """What a connection is made with, as PEM texts; empty where there is none."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True


def read_tls(tls: Mapping[str, Any], secrets: Secrets) -> Tls:
    """Read what the content of an action names. Raises ConfigError."""

    def read(name: str) -> str:
        return secrets.secret(SecretRef(**tls[name])) if name in tls else ""

    return Tls(
        ca=read("caCertSecret"),
        certificate=read("clientCertSecret"),
        key=read("clientKeySecret"),
        verify=not tls.get("insecureSkipVerify", False),
    )


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Make a TLS context. Raises ConfigError for certificates that cannot be read."""
    context = ssl.create_default_context()
    if tls.ca:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=tls.ca)
        except ssl.SSLError as exc:
            raise ConfigError("reading tls.caCertSecret: it holds no certificate in PEM") from exc
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate:
        _load_client_certificate(context, tls)
    return context


def _load_client_certificate(context: ssl.SSLContext, tls: Tls) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # created with mode 0600
        file.write(f"{tls.certificate}\n{tls.key}\n")
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except ssl.SSLError as exc:
            raise ConfigError(
                "reading tls.clientCertSecret and tls.clientKeySecret: they are no certificate "
                "and key in PEM that belong together"
            ) from exc
