"""The `spec` of an EventBus object, with every kind that exists.

Only JetStream is served: one that exists (`jetstreamExotic`), one that a controller installs or
`tocsin run` starts (`jetstream`, and `nats.native`, whose old server ended in 2023). The others
are known, so that `lint` can check them, and refused where a bus is opened.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from eventbus.config import BusConfig, JetStreamConfig, StanConfig, shown
from eventbus.settings import StreamSettings, size
from spine.errors import ConfigError
from spine.model import Model, warn
from spine.runtime import seconds
from spine.secrets import SecretRef

Kind = Literal["nats.native", "nats.exotic", "jetstream", "jetstreamExotic", "kafka"]

_QUANTITY = re.compile(r"[0-9.]+(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?")


def _checked_size(value: str | int | None) -> str | int | None:
    if value is not None:
        try:
            size("size", value)
        except ConfigError as exc:
            raise ValueError(f"not a size; write {exc.hint.removeprefix('write ')}") from exc
    return value


def _checked_duration(value: str | None) -> str | None:
    if value is not None:
        try:
            seconds(value)
        except ConfigError as exc:
            raise ValueError(f"not a duration; {exc.hint}") from exc
    return value


class ContainerTemplate(Model):
    """Settings of one container."""

    resources: dict[str, Any] | None = None
    """Requests and limits."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled."""
    security_context: dict[str, Any] | None = None
    """Security settings."""


class ObjectMetadata(Model):
    """Labels and annotations of pods."""

    annotations: dict[str, str] | None = None
    """Annotations of the pods."""
    labels: dict[str, str] | None = None
    """Labels of the pods; those of the controller win."""


class Persistence(Model):
    """A volume for the store."""

    storage_class_name: str | None = None
    """StorageClass; that of the cluster where absent."""
    access_mode: str | None = None
    """ReadWriteOnce where absent."""
    volume_size: str | int | None = None
    """Size of the volume; 20Gi for JetStream and 10Gi for NATS Streaming where absent."""

    @field_validator("volume_size")
    @classmethod
    def _quantity(cls, value: str | int | None) -> str | int | None:
        if isinstance(value, str) and not _QUANTITY.fullmatch(value):
            raise ValueError("not a quantity; write 20Gi")
        return value


class PodSettings(Model):
    """What both servers' pods take from the object."""

    metadata: ObjectMetadata | None = None
    """Labels and annotations of the pods."""
    node_selector: dict[str, str] | None = None
    """Labels of the nodes to run on."""
    tolerations: list[dict[str, Any]] | None = None
    """Taints of nodes that are tolerated."""
    security_context: dict[str, Any] | None = None
    """Security settings."""
    image_pull_secrets: list[dict[str, str]] | None = None
    """Secrets of the image registry."""
    service_account_name: str | None = None
    """Service account of the pods."""
    priority_class_name: str | None = None
    """Priority class of the pods."""
    priority: int | None = None
    """Priority of the pods, where no class gives it."""
    affinity: dict[str, Any] | None = None
    """Where pods go relative to nodes and other pods."""
    persistence: Persistence | None = None
    """Volume of the store; kept with the pod only where absent."""
    container_template: ContainerTemplate | None = None
    """Container of the server."""
    metrics_container_template: ContainerTemplate | None = None
    """Container of the metrics exporter."""


class NatsNative(PodSettings):
    """A NATS Streaming server to be installed; a JetStream one takes its place."""

    replicas: int | None = None
    """Servers; fewer than 3 are 3 upstream."""
    auth: Literal["none", "token"] | None = None
    """How clients log in."""
    max_age: str | None = None
    """How long a message is kept, as a duration."""
    max_msgs: Annotated[int | None, Field(ge=0)] = None
    """Messages kept; 0 is without limit."""
    max_bytes: str | int | None = None
    """Size kept."""
    max_subs: Annotated[int | None, Field(ge=0)] = None
    """Subscriptions to a channel; 0 is without limit."""
    max_payload: str | int | None = None
    """Largest message."""
    raft_heartbeat_timeout: str | None = None
    """Ignored by JetStream."""
    raft_election_timeout: str | None = None
    """Ignored by JetStream."""
    raft_lease_timeout: str | None = None
    """Ignored by JetStream."""
    raft_commit_timeout: str | None = None
    """Ignored by JetStream."""

    _durations = field_validator(
        "max_age",
        "raft_heartbeat_timeout",
        "raft_election_timeout",
        "raft_lease_timeout",
        "raft_commit_timeout",
    )(_checked_duration)
    _sizes = field_validator("max_bytes", "max_payload")(_checked_size)

    @model_validator(mode="after")
    def _replaced(self) -> Self:
        warn("native: NATS Streaming ended in 2023; JetStream serves this bus; write jetstream")
        return self


class NatsExotic(StanConfig):
    """A NATS Streaming server that exists."""

    auth: Literal["none", "token"] | None = None
    """How clients log in."""
    cluster_id: Annotated[str, Field(alias="clusterID", min_length=1)]
    """Cluster of the server."""


class Nats(Model):
    """NATS Streaming, which ended in 2023."""

    native: NatsNative | None = None
    """A server to be installed."""
    exotic: NatsExotic | None = None
    """A server that exists."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.native is None and self.exotic is None:
            raise ValueError("set native or exotic")
        if self.native is not None and self.exotic is not None:
            warn("native: ignored, as exotic is set too")
        return self


class JetStream(PodSettings):
    """A JetStream cluster to be installed."""

    version: str
    """Version of the server, of the list that the controller knows; `latest`."""
    replicas: int | None = None
    """Servers: 1, or 3 and more; 3 where absent."""
    reloader_container_template: ContainerTemplate | None = None
    """Container that reloads the configuration."""
    settings: str | None = None
    """Text for the `jetstream {}` block of the server's configuration."""
    start_args: list[str] | None = None
    """Arguments of the server."""
    stream_config: str | None = None
    """YAML of the limits of the stream of events."""
    max_payload: str | int | None = None
    """Largest message; 1MB upstream, 8MB here where absent."""

    _sizes = field_validator("max_payload")(_checked_size)

    @field_validator("replicas")
    @classmethod
    def _quorum(cls, value: int | None) -> int | None:
        if value is not None and (value < 1 or value == 2):  # noqa: PLR2004 -- two servers have no majority
            raise ValueError("1, or 3 and more")
        return value

    @field_validator("stream_config")
    @classmethod
    def _readable(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                StreamSettings.parse(text, on_warning=warn)
            except ConfigError as exc:
                raise ValueError(str(exc)) from exc
        return text


class Sasl(Model):
    """A login to Kafka."""

    mechanism: str | None = None
    """PLAIN where absent."""
    user_secret: SecretRef | None = None
    """User name."""
    password_secret: SecretRef | None = None
    """Password."""


class KafkaConsumerGroup(Model):
    """How sensors share the topic."""

    group_name: str | None = None
    """`NAMESPACE-SENSOR` where absent."""
    oldest: bool | None = None
    """Whether a new group starts at the first message."""
    rebalance_strategy: str | None = None
    """range, sticky or roundrobin; range where absent."""


class KafkaTls(Model):
    """TLS to Kafka."""

    ca_cert_secret: SecretRef | None = None
    """Certificate of the authority, PEM."""
    client_cert_secret: SecretRef | None = None
    """Certificate of the client, PEM."""
    client_key_secret: SecretRef | None = None
    """Key of that certificate, PEM."""
    insecure_skip_verify: bool = False
    """Whether any certificate of the server is taken."""


class Kafka(Model):
    """Kafka as the bus; known, and not built yet."""

    url: Annotated[str, Field(min_length=1)]
    """Brokers with commas between."""
    topic: str | None = None
    """`NAMESPACE-BUS` where absent."""
    version: str | None = None
    """Version of the brokers."""
    tls: KafkaTls | None = None
    """TLS to the brokers."""
    sasl: Sasl | None = None
    """Login to the brokers."""
    consumer_group: KafkaConsumerGroup | None = None
    """How sensors share the topic."""
    partitioner: str | None = None
    """random, hash, roundrobin or manual; random where absent."""


class JetStreamExotic(JetStreamConfig):
    """A JetStream server or cluster that exists."""


class EventBusSpec(Model):
    """What an EventBus is; exactly one kind is meant."""

    nats: Nats | None = None
    """NATS Streaming; a native one is served by JetStream."""
    jetstream: JetStream | None = None
    """A JetStream cluster that is installed for the bus."""
    jetstream_exotic: JetStreamExotic | None = None
    """A JetStream server that exists."""
    kafka: Kafka | None = None
    """Kafka; known, and not built yet."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = self._kinds()
        if not kinds:
            raise ValueError("set one of nats, jetstream, jetstreamExotic, kafka")
        if len(kinds) > 1:
            warn(f"{', '.join(kinds)}: one kind is meant; {kinds[0]} is taken")
        return self

    def _kinds(self) -> list[Kind]:
        """Return the kinds that are set, in the order in which Argo Events looks."""
        nats = self.nats
        found: list[tuple[Kind, object]] = [
            ("nats.exotic", nats and nats.exotic),
            ("nats.native", nats and nats.native and not nats.exotic),
            ("jetstream", self.jetstream),
            ("kafka", self.kafka),
            ("jetstreamExotic", self.jetstream_exotic),
        ]
        return [kind for kind, value in found if value]

    @property
    def kind(self) -> Kind:
        """The kind that is meant."""
        return self._kinds()[0]

    @property
    def unsupported(self) -> str:
        """Why this bus cannot be served; empty where it can."""
        if self.kind == "kafka":
            return "kafka is a known kind of bus that is not built yet; use jetstream"
        if self.kind == "nats.exotic":
            assert self.nats is not None
            assert self.nats.exotic is not None
            url = shown(self.nats.exotic.url)
            return f"the NATS Streaming server at {url} cannot be used; use jetstreamExotic"
        return ""

    @property
    def existing(self) -> BusConfig | None:
        """How to reach a bus that exists; None for one that has to be started.

        Raises ConfigError for a kind that is not served.
        """
        if self.unsupported:
            raise ConfigError(f"opening the bus: {self.unsupported}")
        if self.kind != "jetstreamExotic":
            return None
        return BusConfig(jetstream=self.jetstream_exotic)

    def settings(self, defaults: StreamSettings) -> StreamSettings:
        """Return the limits of the stream: those that the object names, else the defaults."""
        text = ""
        if self.kind == "jetstream" and self.jetstream is not None:
            text = self.jetstream.stream_config or ""
        elif self.kind == "jetstreamExotic" and self.jetstream_exotic is not None:
            text = self.jetstream_exotic.stream_config
        return StreamSettings.parse(text, defaults=defaults, on_warning=lambda _: None)
