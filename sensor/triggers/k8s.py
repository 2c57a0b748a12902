"""Kubernetes: creates, changes or deletes an object.

The object is made here, in full where it stands in the Sensor, and done by `sensor.kubernetes`.
Doing an action twice does it once.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Literal

from typing_extensions import override

from delivery.action import Sender
from sensor.artifact import ArtifactLocation
from sensor.fields import Flag
from sensor.manifest import Check, Object, compile_object, name_of
from sensor.parameters import Parameter
from sensor.trigger import Events, Render, Trigger
from spine.errors import ConfigError
from spine.runtime import Env


class K8s(Trigger):
    """Creates, changes or deletes a Kubernetes object."""

    kind: ClassVar[str] = "k8s"

    source: ArtifactLocation
    """Where the object is written down."""
    operation: Literal["", "create", "update", "patch", "apply", "delete"] = "create"
    """What is done; empty is `create`. `update` and `patch` create what is not there. `apply`,
    which is ours, applies on the server's side."""
    parameters: list[Parameter] = []
    """Values from events put into the object, such as into `metadata.name`."""
    patch_strategy: Literal[
        "",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ] = "application/merge-patch+json"
    """How a patch is meant; empty is a merge patch."""
    live_object: Flag = False
    """Whether parameters go into the object in the cluster, of which the source says only where it
    is; for `update`."""

    @property
    @override
    def makes_objects(self) -> bool:
        return self.operation in {"", "create"}

    @override
    def compile(self) -> Render:
        operation = self.operation or "create"
        live = self.live_object and operation == "update"
        if self.live_object and not live:
            raise ConfigError(f"reading k8s.liveObject: it is for update, not for {operation}")
        static: dict[str, Any] = {"operation": operation}
        if operation == "patch":
            static["patchStrategy"] = self.patch_strategy or "application/merge-patch+json"
        if live:
            static["liveObject"] = True
        place = compile_object(self.source, self.parameters, _check(operation), live=live)

        def render(events: Events) -> dict[str, Any]:
            return {**static, **place(events)}

        return render

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        from sensor.kubernetes.sender import open_kubernetes

        self.source.require()
        return open_kubernetes(env)


def _check(operation: str) -> Check:
    """Return what says why an object cannot be sent to an API server."""
    names = ("name", "generateName") if operation == "create" else ("name",)

    def check(made: Object) -> str:
        if not isinstance(made.get("apiVersion"), str) or not made["apiVersion"]:
            return "it has no apiVersion"
        if any(name_of(made, key) for key in names):
            return ""
        return f"it has no metadata.{' or '.join(names)}"

    return check
