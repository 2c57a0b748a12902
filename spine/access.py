"""Proving oneself to a server, and it to us: names, passwords and certificates in Secrets."""

from typing import Self

from pydantic import model_validator

from spine.fields import Flag
from spine.http.tls import Tls
from spine.model import Model
from spine.secrets import SecretRef, Secrets


class BasicAuth(Model):
    """Name and password."""

    username: SecretRef | None = None
    """Where the name stands."""
    password: SecretRef | None = None
    """Where the password stands."""


class TlsConfig(Model):
    """How the target proves who it is, and how we do."""

    ca_cert_secret: SecretRef | None = None
    """CA certificates (PEM) to trust instead of the system's."""
    client_cert_secret: SecretRef | None = None
    """Our certificate (PEM); needs the key."""
    client_key_secret: SecretRef | None = None
    """Key (PEM) of our certificate."""
    insecure_skip_verify: Flag = False
    """Whether any certificate of the target will do; our own is sent all the same."""
    enabled: Flag = False
    """Whether to use TLS with the system's CA certificates and nothing else."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.client_cert_secret is None) != (self.client_key_secret is None):
            raise ValueError("clientCertSecret and clientKeySecret belong together: set both")
        if not (
            self.ca_cert_secret
            or self.client_cert_secret
            or self.insecure_skip_verify
            or self.enabled
        ):
            raise ValueError("set caCertSecret, clientCertSecret, insecureSkipVerify or enabled")
        return self

    def read(self, secrets: Secrets) -> Tls:
        """Return what it names as it is just now. Raises ConfigError."""
        return Tls(
            ca=secret_of(self.ca_cert_secret, secrets),
            certificate=secret_of(self.client_cert_secret, secrets),
            key=secret_of(self.client_key_secret, secrets),
            verify=not self.insecure_skip_verify,
        )


def secret_of(ref: SecretRef | None, secrets: Secrets) -> str:
    """Return the present value of a key of a Secret, empty without one. Raises ConfigError."""
    return secrets.secret(ref) if ref is not None else ""
