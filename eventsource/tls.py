"""A server's certificate: read from where it is kept, and taken anew when it changes there."""

import logging
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from spine.errors import ConfigError, Fault

log = logging.getLogger(__name__)

Certificate = Callable[[], tuple[str, str]]
"""Reads certificate chain and private key, both PEM. Raises ConfigError."""


class Tls:
    """A server's TLS settings, with the certificate that is current."""

    def __init__(self, certificate: Certificate) -> None:
        self._certificate = certificate
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self._loaded = certificate()
        self._load(self._loaded)

    def refresh(self) -> None:
        """Take a certificate that has changed; keep the present one if it cannot be read."""
        try:
            found = self._certificate()
            if found != self._loaded:
                self._load(found)
                self._loaded = found
                log.info("took the new certificate")
        except Fault as exc:
            log.error("keeping the present certificate", extra={"error": str(exc)})  # noqa: TRY400 -- the text says it all

    def _load(self, pair: tuple[str, str]) -> None:
        with tempfile.TemporaryDirectory() as folder:  # readable by us alone
            chain, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
            chain.write_text(pair[0])
            key.write_text(pair[1])
            try:
                trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                for context in (trial, self.context):
                    context.load_cert_chain(chain, key, lambda: "")  # an empty password asks nobody
            except (ssl.SSLError, ValueError, OSError) as exc:
                raise ConfigError(
                    f"reading the certificate and key of the server: {exc}",
                    hint="both must be PEM, the key without a password and that of the certificate",
                ) from exc
