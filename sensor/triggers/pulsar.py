"""Pulsar: sends a message. Its fields are read and checked; sending comes later."""

from typing import ClassVar

from sensor.fields import Flag, Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from sensor.unbuilt import Unbuilt
from spine.access import TlsConfig
from spine.retrying import RetryBackoff
from spine.secrets import SecretRef


class Pulsar(Unbuilt, Sending):
    """Sends to a Pulsar topic."""

    kind: ClassVar[str] = "pulsar"

    url: Name
    """Service, such as `pulsar://broker:6650`."""
    topic: Name
    """Topic to send to."""
    payload: list[PayloadEntry]
    """What the body is built from."""
    tls_trust_certs_secret: SecretRef | None = None
    """Where CA certificates (PEM) to trust stand."""
    tls_allow_insecure_connection: Flag = False
    """Whether any certificate of the broker will do."""
    tls_validate_hostname: Flag = False
    """Whether the certificate must be for the host of the URL."""
    tls: TlsConfig | None = None
    """Our own certificate and key."""
    auth_token_secret: SecretRef | None = None
    """Where a token stands."""
    auth_athenz_params: dict[str, str] = {}
    """Parameters of Athenz."""
    auth_athenz_secret: SecretRef | None = None
    """Where the private key for Athenz stands."""
    connection_backoff: RetryBackoff | None = None
    """How often connecting is tried."""
