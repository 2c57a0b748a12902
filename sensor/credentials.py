"""What a trigger proves itself with: headers and passwords from Secrets, certificates.

Only references stand here, and only they travel with an action.
"""

from pydantic import model_validator

from sensor.fields import Flag, Name
from spine.model import Model, OneOf
from spine.secrets import ConfigMapRef, SecretRef


class ValueFrom(OneOf):
    """Where the value of a header stands."""

    secret_key_ref: SecretRef | None = None
    """A key of a Secret."""
    config_map_key_ref: ConfigMapRef | None = None
    """A key of a ConfigMap."""


class SecureHeader(Model):
    """A header with a value from a Secret."""

    name: Name
    """Name of the header."""
    value_from: ValueFrom
    """Where its value stands."""


class BasicAuth(Model):
    """Name and password of HTTP basic authentication."""

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
    def _is_complete(self) -> "TlsConfig":
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
