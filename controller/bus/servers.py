"""The StatefulSet of a bus, and its pod.

Servers fulfil the restricted pod security standard unless the object says otherwise, and keep to
different nodes where there are several. They are replaced one by one, each after the one before
has caught up, when what they read has changed.
"""

import hashlib
from collections.abc import Mapping

from controller.bus.install import VOLUME, Install
from controller.bus.material import CLUSTER_PAIR, ENCRYPTION, PAIR
from controller.bus.names import CLIENT, CLUSTER, METRICS, MONITOR, Names
from controller.bus.server_config import AUTH, CONFIG, DATA, FOLDER, LAME_DUCK, PID
from controller.cluster import contains
from controller.reconciler import Manifest
from controller.workload.limits import strict
from controller.workload.pods import CONTAINER_SECURITY, POD_SECURITY, given
from eventbus.spec import ContainerTemplate

READ = "tocsin.dev/read"
"""Annotation of pods with the hash of all that they read."""
USER = 1000
"""Who runs the server; its image says root."""
FILES = ("server-cert.pem", "server-key.pem", "ca-cert.pem")
"""Files of PAIR; those between servers begin with `cluster-`."""


def stateful_set(
    names: Names,
    wanted: Install,
    reads: Mapping[str, str],
    there: Manifest | None,
    *,
    adopted: bool,
    labels: Mapping[str, str],
) -> Manifest:
    """Return the StatefulSet.

    `reads` is all that servers read, by file; `there` is the StatefulSet that exists, whose
    selector and claims cannot be changed; `labels` are those of the EventBus object. Of a bus
    that is `adopted` servers go on as whoever its image says, as the files of the store are theirs.
    """
    selector = selector_of(there, names)
    metadata = wanted.pod.metadata
    chosen = (metadata.labels if metadata else None) or {}
    notes = (metadata.annotations if metadata else None) or {}
    template = {
        "metadata": {
            "labels": {**chosen, **names.labels, **selector},
            "annotations": {**notes, READ: _hash(reads, reloaded=wanted.reloader is not None)},
        },
        "spec": _pod(names, wanted, selector, claimed=bool(claims(names, wanted, there)),
                     adopted=adopted),
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": names.servers,
            "namespace": names.namespace,
            "labels": {**labels, **names.labels},
        },
        "spec": given(
            {
                "replicas": wanted.replicas,
                "serviceName": names.service,
                "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": selector},
                "template": template,
                "volumeClaimTemplates": claims(names, wanted, there),
            }
        ),
    }


def selector_of(there: Manifest | None, names: Names) -> dict[str, str]:
    """Return the labels by which the servers are known: those that they have already."""
    if there is None:
        return names.selector
    return dict(there["spec"]["selector"]["matchLabels"])


def claims(names: Names, wanted: Install, there: Manifest | None) -> list[Manifest]:
    """Return the claims: those that there are, as the API lets nobody change them."""
    made = _claims(names, wanted)
    if there is None:
        return made
    found = there["spec"].get("volumeClaimTemplates") or []
    return made if contains(found, made) else [_plain(one) for one in found]


def claims_differ(names: Names, wanted: Install, there: Manifest) -> bool:
    """Return whether the object asks for other claims than there are."""
    found = there["spec"].get("volumeClaimTemplates") or []
    return not contains(found, _claims(names, wanted))


def _plain(claim: Manifest) -> Manifest:
    metadata = {k: v for k, v in claim["metadata"].items() if k in {"name", "labels"}}
    return {"metadata": metadata, "spec": claim["spec"]}


def _claims(names: Names, wanted: Install) -> list[Manifest]:
    asked = wanted.persistence
    if asked is None:
        return []
    spec = {
        "accessModes": [asked.access_mode or "ReadWriteOnce"],
        "storageClassName": asked.storage_class_name,
        "resources": {"requests": {"storage": str(asked.volume_size or VOLUME)}},
    }
    return [{"metadata": {"name": names.volume}, "spec": given(spec)}]


def _hash(reads: Mapping[str, str], *, reloaded: bool) -> str:
    """Return the hash of what servers read only when they start."""
    found = hashlib.blake2b(digest_size=12)
    for file, text in sorted(reads.items()):
        if file == CONFIG or not reloaded:
            found.update(f"{file}\0{text}\0".encode())
    return found.hexdigest()


# ---------------------------------------------------------------------------- the pod


def _pod(
    names: Names, wanted: Install, selector: Mapping[str, str], *, claimed: bool, adopted: bool
) -> Manifest:
    pod = wanted.pod
    user = {} if adopted else {**POD_SECURITY, "runAsUser": USER, "runAsGroup": USER}
    containers = [_server(names, wanted)]
    if wanted.reloader is not None:
        containers.append(_reloader(wanted, wanted.reloader))
    if pod.metrics_container_template is not None:
        containers.append(_metrics(wanted, pod.metrics_container_template))
    volumes = [{"name": "config-volume", "projected": {"sources": _sources(names)}}]
    volumes.append({"name": "pid", "emptyDir": {}})
    if not claimed:
        volumes.append({"name": names.volume, "emptyDir": {}})
    made = {
        "serviceAccountName": pod.service_account_name,
        "automountServiceAccountToken": None if pod.service_account_name else False,
        "shareProcessNamespace": True if wanted.reloader is not None else None,
        "securityContext": strict({"fsGroup": USER, **user}, pod.security_context),
        "terminationGracePeriodSeconds": 2 * LAME_DUCK,
        "containers": containers,
        "volumes": volumes,
        "nodeSelector": pod.node_selector,
        "tolerations": pod.tolerations,
        "affinity": pod.affinity if pod.affinity is not None else _apart(wanted, selector),
        "imagePullSecrets": pod.image_pull_secrets,
        "priorityClassName": pod.priority_class_name,
        "priority": pod.priority,
    }
    return given(made)


def _apart(wanted: Install, selector: Mapping[str, str]) -> Manifest:
    """Keep servers on different nodes and in different zones, where there are enough."""
    if wanted.replicas == 1:
        return {}
    terms = [
        {
            "weight": weight,
            "podAffinityTerm": {
                "labelSelector": {"matchLabels": dict(selector)},
                "topologyKey": topology,
            },
        }
        for weight, topology in (
            (100, "kubernetes.io/hostname"),
            (50, "topology.kubernetes.io/zone"),
        )
    ]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}


def _sources(names: Names) -> list[Manifest]:
    keys = [*zip(PAIR, FILES, strict=True)]
    keys += [(key, f"cluster-{file}") for key, file in zip(CLUSTER_PAIR, FILES, strict=True)]
    items = [{"key": key, "path": path} for key, path in (("auth", AUTH), *keys)]
    config = [{"key": "nats-js", "path": CONFIG}]
    return [
        {"configMap": {"name": names.config, "items": config}},
        {"secret": {"name": names.secret, "items": items}},
    ]


def _server(names: Names, wanted: Install) -> Manifest:
    template = wanted.pod.container_template or ContainerTemplate()
    command = wanted.version.command
    service = f"{names.service}.$(POD_NAMESPACE).svc"
    env: list[Manifest] = [
        _field("POD_NAME", "metadata.name"),
        _field("SERVER_NAME", "metadata.name"),
        _field("POD_NAMESPACE", "metadata.namespace"),
        {"name": "CLUSTER_ADVERTISE", "value": f"$(POD_NAME).{service}"},
        {
            "name": "JS_KEY",
            "valueFrom": {"secretKeyRef": {"name": names.secret, "key": ENCRYPTION}},
        },
    ]
    made = {
        "name": "main",
        "image": wanted.version.image,
        "command": [command, "--config", f"{FOLDER}/{CONFIG}"],
        "args": list(wanted.start_args),
        "env": env,
        "ports": [
            _port("tcp-client", CLIENT),
            _port("cluster", CLUSTER),
            _port("monitor", MONITOR),
        ],
        "startupProbe": _probe("/healthz", periodSeconds=5, failureThreshold=120),
        "livenessProbe": _probe("/healthz?js-enabled-only=true", periodSeconds=30),
        "readinessProbe": _probe("/healthz?js-server-only=true", periodSeconds=5),
        "lifecycle": {"preStop": {"exec": {"command": [command, f"-sl=ldm={PID}"]}}},
        "volumeMounts": [_CONFIG_MOUNT, _PID_MOUNT, {"name": names.volume, "mountPath": DATA}],
    }
    return _container(made, template)


def _reloader(wanted: Install, template: ContainerTemplate) -> Manifest:
    made = {
        "name": "reloader",
        "image": wanted.version.reloader,
        "args": ["-pid", PID, "-config", f"{FOLDER}/{CONFIG}", "-config", f"{FOLDER}/{AUTH}"]
        + [part for file in FILES for part in ("-config", f"{FOLDER}/{file}")],
        "volumeMounts": [_CONFIG_MOUNT, _PID_MOUNT],
    }
    return _container(made, template)


def _metrics(wanted: Install, template: ContainerTemplate) -> Manifest:
    made = {
        "name": "metrics",
        "image": wanted.version.metrics,
        "args": ["-connz", "-routez", "-subz", "-varz", "-prefix=nats", "-use_internal_server_id",
                 "-jsz=all", f"http://localhost:{MONITOR}"],
        "ports": [_port("metrics", METRICS)],
    }  # fmt: skip
    return _container(made, template)


_CONFIG_MOUNT = {"name": "config-volume", "mountPath": FOLDER, "readOnly": True}
_PID_MOUNT = {"name": "pid", "mountPath": PID.rpartition("/")[0]}


def _container(made: Manifest, template: ContainerTemplate) -> Manifest:
    """Return a container with what the object says of it."""
    return given(
        {
            **made,
            "imagePullPolicy": template.image_pull_policy,
            "resources": template.resources,
            "securityContext": strict(CONTAINER_SECURITY, template.security_context),
        }
    )


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _probe(path: str, **pace: int) -> Manifest:
    return {"httpGet": {"path": path, "port": MONITOR}, "timeoutSeconds": 5, **pace}
