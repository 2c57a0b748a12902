"""Argo Workflows: submits a workflow, or does something to one that exists.

The workflow is made here, in full where it stands in the Sensor, and worked on by
`sensor.kubernetes`, through the Kubernetes API.
"""

from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Literal

from typing_extensions import override

from delivery.action import Sender
from sensor.artifact import ArtifactLocation
from sensor.manifest import Check, Object, compile_object, name_of
from sensor.parameters import Parameter
from sensor.trigger import Events, Render, Trigger
from spine.runtime import Env

TEMPLATES = ("workflowtemplate", "clusterworkflowtemplate", "cronworkflow")
"""Kinds that a workflow can be submitted from, in lower case."""


class ArgoWorkflow(Trigger):
    """Does something to an Argo Workflow."""

    kind: ClassVar[str] = "argoWorkflow"

    source: ArtifactLocation
    """Where the workflow is written down; all but `submit` look at its name only."""
    operation: Literal[
        "",
        "submit",
        "submit-from",
        "suspend",
        "retry",
        "resume",
        "resubmit",
        "terminate",
        "stop",
    ] = "submit"
    """What is done; empty is `submit`."""
    parameters: list[Parameter] = []
    """Values from events put into the workflow, such as into `spec.arguments`."""
    args: list[str] = []
    """Further arguments, as the `argo` command takes them."""

    @property
    @override
    def makes_objects(self) -> bool:
        return self.operation in {"", "submit", "submit-from", "resubmit"}

    @override
    def compile(self) -> Render:
        operation = self.operation or "submit"
        static: dict[str, Any] = {"operation": operation}
        if self.args:
            self._check_arguments(operation)
            static["args"] = list(self.args)
        place = compile_object(self.source, self.parameters, _check(operation))

        def render(events: Events) -> dict[str, Any]:
            return {**static, **place(events)}

        return render

    def _check_arguments(self, operation: str) -> None:
        from sensor.kubernetes.argo_server import retry_request
        from sensor.kubernetes.arguments import compile_arguments

        if operation == "retry":
            retry_request(self.args)
        else:
            compile_arguments(operation, self.args)

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        from sensor.kubernetes.workflows import open_workflows

        self.source.require()
        return open_workflows(env, self.operation or "submit")


def _check(operation: str) -> Check:
    """Return what says why an operation cannot be done with an object."""
    names = ("name", "generateName") if operation == "submit" else ("name",)

    def check(made: Object) -> str:
        if operation == "submit-from" and made["kind"].lower() not in TEMPLATES:
            return "submit-from takes a WorkflowTemplate or a CronWorkflow"
        if any(name_of(made, key) for key in names):
            return ""
        return f"it has no metadata.{' or '.join(names)}"

    return check
