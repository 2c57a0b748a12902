"""The values of the chart: what can be set, what it means, and what it is where nobody sets it.

`values.yaml`, `values.schema.json` and the table of the chart's README are written from here, and
`tocsin install` checks with it. What is not in here is an error in both.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from spine.model import Model

Fragment = dict[str, Any]
"""A piece of a manifest, as Kubernetes takes it."""
Texts = dict[str, str]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]

Pattern = Annotated[str, Field(pattern=r"^([-a-z0-9*?.]+/)?[-a-z0-9*?.]+$")]
"""A service account, or several."""
Host = Annotated[str, Field(pattern=r"^[^,\s]+$")]
Address = Annotated[str, Field(pattern=r"^[0-9a-f:.]+$")]


class Part(Model):
    """A map of values; the types have to be right, as nothing is converted in templates."""

    model_config = ConfigDict(strict=True, validate_by_name=False)


class Image(Part):
    """The image of the controller, and of the pods that it makes."""

    repository: str = "tocsin"
    """Where the image is, with its registry."""
    tag: str = ""
    """Version of the image; empty: that of the chart."""
    digest: Annotated[str, Field(pattern="^(sha256:[0-9a-f]{64})?$")] = ""
    """Digest of the image, `sha256:...`; wins over the tag."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When nodes pull it."""
    pull_secrets: list[Fragment] = []
    """Secrets to pull with, `- name: NAME`; for the controller. Pods name theirs in `template`."""


class Budget(Part):
    """How many replicas may be away on purpose."""

    enabled: bool = True
    """Whether there is a PodDisruptionBudget; with one replica there never is."""
    max_unavailable: int | str = 1
    """Replicas that may be evicted at once."""


class Controller(Part):
    """The controller."""

    replicas: Annotated[int, Field(ge=0, le=20)] = 2
    """One leads, the others take over and answer the webhook meanwhile."""
    lease: str = ""
    """Lease by which they elect; empty: that of Argo Events, so that both never lead at once."""
    lease_duration: Duration = "15s"
    """After which another one leads where the leader says nothing."""
    grace: Duration = "24h"
    """How long a bus keeps what a deleted Sensor or Notifier has not read."""
    make_service_accounts: bool = False
    """Make accounts with least rights for objects that name none. Needs the right to escalate."""
    allow_template: list[Literal["privileges", "volumes", "mounts", "env", "keys"]] = []
    """What templates may ask for though it is more than a pod needs; docs/security.md."""
    template_accounts: list[Pattern] = []
    """Accounts that templates may name, `[NAMESPACE/]NAME` with `*`; empty: all but ours."""
    log_format: Literal["json", "text"] = "json"
    """Form of the log."""
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    """What is logged."""
    resources: Fragment = {
        "requests": {"cpu": "50m", "memory": "192Mi"},
        "limits": {"memory": "512Mi"},
    }
    """Resources of a replica."""
    pod_disruption_budget: Budget = Budget()
    """Voluntary disruptions."""
    topology_spread_constraints: list[Fragment] = []
    """How replicas are spread; empty: over nodes and zones, where that is possible."""
    affinity: Fragment = {}
    """Affinity of the pods."""
    node_selector: Texts = {}
    """Nodes on which they may run."""
    tolerations: list[Fragment] = []
    """Taints that they stand."""
    priority_class_name: str = ""
    """Their priority, such as `system-cluster-critical`."""
    pod_security_context: Fragment = {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    """Security context of the pods: the restricted standard."""
    security_context: Fragment = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    """Security context of the container: nothing is written but `/tmp`."""
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] = 30
    """Seconds to end in."""
    annotations: Texts = {}
    """Annotations of the Deployment."""
    pod_annotations: Texts = {}
    """Annotations of its pods."""
    pod_labels: Texts = {}
    """Labels of its pods, beside ours."""
    extra_args: list[str] = []
    """Further arguments of `tocsin controller`."""
    extra_env: list[Fragment] = []
    """Further variables; those that begin with `TOCSIN_` are handed to all pods."""
    extra_env_from: list[Fragment] = []
    """Secrets and ConfigMaps with further variables."""
    extra_volumes: list[Fragment] = []
    """Further volumes."""
    extra_volume_mounts: list[Fragment] = []
    """Where they are mounted."""


class Account(Part):
    """The service account of the controller."""

    create: bool = True
    """Whether it is made here."""
    name: str = ""
    """Its name; empty: that of the controller."""
    annotations: Texts = {}
    """Its annotations."""


class Rbac(Part):
    """Rights."""

    create: bool = True
    """Whether the controller's roles and bindings are made."""
    aggregate: bool = True
    """Whether the roles admin, edit and view of the cluster are extended to our kinds."""


class Crds(Part):
    """The CustomResourceDefinitions."""

    install: bool = True
    """Whether they are installed, and upgraded with the chart."""
    keep: bool = True
    """Whether they stay when the chart is uninstalled; else all EventSources, ... go with them."""


class Webhook(Part):
    """Refuses objects that can never work, when they are written."""

    enabled: bool = True
    """Whether it is there."""
    failure_policy: Literal["Fail", "Ignore"] = "Fail"
    """What becomes of our kinds, and of no others, while no replica answers."""
    timeout_seconds: Annotated[int, Field(ge=1, le=30)] = 10
    """Seconds that the API server waits."""
    namespace_selector: Fragment = {}
    """Namespaces whose objects are looked at; empty: all that the controller takes care of."""
    port: Port = 8443
    """Port of the pods on which it listens."""


class Monitor(Part):
    """A monitor of the Prometheus operator."""

    enabled: bool = False
    """Whether it is made; its kind has to be installed."""
    interval: str = "30s"
    """Time between two scrapes."""
    labels: Texts = {}
    """Labels by which Prometheus finds it."""


class Alerts(Part):
    """A PrometheusRule; docs/operations.md says what to do about each alert."""

    enabled: bool = False
    """Whether it is made; its kind has to be installed."""
    labels: Texts = {}
    """Labels by which Prometheus finds it."""
    alert_labels: Texts = {}
    """Labels of every alert, to route it."""
    backlog: Annotated[int, Field(ge=1)] = 1000
    """Events that may wait for one Sensor."""
    slow_seconds: Annotated[int, Field(ge=1, lt=300)] = 60
    """Seconds from event to action that one in a hundred may exceed; exact at 1, 5, 10 and 60."""


class Dashboard(Part):
    """A ConfigMap with the dashboard, as Grafana's sidecar takes it."""

    enabled: bool = False
    """Whether it is made."""
    labels: Texts = {"grafana_dashboard": "1"}
    """Labels by which it is found."""
    annotations: Texts = {}
    """Its annotations, such as the folder."""


class Metrics(Part):
    """What watches the controller and the pods that it makes."""

    service_monitor: Monitor = Monitor()
    """Of the controller."""
    pod_monitor: Monitor = Monitor()
    """Of EventSources, Sensors, Notifiers and servers of buses."""
    alerts: Alerts = Alerts()
    """Alerts."""
    dashboard: Dashboard = Dashboard()
    """Dashboard."""


class NetworkPolicies(Part):
    """Who may reach what. Needs a network that enforces NetworkPolicies."""

    enabled: bool = False
    """Whether they are made."""
    namespaces: list[Name] = []
    """Where EventSources, Sensors and buses run; empty: `namespaces`, else that of the release."""
    metrics_from: list[Fragment] = []
    """Peers that may read metrics; empty: all."""
    sources_from: list[Fragment] = []
    """Peers that may call EventSources; empty: all."""
    bus_from: list[Fragment] = []
    """Peers that may use buses, beside our own pods of the namespace and the controller."""
    never: list[str] = ["169.254.0.0/16"]
    """IPv4 ranges that no pod of ours may call: where clouds hand out credentials."""
    never_ipv6: list[str] = ["fe80::/10", "fd00:ec2::254/128"]
    """The same of IPv6."""


class Egress(Part):
    """Which hosts all pods may ask by HTTP, and the controller too."""

    hosts: list[Host] = []
    """The only hosts that may be asked, such as `*.example.com`; empty: all (`TOCSIN_EGRESS`)."""
    addresses: list[Address] = []
    """Addresses that are refused otherwise and may be asked (`TOCSIN_EGRESS_ADDRESSES`)."""


class Values(Part):
    """All values."""

    fullname_override: Annotated[str, Field(max_length=40)] = ""
    """What all names begin with; empty: the name of the release."""
    common_labels: Texts = {}
    """Labels of all objects."""
    namespaces: list[Name] = []
    """Namespaces that are taken care of, with a Role in each; empty: all, with a ClusterRole."""
    image: Image = Image()
    """The image of the controller, and of the pods that it makes."""
    controller: Controller = Controller()
    """The controller."""
    service_account: Account = Account()
    """The service account of the controller."""
    rbac: Rbac = Rbac()
    """Rights."""
    crds: Crds = Crds()
    """The CustomResourceDefinitions."""
    webhook: Webhook = Webhook()
    """Refuses objects that can never work, when they are written."""
    metrics: Metrics = Metrics()
    """What watches the controller and the pods that it makes."""
    network_policies: NetworkPolicies = NetworkPolicies()
    """Who may reach what. Needs a network that enforces NetworkPolicies."""
    egress: Egress = Egress()
    """Which hosts all pods may ask by HTTP, and the controller too."""
    global_: Annotated[Fragment, Field(alias="global")] = {}
    """What a chart around this one hands to all; nothing of it is used."""
