"""The pod of an EventSource, a Sensor or a Notifier.

It fulfils the restricted pod security standard unless its `template` says otherwise: nobody is
root, nothing is written but `/tmp`. What the template says wins, except what the process needs to
do its work at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from controller.workload.limits import PINNED, strict
from controller.workload.names import LABEL_LENGTH, Names, domain
from controller.workload.references import Reference
from spine.pod import PodContainer, PodTemplate
from spine.secrets import MOUNTED_CONFIG_MAPS, MOUNTED_SECRETS

Core = dict[str, Any]

FOLDER = "/etc/tocsin"
"""Where the object and its bus are mounted."""
PORT = 7777
"""Of `/metrics`, `/healthz` and `/readyz`."""
PATIENCE = 60
"""Seconds that a pod has to finish what is in flight; a process takes 20 at most."""

DRAIN = 5
"""Seconds for which a pod with a Service takes requests after it was told to stop: those who send
to it learn of its end a little later than the pod itself. It is done by the process, as the image
has no shell for a hook."""

POD_SECURITY: Core = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY: Core = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def pod(  # noqa: PLR0913 -- what a pod is made of
    names: Names,
    template: PodTemplate,
    *,
    image: Core,
    env: Mapping[str, str],
    refs: Sequence[Reference],
    ports: Sequence[Core] = (),
    account: str = "",
    token: bool = True,
    pinned: bool = True,
) -> Core:
    """Return the `spec` of the pods.

    `image` has image and imagePullPolicy; `account` is used where the template names none, and
    without a `token` the pods get no access to the API. `pinned` is whether variables that nobody
    here sees may not choose what is run.
    """
    container = template.container or PodContainer()
    volumes, mounts = _volumes(names, refs, template, container)
    made: Core = {
        "serviceAccountName": template.service_account_name or account,
        "automountServiceAccountToken": None if token else False,
        "securityContext": strict(POD_SECURITY, template.security_context),
        "terminationGracePeriodSeconds": PATIENCE,
        "containers": [_container(names, container, image, (env, pinned), ports, mounts)],
        "volumes": volumes,
        "nodeSelector": template.node_selector,
        "tolerations": template.tolerations,
        "affinity": template.affinity,
        "topologySpreadConstraints": template.topology_spread_constraints,
        "imagePullSecrets": template.image_pull_secrets,
        "priorityClassName": template.priority_class_name,
        "priority": template.priority,
    }
    return given(made)


def given(made: Core) -> Core:
    """Leave away what is empty: nothing is claimed of the object that need not be."""
    return {key: value for key, value in made.items() if value not in (None, "", [], {})}


def _container(
    names: Names,
    container: PodContainer,
    image: Core,
    env: tuple[Mapping[str, str], bool],
    ports: Sequence[Core],
    mounts: list[Core],
) -> Core:
    files = ["--file", f"{FOLDER}/object.json", "--bus-config", f"{FOLDER}/bus.json"]
    made = {
        "name": "main",
        "image": image["image"],
        "imagePullPolicy": container.image_pull_policy or image.get("imagePullPolicy", ""),
        "args": [names.word, *files, *(("--stop-delay", f"{DRAIN}") if ports else ())],
        "env": _environment(container, *env),
        "envFrom": container.env_from,
        "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}, *ports],
        "resources": container.resources,
        "securityContext": strict(CONTAINER_SECURITY, container.security_context),
        "volumeMounts": mounts,
        "startupProbe": _probe("/healthz", periodSeconds=1, failureThreshold=120),
        "livenessProbe": _probe("/healthz", periodSeconds=10, failureThreshold=6),
        "readinessProbe": _probe("/readyz", periodSeconds=2, failureThreshold=3),
    }
    return given(made)


def _probe(path: str, **pace: int) -> Core:
    return {"httpGet": {"path": path, "port": PORT}, "timeoutSeconds": 5, **pace}


def _environment(container: PodContainer, ours: Mapping[str, str], pinned: bool) -> list[Core]:
    """Return the variables: what the template sets, then ours that it does not set.

    Where `envFrom` brings others, those are pinned that would choose another program.
    """
    field = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    made = {str(one.get("name", "")): one for one in container.env}
    if container.env_from and pinned:
        ours = {**PINNED, **ours}
    for name, value in sorted(ours.items()):
        made.setdefault(name, {"name": name, "value": value})
    made["POD_NAME"] = {"name": "POD_NAME", **field}
    return list(made.values())


def _volumes(
    names: Names, refs: Sequence[Reference], template: PodTemplate, container: PodContainer
) -> tuple[list[Core], list[Core]]:
    """Return volumes and mounts: ours, and those of the template, which win."""
    volumes: list[Core] = [
        {"name": "tocsin", "secret": {"secretName": names.config}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[Core] = [
        {"name": "tocsin", "mountPath": FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- of the pod
    ]
    for ref in refs:
        secret = ref.kind == "Secret"
        name = domain(f"{'secret' if secret else 'cm'}-{ref.name}")[:LABEL_LENGTH]
        source: Core = {"secretName" if secret else "name": ref.name}
        if ref.optional:
            source["optional"] = True
        volumes.append({"name": name, "secret" if secret else "configMap": source})
        root = MOUNTED_SECRETS if secret else MOUNTED_CONFIG_MAPS
        mounts.append({"name": name, "mountPath": str(root / ref.name), "readOnly": True})
    taken = {str(one.get("mountPath", "")).rstrip("/") for one in container.volume_mounts}
    called = {one.get("name") for one in template.volumes}
    mounts = [m for m in mounts if m["mountPath"] not in taken and m["name"] not in called]
    used = {mount["name"] for mount in mounts}
    volumes = [volume for volume in volumes if volume["name"] in used]
    return [*volumes, *template.volumes], [*mounts, *container.volume_mounts]
