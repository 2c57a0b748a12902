"""The `spec` of a Notifier: which kinds are watched, and where the notifications' configuration is.

The configuration itself is the published format of the Argo Notifications Engine: a ConfigMap and
a Secret, which stay as they are. A Notifier is ours, in the API group `tocsin.dev`, and small.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from typing_extensions import override

from spine.fields import Flag, Int32
from spine.model import Model
from spine.pod import PodTemplate

Name = Annotated[str, Field(min_length=1)]

CONFIG_MAP = "tocsin-notifications-cm"
SECRET = "tocsin-notifications-secret"  # noqa: S105 -- its name
PREFIX = "notifications.argoproj.io"


class Watch(Model):
    """One kind of object that is watched."""

    api_version: Name
    """Group and version, such as `apps/v1`; `v1` is the core group."""
    kind: Name
    """Kind, such as `Deployment`."""
    namespaces: list[str] = []
    """Namespaces that are watched; none: all."""
    label_selector: str = ""
    """Only objects with such labels, such as `team=payments,!silenced`; selected by the server."""
    variable: str = ""
    """Name of the object in expressions and templates beside `obj`; empty: `app` for an
    Application, `cert` for a Certificate, else the kind with a small first letter."""

    @override
    def __str__(self) -> str:
        return f"{self.kind} of {self.api_version}"


class NotifierSpec(Model):
    """What is watched, and how people are told."""

    watches: Annotated[list[Watch], Field(min_length=1)]
    """Kinds of objects."""
    config_map: str = CONFIG_MAP
    """ConfigMap with triggers, templates, services and subscriptions, in the same namespace."""
    secret: str = SECRET
    """Secret with the values that `$name` stands for."""
    health_config_map: str = ""
    """ConfigMap with `resource.customizations`, such as `argocd-cm`; empty: `configMap`."""
    event_bus_name: str = "default"
    """EventBus in its namespace, which keeps what was told."""
    annotation_prefix: str = PREFIX
    """What annotations of subscriptions begin with."""
    on_start: Literal["notify", "adopt"] = "notify"
    """What a new Notifier does about conditions that are met already: tells, as Argo does, or takes
    them as told."""
    generic_health: bool = True
    """Whether kinds without a rule of health get one by their conditions and phase."""
    write_annotations: bool = False
    """Whether what was told is written to `notified.notifications.argoproj.io` of objects too; it
    needs the right to patch them."""
    self_service: bool = False
    """Whether a ConfigMap and Secret of the same names in an object's namespace count too."""
    repo_server: str = ""
    """Address of an Argo CD repo-server for `.repo`: `argocd-repo-server:8081` takes any
    certificate, as Argo CD's components do; `https://HOST:PORT` checks it; `http://` is plain."""
    suspend: Flag = False
    """Whether it runs nowhere for now; its place on the bus is kept (ours)."""
    template: PodTemplate | None = None
    """How its pod is dressed."""
    replicas: Int32 = 1
    """Equal processes that share the work; less than 1 is 1."""

    @field_validator("event_bus_name")
    @classmethod
    def _default_bus(cls, name: str) -> str:
        return name or "default"
