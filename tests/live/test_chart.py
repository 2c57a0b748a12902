"""The chart on a real API server: it takes every object, and no right is missing or too much."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
from http import HTTPStatus
from pathlib import Path

import pytest
from chart_cases import CASES, RENAMED
from controller_kit import CRDS, PATHS, Space
from helm_kit import CHART, Case, Objects, built, by_us, helm
from kube_cluster import AUDITED
from ports import free_port

PLURALS = {
    "NetworkPolicy": "networkpolicies",
    "ServiceAccount": "serviceaccounts",
}
CLUSTERWIDE = frozenset(
    {
        *("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace"),
        "ValidatingWebhookConfiguration",
    }
)


def path(made: dict, namespace: str) -> str:
    """Return where an object is at the API server."""
    group, _, version = made["apiVersion"].rpartition("/")
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    space = "" if made["kind"] in CLUSTERWIDE else f"/namespaces/{namespace}"
    plural = PLURALS.get(made["kind"], f"{made['kind'].lower()}s")
    return f"{root}{space}/{plural}/{made['metadata']['name']}"


def apply(cluster, made: dict, *, dry: bool) -> None:
    """Apply an object, with everything unknown in it refused; `dry` changes nothing."""
    namespace = made["metadata"].get("namespace", "")
    query = {"fieldManager": "chart", "force": "true", "fieldValidation": "Strict"}
    query |= {"dryRun": "All"} if dry else {}
    try:
        cluster.call(
            "PATCH", f"{path(made, namespace)}?{urllib.parse.urlencode(query)}", made,
            Content_Type="application/apply-patch+yaml",
        )  # fmt: skip
    except urllib.error.HTTPError as exc:
        pytest.fail(f"{made['kind']} {made['metadata']['name']}: {exc.read().decode()[:2000]}")


@pytest.fixture(scope="module")
def kinds(cluster):
    """The cluster, with the kinds of ours and of the Prometheus operator."""
    for file in (*CRDS, *sorted(Path(built("crds")).glob("*.yaml"))):
        cluster.apply(file)
    return cluster


@pytest.mark.parametrize("case", [*CASES, *RENAMED], ids=str)
def test_the_api_server_takes_every_object(case: Case, kinds):
    for name in (case.namespace, "shop", "billing"):
        kinds.namespace(name)

    for one in by_us(case).values():
        apply(kinds, one, dry=True)


# ---------------------------------------------------------------------------- rights

BUS = {
    "jetstream": {"version": "latest", "replicas": 3, "persistence": {"volumeSize": "1Gi"}},
}
HOOK = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "EventSource",
    "metadata": {"name": "hook", "finalizers": ["eventsource-controller"]},
    "spec": {
        "replicas": 2,
        "service": {"ports": [{"port": 12000, "targetPort": 12000}]},
        "webhook": {
            "orders": {
                "port": "12000",
                "endpoint": "/orders",
                "method": "POST",
                "authSecret": {"name": "login", "key": "token"},
            }
        },
    },
}
MADE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
SENSOR = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Sensor",
    "metadata": {"name": "tell", "finalizers": ["sensor-controller"]},
    "spec": {
        "dependencies": [{"name": "d", "eventSourceName": "hook", "eventName": "orders"}],
        "triggers": [
            {
                "template": {
                    "name": "t",
                    "k8s": {"operation": "create", "source": {"resource": MADE}},
                }
            },
            {
                "template": {
                    "name": "u",
                    "k8s": {
                        "operation": "create",
                        "source": {"configmap": {"name": "made", "key": "it"}},
                    },
                }
            },
        ],
    },
}
NOTIFIER = {
    "apiVersion": "tocsin.dev/v1alpha1",
    "kind": "Notifier",
    "metadata": {"name": "people"},
    "spec": {"watches": [{"apiVersion": "v1", "kind": "Pod"}]},
}
SPARE = {
    ("argoproj.io", "eventbus/finalizers", "update"),
    ("argoproj.io", "eventsources/finalizers", "update"),
    ("argoproj.io", "sensors/finalizers", "update"),
    ("tocsin.dev", "notifiers/finalizers", "update"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("rbac.authorization.k8s.io", "roles", "bind"),
}
"""Rights that are needed and that no request bears: an admission plugin, or RBAC itself, looks at
them when another request comes. The first plugin is not on in this cluster."""
RACED = {("apps", "deployments", "delete")}
"""Rights of what Kubernetes may have done already: it deletes what an object owned, too."""

Asked = set[tuple[str, str, str]]
"""Group, resource and verb."""


def granted(objects: Objects, *kinds: str) -> Asked:
    """Return the rights of all roles that are bound to the controller."""
    bound = {
        one["roleRef"]["name"]
        for one in objects.values()
        if one["kind"] in {f"{kind}Binding" for kind in kinds}
    }
    return {
        (group, resource, verb)
        for one in objects.values()
        if one["kind"] in kinds and one["metadata"]["name"] in bound
        for rule in one["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


class Audit:
    """What the controller has asked for since this was made."""

    def __init__(self, cluster, namespace: str, account: str) -> None:
        self.file, self.user = cluster.audit, f"system:serviceaccount:{namespace}:{account}"
        self.begin = self.file.stat().st_size if self.file.exists() else 0

    def lines(self) -> list[dict]:
        with self.file.open("rb") as file:
            file.seek(self.begin)
            whole = file.read().rpartition(b"\n")[0]
        found = [json.loads(line) for line in whole.splitlines()]
        return [one for one in found if one["user"]["username"] == self.user]

    def asked(self) -> Asked:
        """Return all that was asked for and allowed. To apply what is not there is to create."""
        return {
            (ref.get("apiGroup", ""), _resource(ref), verb)
            for one in self.lines()
            if (ref := one.get("objectRef")) and _code(one) != HTTPStatus.FORBIDDEN
            for verb in {one["verb"], *(["create"] if _code(one) == HTTPStatus.CREATED else [])}
        }

    def refused(self) -> list[str]:
        return [one["requestURI"] for one in self.lines() if _code(one) == HTTPStatus.FORBIDDEN]


def _code(line: dict) -> int:
    return line.get("responseStatus", {}).get("code", 0)


def _resource(ref: dict) -> str:
    return ref["resource"] + (f"/{ref['subresource']}" if "subresource" in ref else "")


class Controller:
    """`tocsin controller` with the arguments of its Deployment and the account of the chart."""

    def __init__(self, cluster, deployment: dict, folder) -> None:
        metadata, spec = deployment["metadata"], deployment["spec"]["template"]["spec"]
        config = cluster.token_for(spec["serviceAccountName"], metadata["namespace"])
        args = [*spec["containers"][0]["args"], "--kubeconfig", config, "--metrics-port=0"]
        self.log = folder / "controller.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", *args, "--host=127.0.0.1"],
                env={**os.environ, "POD_NAMESPACE": metadata["namespace"]}, stdout=log, stderr=log,
            )  # fmt: skip

    async def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait)


async def live_through_everything(space: Space) -> None:
    """Have objects of all kinds made, changed and deleted."""

    def there(found):
        return found is not None

    def gone(found):
        return found is None

    secret = {"metadata": {"name": "login"}, "stringData": {"token": "x"}}
    await asyncio.to_thread(space.cluster.call, "POST", PATHS["Secret"].format(space.name), secret)
    made = {"metadata": {"name": "made"}, "data": {"it": json.dumps(MADE)}}
    await asyncio.to_thread(space.cluster.call, "POST", PATHS["ConfigMap"].format(space.name), made)
    await space.bus()
    servers = {"apiVersion": "argoproj.io/v1alpha1", "kind": "EventBus", "spec": BUS}
    await space.apply({**servers, "metadata": {"name": "servers"}})
    for one in (HOOK, SENSOR, NOTIFIER):
        await space.apply(one)
        await space.condition(one["kind"], one["metadata"]["name"], "Deployed", "True")
    await space.condition("EventBus", "servers", "Deployed", "True")
    await space.until("PodDisruptionBudget", "hook-eventsource", there)
    await space.until("PodDisruptionBudget", "eventbus-servers-js", there)

    plain = {k: v for k, v in HOOK["spec"].items() if k not in {"service", "replicas"}}
    await space.apply({**HOOK, "spec": plain})
    await space.until("Service", "hook-eventsource-svc", gone)
    await space.until("PodDisruptionBudget", "hook-eventsource", gone)
    await space.until("ServiceAccount", "sensor-tell", there)
    own = {**SENSOR["spec"], "template": {"serviceAccountName": "mine"}}
    await space.apply({**SENSOR, "spec": own})
    for kind in ("Role", "RoleBinding", "ServiceAccount"):
        await space.until(kind, "sensor-tell", gone)
    await space.delete("Sensor", "tell")
    await space.until("Deployment", "tell-sensor", gone)
    await space.delete("EventBus", "servers")
    await space.until("EventBus", "servers", gone)


async def damage_certificate(space: Space, name: str) -> None:
    """Have the certificate of the webhook written again, as when it is about to run out."""
    await space.until("Secret", name, lambda found: found is not None)
    body = {"data": {"tls.crt": base64.b64encode(b"not one").decode()}}
    where = f"{PATHS['Secret'].format(space.name)}/{name}"
    merge = "application/merge-patch+json"
    await asyncio.to_thread(space.cluster.call, "PATCH", where, body, Content_Type=merge)


@pytest.mark.parametrize(
    ("namespace", "values"),
    [(AUDITED[0], {}), (AUDITED[1], {"namespaces": ["audited-users"]})],
    ids=["cluster", "namespaces"],
)
async def test_the_controller_has_the_rights_that_it_uses_and_no_others(
    namespace, values, kinds, tmp_path
):
    name = kinds.namespace(namespace)
    space = Space(kinds, kinds.namespace(values["namespaces"][0] if values else f"{name}-users-of"))
    set_ = {
        **values,
        "controller": {
            "makeServiceAccounts": True,
            "grace": "1h",
            "leaseDuration": "20s",
            "allowTemplate": ["env", "keys"],
            "templateAccounts": ["sensor-*", "mine"],
        },
        "egress": {"hosts": ["*.example.com", "127.0.0.1"]},
        "webhook": {"port": free_port(), "namespaceSelector": {"matchLabels": {"never": "so"}}},
    }
    objects = by_us(Case("audited", set_, release=name, namespace=name))
    for one in objects.values():
        if one["kind"] != "Deployment":
            apply(kinds, one, dry=False)
    audit = Audit(kinds, name, f"{name}-controller")
    controller = Controller(kinds, objects[f"Deployment/{name}-controller"], tmp_path)
    try:
        await live_through_everything(space)
        await damage_certificate(Space(kinds, name), f"{name}-webhook-tls")
        rights = granted(objects, "ClusterRole", "Role")
        until = time.monotonic() + 60
        while rights - SPARE - RACED - audit.asked() and time.monotonic() < until:
            await asyncio.sleep(0.1)
    finally:
        await controller.stop()
        for one in objects.values():
            if one["kind"] in CLUSTERWIDE:
                kinds.call("DELETE", path(one, ""))

    log = controller.log.read_text()
    assert controller.process.returncode == 0, log
    assert audit.refused() == [], log
    assert sorted(rights - SPARE - RACED - audit.asked()) == []
    assert not [line for line in log.splitlines() if "forbidden" in line]


# ---------------------------------------------------------------------------- helm


def test_helm_installs_upgrades_and_leaves_what_is_kept(kinds, tmp_path):
    namespace = kinds.namespace("chart-by-helm")
    where = ("-n", namespace, "--kubeconfig", kinds.kubeconfig)
    given = ("--set", "webhook.namespaceSelector.matchLabels.never=so", "--set", "image.tag=v1")

    def run(*words: str) -> None:
        done = helm(tmp_path, *words, *where)
        assert done.returncode == 0, done.stderr

    def get(kind: str, name: str) -> dict | None:
        groups = {"Deployment": "apps/v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1"}
        api = groups.get(kind, "admissionregistration.k8s.io/v1")
        made = {"apiVersion": api, "kind": kind, "metadata": {"name": name}}
        try:
            return kinds.call("GET", path(made, namespace))
        except urllib.error.HTTPError as exc:
            if exc.code == HTTPStatus.NOT_FOUND:
                return None
            raise

    run("install", "byhelm", str(CHART), "--take-ownership", *given)
    trusted = base64.b64encode((kinds.folder / "pki" / "apiserver.crt").read_bytes()).decode()
    hook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "byhelm-webhook"},
        "webhooks": [{"name": "validate.tocsin.dev", "clientConfig": {"caBundle": trusted}}],
    }
    kinds.call(
        "PATCH", f"{path(hook, '')}?fieldManager=tocsin-controller-admission", hook,
        Content_Type="application/apply-patch+yaml",
    )  # fmt: skip

    more = ("--set", "controller.replicas=3")
    run("upgrade", "byhelm", str(CHART), "--reset-then-reuse-values", *more)

    deployment = get("Deployment", "byhelm-controller")
    assert deployment["spec"]["replicas"] == 3
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "tocsin:v1"
    configured = get("ValidatingWebhookConfiguration", "byhelm-webhook")["webhooks"][0]
    assert configured["clientConfig"]["caBundle"] == trusted
    run("uninstall", "byhelm", "--wait")
    assert get("Deployment", "byhelm-controller") is None
    assert get("ValidatingWebhookConfiguration", "byhelm-webhook") is None
    assert get("CustomResourceDefinition", "sensors.argoproj.io") is not None
