"""The EventSource resource. Its fields are the list of all sources: there is no other.

What cannot work is refused here, before a process listens: so `lint`, the admission check and
the process say the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, get_args, get_origin

from pydantic import ValidationInfo, field_validator, model_validator

from eventsource.endpoint import Endpoint
from eventsource.narrowed import imported
from eventsource.source import Source
from spine.fields import Flag, Int32
from spine.model import Model, warn
from spine.pod import PodTemplate, Service

if TYPE_CHECKING:
    from eventsource.sources.calendar import Calendar
    from eventsource.sources.file import File
    from eventsource.sources.generic import Generic
    from eventsource.sources.github import Github
    from eventsource.sources.gitlab import Gitlab
    from eventsource.sources.minio import Minio
    from eventsource.sources.mqtt import Mqtt
    from eventsource.sources.nats import Nats
    from eventsource.sources.pub_sub import PubSub
    from eventsource.sources.redis import Redis
    from eventsource.sources.redis_stream import RedisStream
    from eventsource.sources.resource import Resource
    from eventsource.sources.sftp import Sftp
    from eventsource.sources.slack import Slack
    from eventsource.sources.sns import Sns
    from eventsource.sources.sqs import Sqs
    from eventsource.sources.webhook import Webhook
else:
    Calendar = imported("calendar", "Calendar")
    File = imported("file", "File")
    Generic = imported("generic", "Generic")
    Github = imported("github", "Github")
    Gitlab = imported("gitlab", "Gitlab")
    Minio = imported("minio", "Minio")
    Mqtt = imported("mqtt", "Mqtt")
    Nats = imported("nats", "Nats")
    PubSub = imported("pub_sub", "PubSub")
    Redis = imported("redis", "Redis")
    RedisStream = imported("redis_stream", "RedisStream")
    Resource = imported("resource", "Resource")
    Sftp = imported("sftp", "Sftp")
    Slack = imported("slack", "Slack")
    Sns = imported("sns", "Sns")
    Sqs = imported("sqs", "Sqs")
    Webhook = imported("webhook", "Webhook")

S = TypeVar("S", bound=Source)
Named = dict[str, S]
"""Sources of one kind, by event name."""
Unbuilt = dict[str, Any]
"""Sources of a kind that is known and not built yet, by event name."""

_WAITING = frozenset(
    {"webhook", "sns", "github", "gitlab", "bitbucket", "bitbucketserver", "gerrit", "slack"}
    | {"stripe", "storage_grid", "sqs", "azure_queue_storage", "mns"}
)
"""Kinds that Argo Events does not mix with the others in one object."""


class EventSourceSpec(Model):
    """Where events come from. Each entry is one named event of its kind."""

    event_bus_name: str = "default"
    """The EventBus that the events are published to."""
    replicas: Int32 = 1
    """Pods that run this event source; below 1 it is 1."""
    suspend: Flag = False
    """Whether it runs nowhere for now; its place on the bus is kept (ours)."""
    template: PodTemplate | None = None
    """How the pods look."""
    service: Service | None = None
    """The Service in front of the pods."""

    calendar: Named[Calendar] = {}
    """Ticks of a schedule."""
    file: Named[File] = {}
    """Changes in a folder."""
    generic: Named[Generic] = {}
    """Events of a gRPC service of one's own."""
    github: Named[Github] = {}
    """Hooks of GitHub."""
    gitlab: Named[Gitlab] = {}
    """Hooks of GitLab."""
    minio: Named[Minio] = {}
    """Notifications of a MinIO bucket."""
    mqtt: Named[Mqtt] = {}
    """Messages of an MQTT topic."""
    nats: Named[Nats] = {}
    """Messages of a NATS subject."""
    pub_sub: Named[PubSub] = {}
    """Messages of Google Cloud Pub/Sub."""
    redis: Named[Redis] = {}
    """Messages of Redis channels."""
    redis_stream: Named[RedisStream] = {}
    """Entries of Redis streams."""
    resource: Named[Resource] = {}
    """Changes of Kubernetes objects."""
    sftp: Named[Sftp] = {}
    """Changes on an SFTP server."""
    slack: Named[Slack] = {}
    """Events and commands of Slack."""
    sns: Named[Sns] = {}
    """Notifications of AWS SNS."""
    sqs: Named[Sqs] = {}
    """Messages of an AWS SQS queue."""
    webhook: Named[Webhook] = {}
    """HTTP requests."""

    amqp: Unbuilt = {}
    """Messages of an AMQP queue."""
    azure_events_hub: Unbuilt = {}
    """Events of Azure Event Hubs."""
    azure_queue_storage: Unbuilt = {}
    """Messages of Azure Queue Storage."""
    azure_service_bus: Unbuilt = {}
    """Messages of Azure Service Bus."""
    bitbucket: Unbuilt = {}
    """Hooks of Bitbucket Cloud."""
    bitbucketserver: Unbuilt = {}
    """Hooks of Bitbucket Server."""
    emitter: Unbuilt = {}
    """Messages of an Emitter channel."""
    gerrit: Unbuilt = {}
    """Hooks of Gerrit."""
    hdfs: Unbuilt = {}
    """Changes in HDFS."""
    kafka: Unbuilt = {}
    """Records of a Kafka topic."""
    mns: Unbuilt = {}
    """Messages of an Alibaba MNS queue."""
    nsq: Unbuilt = {}
    """Messages of an NSQ topic."""
    pulsar: Unbuilt = {}
    """Messages of a Pulsar topic."""
    storage_grid: Unbuilt = {}
    """Notifications of NetApp StorageGRID."""
    stripe: Unbuilt = {}
    """Hooks of Stripe."""

    @field_validator("event_bus_name")
    @classmethod
    def _default_bus(cls, name: str) -> str:
        return name or "default"

    @field_validator("replicas")
    @classmethod
    def _at_least_one(cls, replicas: int) -> int:
        return max(1, replicas)

    @field_validator("*", mode="after")
    @classmethod
    def _known_not_built(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name in _unbuilt() and value:
            alias = cls.model_fields[info.field_name].alias
            msg = f"known kind `{alias}` that is not built yet"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = [*self._names(), *_clashes(ports(self))]
        if not any(getattr(self, kind) for kind in kinds()):
            problems.append("there is no event (add one below webhook or calendar, for example)")
        if problems:
            raise ValueError("; ".join(problems))
        used = {kind for kind in kinds() if getattr(self, kind)}
        if used & _WAITING and used - _WAITING:
            warn(
                f"{' and '.join(sorted(used))}: Argo Events refuses to have these in one object;"
                " Tocsin runs them"
            )
        self._warn_of_certificates()
        return self

    def _warn_of_certificates(self) -> None:
        served: dict[str, tuple[str, Endpoint]] = {}
        for path, event, hook in _endpoints(self):
            first, other = served.setdefault(hook.port, (event, hook))
            if (other.server_cert_secret, other.server_key_secret) != (
                hook.server_cert_secret,
                hook.server_key_secret,
            ):
                warn(f"{'.'.join(path)}: port {hook.port} serves the certificate of {first}")

    def _names(self) -> Iterator[str]:
        """Yield what is wrong with the names of events."""
        seen: dict[str, str] = {}
        for kind in kinds():
            for name in getattr(self, kind):
                if wrong := _unaddressable(name):
                    yield f"{kind}: event name {name!r}: {wrong}"
                if name in seen:
                    yield f"event name {name!r} stands below both {seen[name]} and {kind}"
                seen[name] = kind

    def sources(self) -> dict[str, Source]:
        """Return the source of every event by its name."""
        return {n: source for kind in kinds() for n, source in getattr(self, kind).items()}


def _unaddressable(name: str) -> str:
    """Return why no event of that name can be told apart on the bus; empty when it can."""
    if not name:
        return "it is empty"
    bad = sorted({c for c in name if c in ".*>" or c.isspace() or not c.isprintable()})
    if bad:
        shown = ", ".join(repr(c) for c in bad)
        return f"{shown} cannot stand in a subject of the bus (write letters, digits and hyphens)"
    return ""


def kinds() -> dict[str, type[Source]]:
    """Return the kinds of sources that are built, by field name."""
    return {
        name: get_args(field.annotation)[1]
        for name, field in EventSourceSpec.model_fields.items()
        if get_origin(field.annotation) is dict and get_args(field.annotation)[1] is not Any
    }


def _unbuilt() -> frozenset[str]:
    return frozenset(
        name for name, field in EventSourceSpec.model_fields.items() if field.annotation == Unbuilt
    )


def topics(name: str, spec: EventSourceSpec) -> list[tuple[str, str]]:  # noqa: ARG001 -- lint calls it with the object's name
    """Return name and type of every event of an EventSource."""
    return [(event, source.type) for event, source in spec.sources().items()]


# ---------------------------------------------------------------------------- ports


@dataclass(frozen=True, slots=True)
class Port:
    """Where an event listens."""

    number: int
    endpoint: str
    event: str
    path: tuple[str, ...]
    """Where it stands below `spec`."""
    tls: bool


def ports(spec: EventSourceSpec) -> list[Port]:
    """Return where the events of an EventSource listen."""
    return [
        Port(int(hook.port), hook.endpoint, event, (*path, "port"), hook.tls)
        for path, event, hook in _endpoints(spec)
    ]


def _endpoints(spec: EventSourceSpec) -> Iterator[tuple[tuple[str, ...], str, Endpoint]]:
    """Yield where each that listens stands, its event, and what it is configured by."""
    for event, served in spec.webhook.items():
        yield ("webhook", event), event, served
    for event, source in spec.pub_sub.items():
        if source.push is not None:
            yield ("pubSub", event, "push"), event, source.push
    for kind in kinds():
        for event, other in getattr(spec, kind).items():
            hook = getattr(other, "webhook", None)
            if isinstance(hook, Endpoint):
                alias = type(spec).model_fields[kind].alias or kind
                yield (alias, event, "webhook"), event, hook


def _clashes(found: list[Port]) -> Iterator[str]:
    """Yield which events cannot listen side by side."""
    for index, port in enumerate(found):
        for other in found[:index]:
            if other.number != port.number:
                continue
            both = f"{'.'.join(other.path[:2])} and {'.'.join(port.path[:2])}"
            if other.endpoint == port.endpoint:
                yield (
                    f"{both} have the same port {port.number} and endpoint {port.endpoint!r}"
                    " (give one of them another endpoint)"
                )
            if other.tls != port.tls:
                yield f"{both} share port {port.number}, and only one of them has TLS"
