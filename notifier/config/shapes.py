"""The shapes of what stands in the ConfigMap, for those parts that no other package describes."""

from typing import Any

from pydantic import Field

from spine.model import Model


class ConditionShape(Model):
    """One condition of a trigger."""

    when: str = ""
    """Expression that is to be true."""
    once_per: str = ""
    """Expression; it is told once for each value of it."""
    send: list[str] = []
    """Names of templates."""
    description: str = ""
    """For people."""
    id: str = ""
    """Ours: its identity, so that an edit does not tell everybody anew."""
    hold: str = Field(default="", alias="for")
    """Ours: how long it must stay true."""
    repeat_every: str = ""
    """Ours: after which time it is told again."""
    send_resolved: bool | list[str] = False
    """Ours: whether the end of it is told, or by which templates."""


class DestinationShape(Model):
    """A destination as a map."""

    service: str = ""
    """Name of the service."""
    recipients: list[str] = []
    """Who."""
    recipient: str | list[str] = []
    """The same, for one."""

    @property
    def all(self) -> list[str]:
        """The recipients, in whichever way they are written."""
        one = [self.recipient] if isinstance(self.recipient, str) else self.recipient
        return [*self.recipients, *one]


class SubscriptionShape(Model):
    """A subscription of all objects with certain labels."""

    recipients: list[str | DestinationShape] = []
    """Each `service:recipient`, or a map."""
    recipient: list[str | DestinationShape] = []
    """The same."""
    triggers: list[str] = []
    """Names of triggers."""
    trigger: str | list[str] = []
    """The same, for one."""
    selector: str = ""
    """Which objects."""


class AnnotationShape(Model):
    """An item of the list in the annotation `subscriptions`."""

    trigger: list[str] = []
    """Names of triggers."""
    triggers: list[str] = []
    """The same."""
    destinations: list[DestinationShape] = []
    """Who is told."""
    destination: list[DestinationShape] = []
    """The same."""


class ScopeShape(Model):
    """Which messages something is about."""

    services: list[str] = []
    """Names of services."""
    recipients: list[str] = []
    """Recipients."""
    triggers: list[str] = []
    """Names of triggers."""


class QuietShape(ScopeShape):
    """Quiet hours."""

    start: str = Field(default="", alias="from")
    """Begin, such as `22:00`."""
    end: str = Field(default="", alias="to")
    """End, such as `07:00`."""
    days: list[str] = []
    """Days on which they begin."""
    timezone: str = "UTC"
    """Such as `Europe/Vienna`."""
    then: str = "hold"
    """`hold` or `drop`."""


class DigestShape(ScopeShape):
    """Messages that become one."""

    window: str = ""
    """Such as `10m`."""
    template: str = ""
    """Name of a template."""


class RateShape(Model):
    """A rate."""

    rate: str = ""
    """Such as `10/m`."""
    burst: int = 0
    """How many at once after a rest."""


class LimitsShape(RateShape):
    """Limits of a service."""

    per_recipient: RateShape | None = None
    """Limits for each recipient."""


class LegacyTrigger(Model):
    """A trigger of `config.yaml`."""

    name: str = ""
    """Its name."""
    condition: str = ""
    """What is `when` today."""
    description: str = ""
    """For people."""
    template: str = ""
    """Name of the template."""
    enabled: bool | None = None
    """Whether it is a default trigger."""


class LegacyConfig(Model):
    """`config.yaml` of the ConfigMap."""

    triggers: list[LegacyTrigger] = []
    """Triggers."""
    templates: list[dict[str, Any]] = []
    """Templates, each with its name."""
    context: dict[str, str] = {}
    """Values for templates."""
    subscriptions: list[SubscriptionShape] = []
    """Global subscriptions."""


class LegacyServices(Model):
    """`notifiers.yaml` of the Secret."""

    email: dict[str, Any] | None = None
    """Options of mail."""
    slack: dict[str, Any] | None = None
    """Options of Slack."""
    opsgenie: dict[str, Any] | None = None
    """Options of Opsgenie."""
    grafana: dict[str, Any] | None = None
    """Options of Grafana."""
    webhook: list[dict[str, Any]] = []
    """Options of webhooks, each with its name."""
