"""How the pod of a Sensor is dressed. The controller reads it; a sensor itself does not."""

from typing import Any

from pydantic import Field

from sensor.record import Int32, Record

Objects = list[dict[str, Any]]


class PodMetadata(Record):
    """Labels and annotations of the pod."""

    annotations: dict[str, str] = {}
    """Annotations of the pod."""
    labels: dict[str, str] = {}
    """Labels of the pod; those of the controller win."""


class ContainerTemplate(Record):
    """What of the container may be chosen; values as in core/v1 Container."""

    env: Objects = []
    """Environment variables; those of the controller win."""
    env_from: Objects = []
    """Sources of environment variables."""
    image_pull_policy: str = ""
    """When the image is pulled."""
    resources: dict[str, Any] = {}
    """Requests and limits."""
    security_context: dict[str, Any] | None = None
    """Security context of the container."""
    volume_mounts: Objects = []
    """Mounts of the volumes."""


class PodTemplate(Record):
    """What of the pod may be chosen; values as in core/v1 PodSpec."""

    metadata: PodMetadata | None = None
    """Labels and annotations."""
    service_account_name: str = ""
    """ServiceAccount under which triggers act."""
    container: ContainerTemplate | None = None
    """The container."""
    volumes: Objects = []
    """Volumes."""
    security_context: dict[str, Any] | None = None
    """Security context of the pod."""
    node_selector: dict[str, str] = {}
    """Labels of the nodes it may run on."""
    tolerations: Objects = []
    """Taints of nodes that it bears."""
    affinity: dict[str, Any] | None = None
    """Where it would rather run."""
    image_pull_secrets: list[dict[str, str]] = Field(default=[])
    """Secrets for pulling the image."""
    priority_class_name: str = ""
    """Its PriorityClass."""
    priority: Int32 | None = None
    """Its priority."""
