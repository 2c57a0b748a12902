"""Kafka: sends a record. Its fields are read and checked; sending comes later."""

from typing import ClassVar

from sensor.credentials import SecureHeader
from sensor.fields import Flag, Int32, Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from sensor.unbuilt import Unbuilt
from spine.access import BasicAuth, TlsConfig
from spine.model import Model
from spine.secrets import SecretRef


class Sasl(Model):
    """How to log in."""

    mechanism: str = ""
    """PLAIN, OAUTHBEARER, SCRAM-SHA-256, SCRAM-SHA-512 or GSSAPI; empty is PLAIN."""
    user_secret: SecretRef | None = None
    """Where the name stands."""
    password_secret: SecretRef | None = None
    """Where the password stands."""


class SchemaRegistry(Model):
    """Registry of Avro schemas; the body is encoded by one of them."""

    url: Name
    """Registry."""
    schema_id: Int32
    """Number of the schema."""
    auth: BasicAuth | None = None
    """Name and password for it."""


class Kafka(Unbuilt, Sending):
    """Sends to a Kafka topic."""

    kind: ClassVar[str] = "kafka"

    url: Name
    """Brokers, separated by commas."""
    topic: Name
    """Topic to send to."""
    payload: list[PayloadEntry]
    """What the body is built from."""
    partition: Int32 = 0
    """Of no effect."""
    partitioning_key: str | None = None
    """Key of the record; none: any partition."""
    required_acks: Int32 = 0
    """Acknowledgements to wait for: -1 or 0 all in-sync replicas, 1 the leader."""
    compress: Flag = False
    """Whether to compress, by snappy."""
    flush_frequency: Int32 = 0
    """Milliseconds in which records are gathered; 0 sends each at once."""
    tls: TlsConfig | None = None
    """TLS settings; none speaks plain text."""
    sasl: Sasl | None = None
    """How to log in."""
    version: str = ""
    """Version of the brokers; of no effect."""
    schema_registry: SchemaRegistry | None = None
    """Registry of Avro schemas."""
    headers: dict[str, str] = {}
    """Headers with fixed values."""
    secure_headers: list[SecureHeader] = []
    """Headers with values from Secrets or ConfigMaps."""
