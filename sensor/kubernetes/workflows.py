"""Submits Argo Workflows and works on those that exist, through the Kubernetes API alone.

What each operation changes in the objects is public behaviour of Argo Workflows: `submit` and
`submit-from` make a Workflow, `resubmit` makes one of the spec of another, `suspend`, `stop` and
`terminate` set a field of the spec, and `resume` also ends the nodes that wait. Only `retry` takes
the server's own API, as it deletes Pods and rewrites the tree of nodes: ARGO_SERVER names it.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.kubernetes.arguments import compile_arguments, copied
from sensor.kubernetes.awaiting import await_policy
from sensor.kubernetes.objects import Target, target_of
from sensor.kubernetes.sender import CONFLICTS, Done, KubernetesSender, refused
from sensor.kubernetes.sources import Sources
from spine.errors import ConfigError, KubeError, TriggerError
from spine.kube import Kube, Resource, open_kube
from spine.runtime import Env

GROUP = "argoproj.io/v1alpha1"
PREFIX = "workflows.argoproj.io/"
_OWN_LABELS = ("completed", "phase", "controller-instanceid-hash", "workflow-archiving-status")
"""Labels of the controller that a copy of a Workflow must not bear."""
_TEMPLATES = {
    "workflowtemplate": ("WorkflowTemplate", "workflow-template"),
    "clusterworkflowtemplate": ("ClusterWorkflowTemplate", "cluster-workflow-template"),
}


@asynccontextmanager
async def open_workflows(env: Env, operation: str) -> AsyncIterator[Sender]:
    """Yield what works on Workflows. Raises ConfigError where `retry` has no server."""
    if operation == "retry" and not os.environ.get("ARGO_SERVER"):
        raise ConfigError(
            "opening argoWorkflow: retry is for the server of Argo Workflows, and none is named",
            hint="set ARGO_SERVER=HOST:PORT and ARGO_TOKEN, or use resubmit",
        )
    kube: Kube = await env.shared.get("kube", open_kube)
    yield WorkflowSender(kube, env.namespace, Sources(env))


class WorkflowSender(Sender):
    """Does what an action of kind `argoWorkflow` holds."""

    def __init__(self, kube: Kube, namespace: str, sources: Sources) -> None:
        self._kube, self._namespace, self._sources = kube, namespace, sources
        self._objects = KubernetesSender(kube, namespace, sources)
        self._operations: dict[str, Callable[[Target, Action], Awaitable[Done]]] = {
            "submit": self._submit,
            "submit-from": self._submit_from,
            "resubmit": self._resubmit,
            "suspend": lambda target, _: self._change(target, _suspend, "suspended"),
            "resume": lambda target, _: self._change(target, _resume, "resumed"),
            "stop": lambda target, _: self._change(target, _shutdown("Stop"), "stopped"),
            "terminate": lambda target, _: self._change(
                target, _shutdown("Terminate"), "terminated"
            ),
            "retry": self._retry,
        }

    @property
    def most_active(self) -> int | None:
        """How many Workflows that it made may run at a time; None: any number."""
        return self._objects.most_active

    @most_active.setter
    def most_active(self, most: int | None) -> None:
        self._objects.most_active = most

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        operation = content["operation"]
        what = f"{operation} of a Workflow"
        try:
            target = await target_of(content, self._kube, self._namespace, self._sources)
            what = f"{operation} {target.shown}"
            word, live = await self._operations[operation](target, action)
            workflow = await self._place(target, live)
            await await_policy(self._kube, workflow, content, live)
        except KubeError as exc:
            raise refused(exc, what) from exc
        except ConfigError as exc:  # a CRD or a ConfigMap may yet come
            raise TriggerError(f"{what}: {exc}") from exc
        name = (live.get("metadata") or {}).get("name", target.name)
        return Outcome(f"{word} Workflow {workflow.namespace}/{name}", {"name": name})

    async def _place(self, target: Target, live: dict[str, Any]) -> Target:
        """Return where the Workflow is that came of an operation."""
        name = (live.get("metadata") or {}).get("name", target.name)
        space = target.namespace or self._namespace
        return Target(live, await self._workflows(), space, name)

    async def _workflows(self) -> Resource:
        return await self._kube.discovery.kind(GROUP, "Workflow")

    # ------------------------------------------------------------------------ that make one

    async def _submit(self, target: Target, action: Action) -> Done:
        return await self._make(target.made, target.namespace, action, "submitted")

    async def _submit_from(self, target: Target, action: Action) -> Done:
        kind = target.made["kind"].lower()
        made = await self._of_cron(target) if kind == "cronworkflow" else _of_template(kind, target)
        return await self._make(made, target.namespace or self._namespace, action, "submitted")

    async def _of_cron(self, target: Target) -> dict[str, Any]:
        resource = await self._kube.discovery.kind(GROUP, "CronWorkflow")
        raw = await self._kube.get(resource, target.name, target.namespace)
        spec = orjson.loads(raw)["spec"]
        more = spec.get("workflowMetadata") or {}
        labels = {**(more.get("labels") or {}), f"{PREFIX}cron-workflow": target.name}
        metadata = {"generateName": f"{target.name}-", "labels": labels}
        if more.get("annotations"):
            metadata["annotations"] = more["annotations"]
        return {"metadata": metadata, "spec": spec["workflowSpec"]}

    async def _resubmit(self, target: Target, action: Action) -> Done:
        old = await self._live(target)
        metadata = old["metadata"]
        labels = {
            key: value
            for key, value in (metadata.get("labels") or {}).items()
            if key not in {PREFIX + own for own in _OWN_LABELS}
        }
        labels[f"{PREFIX}resubmitted-from-workflow"] = target.name
        spec = {key: value for key, value in old["spec"].items() if key != "shutdown"}
        if spec.get("activeDeadlineSeconds") == 0:  # it was terminated by that
            del spec["activeDeadlineSeconds"]
        prefix = metadata.get("generateName") or f"{target.name}-"
        made = {"metadata": {"generateName": prefix, "labels": labels}, "spec": spec}
        return await self._make(made, target.namespace, action, "resubmitted")

    async def _make(self, made: dict[str, Any], namespace: str, action: Action, word: str) -> Done:
        workflow = copied({**made, "apiVersion": GROUP, "kind": "Workflow"})
        workflow.pop("status", None)
        content = action.content
        compile_arguments(content["operation"], content.get("args", ()))(workflow)
        name = workflow["metadata"].get("name") or ""
        target = Target(workflow, await self._workflows(), namespace, name)
        done, live = await self._objects.create(target, action)
        return word if done == "created" else done, live

    # ------------------------------------------------------------------------ that change one

    async def _change(
        self, target: Target, change: Callable[[dict[str, Any]], bool], word: str
    ) -> Done:
        """Change a Workflow; `change` returns whether there is anything to do."""
        resource = await self._workflows()
        for attempt in range(1, CONFLICTS + 1):
            live = await self._live(target)
            if not change(live):
                return f"found already {word}", live
            try:
                raw = await self._kube.update(
                    resource, target.name, orjson.dumps(live), target.namespace
                )
            except KubeError as exc:
                if exc.reason != "Conflict" or attempt == CONFLICTS:
                    raise
            else:
                return word, orjson.loads(raw)
        raise AssertionError("the last attempt raises")

    async def _live(self, target: Target) -> dict[str, Any]:
        raw = await self._kube.get(await self._workflows(), target.name, target.namespace)
        live: dict[str, Any] = orjson.loads(raw)
        return live

    async def _retry(self, target: Target, action: Action) -> Done:
        from sensor.kubernetes.argo_server import retry

        await retry(target.namespace, target.name, action.content.get("args", ()))
        return "retried", await self._live(target)


def _of_template(kind: str, target: Target) -> dict[str, Any]:
    _, label = _TEMPLATES[kind]
    reference: dict[str, Any] = {"name": target.name}
    if kind == "clusterworkflowtemplate":
        reference["clusterScope"] = True
    spec: dict[str, Any] = {"workflowTemplateRef": reference}
    given = target.made.get("spec") or {}
    if isinstance(given.get("arguments"), dict):  # parameters of the trigger stand there
        spec["arguments"] = given["arguments"]
    metadata = {"generateName": f"{target.name}-", "labels": {PREFIX + label: target.name}}
    return {"metadata": metadata, "spec": spec}


def _phase(live: dict[str, Any]) -> str:
    return str((live.get("status") or {}).get("phase") or "")


def _running(live: dict[str, Any]) -> None:
    if _phase(live) in {"Succeeded", "Failed", "Error"}:
        name = live["metadata"]["name"]
        raise TriggerError(
            f"changing Workflow {name}: it has ended: {_phase(live)}", permanent=True
        )


def _suspend(live: dict[str, Any]) -> bool:
    _running(live)
    if live["spec"].get("suspend") is True:
        return False
    live["spec"]["suspend"] = True
    return True


def _shutdown(how: str) -> Callable[[dict[str, Any]], bool]:
    def change(live: dict[str, Any]) -> bool:
        if live["spec"].get("shutdown") == how:
            return False
        _running(live)
        live["spec"]["shutdown"] = how
        return True

    return change


def _resume(live: dict[str, Any]) -> bool:
    """End what waits: the Workflow itself, and its nodes of type Suspend."""
    status = live.get("status") or {}
    if status.get("compressedNodes") or status.get("offloadNodeStatusVersion"):
        raise TriggerError(
            f"resuming Workflow {live['metadata']['name']}: its nodes are packed or kept elsewhere",
            hint="resume it through the server of Argo Workflows",
            permanent=True,
        )
    changed = live["spec"].pop("suspend", None) is not None
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for node in (status.get("nodes") or {}).values():
        if node.get("type") == "Suspend" and node.get("phase") == "Running":
            node |= {"phase": "Succeeded", "finishedAt": now}
            changed = True
    if not changed:
        _running(live)
    return changed
