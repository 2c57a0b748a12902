"""How the pods of an EventSource or a Sensor look: `spec.template`.

Only the controller acts on it; a process takes and ignores it. What is Kubernetes' own is passed
on as it stands and checked by the API server.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from spine.model import Model

Core = dict[str, Any]
"""An object of the Kubernetes core API."""

_NOT_SETTABLE = "the controller decides it"


class PodMetadata(Model):
    """Labels and annotations."""

    labels: dict[str, str] = {}
    """Labels; those of the controller win."""
    annotations: dict[str, str] = {}
    """Annotations."""


class PodContainer(Model):
    """What of the container can be set."""

    dead_keys: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            *("name", "image", "command", "args", "workingDir", "ports", "lifecycle"),
            *("livenessProbe", "readinessProbe", "startupProbe", "volumeDevices"),
            *("stdin", "stdinOnce", "tty", "terminationMessagePath", "terminationMessagePolicy"),
        ),
        _NOT_SETTABLE,
    )

    resources: Core = {}
    """Requests and limits."""
    image_pull_policy: str = ""
    """When the image is pulled."""
    security_context: Core = {}
    """Security settings of the container."""
    env: list[Core] = []
    """Environment variables, before those of the controller."""
    env_from: list[Core] = []
    """Sources of environment variables."""
    volume_mounts: list[Core] = []
    """Mounts of `template.volumes`."""


class PodTemplate(Model):
    """How the pods look."""

    dead_keys: ClassVar[Mapping[str, str]] = {"spec": "write its members directly below template"}

    metadata: PodMetadata | None = None
    """Labels and annotations of the pods."""
    service_account_name: str = ""
    """Service account of the pods; triggers act under it."""
    container: PodContainer | None = None
    """The container of the pods."""
    volumes: list[Core] = []
    """Volumes of the pods."""
    security_context: Core = {}
    """Security settings of the pods."""
    node_selector: dict[str, str] = {}
    """Labels of the nodes to run on."""
    tolerations: list[Core] = []
    """Taints of nodes that are tolerated."""
    affinity: Core = {}
    """Where pods go relative to nodes and other pods."""
    topology_spread_constraints: list[Core] = []
    """How pods are spread over zones and nodes (ours)."""
    image_pull_secrets: list[Core] = []
    """Secrets of the image registry."""
    priority_class_name: str = ""
    """Priority class of the pods."""
    priority: int | None = None
    """Priority of the pods, where no class gives it."""


class Service(Model):
    """The Service in front of the pods of an EventSource."""

    ports: list[Core] = []
    """Its ports; without any there is no Service."""
    cluster_ip: str = Field(default="", alias="clusterIP")
    """`None`, an address, or nothing for one that Kubernetes chooses."""
    metadata: PodMetadata | None = None
    """Labels and annotations of the Service."""
