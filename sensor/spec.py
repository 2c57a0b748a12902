"""The `spec` of a Sensor, as a user writes it.

Strict where a mistake would go unnoticed, lenient where the meaning is plain. What needs the
whole Sensor to be checked (names in conditions, programs, paths) is checked by `sensor.plan`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

from delivery.policy import RateLimit
from sensor import globs
from sensor.fields import Flag, Int32, LogicalOperator, Name
from sensor.filters import Filters
from sensor.gather import Batch, Debounce
from sensor.keys import IdempotencyKey, Sources
from sensor.parameters import Parameter
from sensor.trigger import Trigger
from sensor.triggers.argo_workflow import ArgoWorkflow
from sensor.triggers.aws_lambda import AwsLambda
from sensor.triggers.azure_event_hubs import AzureEventHubs
from sensor.triggers.azure_service_bus import AzureServiceBus
from sensor.triggers.custom import Custom
from sensor.triggers.email import Email
from sensor.triggers.http import Http
from sensor.triggers.k8s import K8s
from sensor.triggers.kafka import Kafka
from sensor.triggers.log import Log
from sensor.triggers.nats import Nats
from sensor.triggers.notify import Notify
from sensor.triggers.open_whisk import OpenWhisk
from sensor.triggers.pulsar import Pulsar
from sensor.triggers.slack import Slack
from spine.errors import ConfigError
from spine.model import Model, warn
from spine.pod import PodTemplate
from spine.retrying import RetryBackoff
from spine.runtime import seconds

# ---------------------------------------------------------------------------- dependencies


class Transform(Model):
    """A program that turns the data of an event into other data, before it is filtered."""

    jq: str = ""
    """jq program; its first output must be an object."""
    script: str = ""
    """Lua program over `event`, the data, which returns a table. Ignored beside `jq`."""

    @model_validator(mode="after")
    def _one_of_them(self) -> "Transform":
        if self.script and self.jq:
            warn("script: ignored: jq is set too")
        return self


class Dependency(Model):
    """An event that triggers wait for."""

    name: Name
    """Name in conditions and parameters; unique in the Sensor."""
    event_source_name: Name
    """EventSource that sends it; `*` for any. Ours: patterns such as `shop-*` or `{eu,us}-shop`."""
    event_name: Name
    """Name of the event in that EventSource; `*` for any. Ours: patterns such as `orders-*`."""
    filters: Filters | None = None
    """Which of its events count; none: all."""
    filters_logical_operator: LogicalOperator = ""
    """Whether all kinds of filters must pass or (`or`) any; empty is `and`."""
    transform: Transform | None = None
    """What is done to the data first."""

    @field_validator("event_source_name", "event_name")
    @classmethod
    def _one_token(cls, name: str) -> str:
        if any(c in name for c in ">. \t\r\n"):
            raise ValueError("names hold no dots, spaces or >")
        try:
            globs.check(name)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return name


# ---------------------------------------------------------------------------- triggers


_UNITS = {"Second": 1.0, "Minute": 60.0, "Hour": 3600.0}


class RateLimitConfig(Model):
    """How often a trigger acts; what is more waits."""

    unit: Literal["Second", "Minute", "Hour"] = "Second"
    """Unit of time."""
    requests_per_unit: Annotated[int, Field(strict=True, gt=0, lt=2**31)]
    """Attempts in it, evenly spaced; ten unused ones are saved for a burst."""

    @field_validator("unit", mode="before")
    @classmethod
    def _any_case(cls, raw: Any) -> Any:
        if isinstance(raw, str) and raw not in _UNITS and raw.capitalize() in _UNITS:
            warn(f"unit: write {raw.capitalize()}: Argo Events takes {raw} for Second")
            return raw.capitalize()
        return raw or "Second"

    def runtime(self) -> RateLimit:
        """Return it as what is counted with."""
        return RateLimit(requests=self.requests_per_unit, unit=_UNITS[self.unit])


class StatusPolicy(Model):
    """Which HTTP statuses are success."""

    allow: list[Int32]
    """These and no others; without a policy it is 2xx."""


class K8sPolicy(Model):
    """When an object counts as done."""

    labels: dict[str, str] | None = None
    """Labels that the object must bear."""
    backoff: RetryBackoff | None = None
    """How often it is looked at."""
    error_on_backoff_timeout: Flag = False
    """Whether it is a failure when the labels never come."""


class Policy(Model):
    """What is success."""

    k8s: Annotated[K8sPolicy | None, Field(alias="k8s")] = None
    """By labels of an object."""
    status: StatusPolicy | None = None
    """By HTTP status."""


class ByTime(Model):
    """A moment that comes again and again."""

    cron: Name
    """Minute, hour, day of month, month, day of week. Ours: `@daily` and the like; `@every 6h`
    counts from 1970."""
    timezone: str = ""
    """IANA name; empty is UTC."""


class ConditionsReset(Model):
    """When half-met conditions are forgotten."""

    by_time: ByTime
    """At these times."""


KINDS = (
    "k8s",
    "argo_workflow",
    "http",
    "aws_lambda",
    "azure_event_hubs",
    "azure_service_bus",
    "kafka",
    "pulsar",
    "nats",
    "slack",
    "open_whisk",
    "custom",
    "log",
    "email",
    "notify",
)
"""Fields of the kinds of triggers; of several in one template the first counts."""


class TriggerTemplate(Model):
    """What a trigger does, and when."""

    name: Name
    """Name of the trigger; unique in the Sensor."""
    conditions: str = ""
    """Which dependencies must have arrived, such as `(a || b) && c`; empty is all of them."""
    conditions_reset: list[ConditionsReset] = []
    """When half-met conditions are forgotten: what came before counts no more."""

    http: Http | None = None
    """Sends an HTTP request."""
    log: Log | None = None
    """Writes the events to the log."""
    nats: Nats | None = None
    """Publishes to a NATS subject."""

    k8s: Annotated[K8s | None, Field(alias="k8s")] = None
    """Creates, changes or deletes a Kubernetes object."""
    argo_workflow: ArgoWorkflow | None = None
    """Submits an Argo Workflow, or works on one."""
    aws_lambda: AwsLambda | None = None
    """Calls an AWS Lambda function; comes with a later release."""
    azure_event_hubs: AzureEventHubs | None = None
    """Sends to an Azure Event Hub; comes with a later release."""
    azure_service_bus: AzureServiceBus | None = None
    """Sends to an Azure Service Bus; comes with a later release."""
    kafka: Kafka | None = None
    """Sends to a Kafka topic; comes with a later release."""
    pulsar: Pulsar | None = None
    """Sends to a Pulsar topic; comes with a later release."""
    slack: Slack | None = None
    """Writes to a Slack channel."""
    open_whisk: OpenWhisk | None = None
    """Calls an OpenWhisk action; comes with a later release."""
    custom: Custom | None = None
    """Calls a gRPC server of your own; comes with a later release."""
    email: Email | None = None
    """Sends mail."""
    notify: Notify | None = None
    """Ours: tells people, by any service of the notifications format."""

    @model_validator(mode="after")
    def _one_kind(self) -> "TriggerTemplate":
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if not kinds:
            raise ValueError("it does nothing: set a kind, such as http or log")
        for name in kinds[1:]:
            counts = to_camel(kinds[0])
            warn(f"{to_camel(name)}: ignored: only {counts} counts: make a trigger of each")
        return self

    @property
    def trigger(self) -> Trigger:
        """The kind that is set."""
        for name in KINDS:
            found = getattr(self, name)
            if found is not None:
                assert isinstance(found, Trigger)
                return found
        raise AssertionError("validated above")


class SensorTrigger(Model):
    """A trigger, and how its actions are delivered."""

    template: TriggerTemplate
    """What it does, and when."""
    if_: Annotated[str, Field(alias="if")] = ""
    """Ours: an expr-lang expression over `data` and `context` of the event that completed it, and
    `events["dependency"].data`, such as `data.action == "opened"`; it acts only where that is
    true. Empty: always."""
    parameters: list[Parameter] = []
    """Values from events put into the template, such as into `http.url`."""
    policy: Policy | None = None
    """What is success."""
    retry_strategy: RetryBackoff | None = None
    """Attempts and waits; none: what may pass is retried for a day."""
    rate_limit: RateLimitConfig | None = None
    """How often it acts; none: as often as events come."""
    at_least_once: Flag | None = None
    """False: an action is tried, but a crash or an outage may lose it. None is true."""
    dlq_trigger: "SensorTrigger | None" = None
    """What is done once all attempts have failed."""
    max_in_flight: Annotated[int, Field(ge=1)] | None = None
    """Ours: how many of its actions are under way at a time, over all replicas; the others wait on
    the bus. None: as many as a replica bears."""
    max_active: Annotated[int, Field(ge=1)] | None = None
    """Ours: how many objects that it made may run at a time, such as Workflows and Jobs; further
    ones wait on the bus until one has ended. None: any number."""
    order_by: Sources | None = None
    """Ours: actions with the same value are done one after another, in the order of their events;
    one source, or a list of which the first that has a value counts. None: in any order."""
    idempotency_key: IdempotencyKey | None = None
    """Ours: what makes firings the same, so that only the first of them acts. None: all act."""
    debounce: Debounce | None = None
    """Ours: acts once events have stopped coming, on the newest. None: on each."""
    batch: Batch | None = None
    """Ours: acts on many events at once. None: on each."""

    @model_validator(mode="after")
    def _holds_in_one_way(self) -> "SensorTrigger":
        if self.debounce is not None and self.batch is not None:
            raise ValueError("debounce and batch: a trigger has one of them")
        below = self.dlq_trigger
        if below is not None and (below.debounce is not None or below.batch is not None):
            raise ValueError("debounce and batch have no meaning in dlqTrigger")
        return self

    @model_validator(mode="after")
    def _fallback_is_delivered(self) -> "SensorTrigger":
        if self.dlq_trigger is not None:
            if self.dlq_trigger.if_:
                raise ValueError("if has no meaning in dlqTrigger: it acts on what has failed")
            if self.dlq_trigger.order_by is not None:
                raise ValueError("orderBy has no meaning in dlqTrigger: write it beside it")
            if self.dlq_trigger.idempotency_key is not None:
                raise ValueError("idempotencyKey has no meaning in dlqTrigger: write it beside it")
            if self.at_least_once is False:
                raise ValueError("dlqTrigger needs atLeastOnce: true")
            if self.dlq_trigger.at_least_once is False:
                raise ValueError("atLeastOnce of dlqTrigger must be true")
        return self


# ---------------------------------------------------------------------------- all


class SensorSpec(Model):
    """What a Sensor waits for, and what it does then."""

    dependencies: Annotated[list[Dependency], Field(min_length=1)]
    """Events that its triggers wait for."""
    triggers: Annotated[list[SensorTrigger], Field(min_length=1)]
    """What is done when they have come."""
    event_bus_name: str = "default"
    """EventBus in its namespace."""
    start_from: str = "new"
    """Where a new Sensor begins: `new` events, `all` that the bus has, or those of the last so
    long, such as `1h`."""
    suspend: Flag = False
    """Whether it runs nowhere for now; its place on the bus is kept (ours)."""
    template: PodTemplate | None = None
    """How its pod is dressed."""
    replicas: Int32 = 1
    """Equal processes that share the work; less than 1 is 1."""
    revision_history_limit: Int32 | None = None
    """Old ReplicaSets that are kept."""
    logging_fields: dict[str, str] = {}
    """Fields added to each log line."""
    error_on_failed_round: Flag = False
    """Of no effect."""

    @field_validator("event_bus_name")
    @classmethod
    def _default_bus(cls, name: str) -> str:
        return name or "default"

    @field_validator("start_from")
    @classmethod
    def _moment(cls, text: str) -> str:
        if text not in {"new", "all"}:
            try:
                ago = seconds(text)
            except ConfigError as exc:
                raise ValueError("write new, all, or a duration such as 1h") from exc
            if ago < 0:
                raise ValueError("it lies in the future")
        return text

    @field_validator("error_on_failed_round")
    @classmethod
    def _no_effect(cls, value: bool) -> bool:
        if value:
            warn("errorOnFailedRound: of no effect: failed actions are retried or dead-lettered")
        return value
