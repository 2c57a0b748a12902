"""Health of kinds that projects around Kubernetes bring, by what their controllers say."""

from notifier.health.conditions import (
    UNSEEN,
    ByConditions,
    Object,
    Rule,
    behind,
    conditions_of,
    generation_of,
    is_false,
    is_true,
    status_of,
    told,
)
from notifier.health.gateway import gateway, route
from notifier.health.rollout import rollout
from notifier.health.status import (
    DEGRADED,
    HEALTHY,
    PROGRESSING,
    STATUSES,
    SUSPENDED,
    UNKNOWN,
    Health,
)

_COLOURS = {"green": HEALTHY, "yellow": PROGRESSING, "red": DEGRADED}
_MESHES = ("NONE", "UPDATING", "RECONCILING", "HEALTHY", "ERROR")
"""Words of Istio's installer, by the numbers that stand for them too."""
_OF_MESHES = {"NONE": UNKNOWN, "HEALTHY": HEALTHY, "ERROR": DEGRADED}
_READY_OF_CROSSPLANE = (
    *("Ready", "Healthy", "Offered", "Established", "ValidPipeline", "RevisionHealthy"),
)
_NO_STATUS_OF_CROSSPLANE = frozenset(
    {
        *("ClusterProviderConfig", "ClusterProviderConfigUsage", "Composition"),
        *("CompositionRevision", "ControllerConfig", "DeploymentRuntimeConfig"),
        *("EnvironmentConfig", "ImageConfig", "ProviderConfig", "ProviderConfigUsage"),
        "StoreConfig",
    }
)
_CONNECTOR = {
    "UpdateFailed": DEGRADED,
    "DependencyNotFound": DEGRADED,
    "DependencyNotReady": SUSPENDED,
}
_ANALYSES = {
    **dict.fromkeys(("Pending", "Running"), PROGRESSING),
    "Successful": HEALTHY,
    **dict.fromkeys(("Failed", "Error"), DEGRADED),
    "Inconclusive": UNKNOWN,
}


def application(obj: Object) -> Health:
    """Return the health that Argo CD has found for an Application."""
    found = status_of(obj).get("health") or {}
    if found.get("status") not in STATUSES:
        return Health(UNKNOWN, "Argo CD has not told its health yet")
    return Health(found["status"], found.get("message", ""))


def nothing(_obj: Object) -> Health | None:
    """Return no health, for kinds that have none."""
    return None


def analysis(obj: Object) -> Health:
    """Return the health of an AnalysisRun or an Experiment."""
    status = status_of(obj)
    phase = status.get("phase", "Pending")
    return Health(
        _ANALYSES.get(phase, UNKNOWN), status.get("message") or f"the analysis is {phase}"
    )


def cron_workflow(obj: Object) -> Health:
    """Return the health of a CronWorkflow: whether its runs can be made."""
    found = conditions_of(obj)
    for name in ("SpecError", "SubmissionError"):
        if is_true(found, name):
            return Health(DEGRADED, told(found[name]))
    return Health(HEALTHY, told(found["Completed"]) if is_true(found, "Completed") else "")


def crossplane(obj: Object) -> Health:
    """Return the health of anything of Crossplane and of its providers."""
    found = conditions_of(obj)
    if not found:
        idle = obj["kind"] in _NO_STATUS_OF_CROSSPLANE
        return Health(HEALTHY) if idle else Health(PROGRESSING, "it is not provided yet")
    for name in ("LastAsyncOperation", "Synced", "Installed", "Healthy", "RevisionHealthy"):
        if is_false(found, name):
            paused = found[name].get("reason") == "ReconcilePaused"
            return Health(SUSPENDED if paused else DEGRADED, told(found[name]))
    for name in _READY_OF_CROSSPLANE:
        if is_true(found, name):
            return Health(HEALTHY)
    last = next((found[name] for name in _READY_OF_CROSSPLANE if name in found), {})
    return Health(PROGRESSING, told(last, "it is not provided yet"))


def amazon(obj: Object) -> Health:
    """Return the health of anything of the AWS controllers (ACK)."""
    found = conditions_of(obj)
    if is_true(found, "ACK.Terminal"):
        return Health(DEGRADED, told(found["ACK.Terminal"]))
    for name in ("Ready", "ACK.ResourceSynced"):
        if name in found:
            done = is_true(found, name)
            return Health(HEALTHY) if done else Health(PROGRESSING, told(found[name]))
    waits = found.get("ACK.Recoverable", {})
    return Health(PROGRESSING, told(waits, "waits to become ready"))


def connector(obj: Object) -> Health:
    """Return the health of anything of Google's Config Connector."""
    status = status_of(obj)
    seen = status.get("observedGeneration")
    if seen and seen != generation_of(obj):
        return UNSEEN
    if isinstance(status.get("healthy"), bool):
        good = status["healthy"]
        return Health(HEALTHY) if good else Health(DEGRADED, "its controller calls it not healthy")
    for one in status.get("conditions") or ():
        if one.get("reason") == "UpToDate" and one.get("status") == "True":
            return Health(HEALTHY, told(one))
        if one.get("reason") in _CONNECTOR:
            return Health(_CONNECTOR[one["reason"]], told(one))
    return Health(PROGRESSING, "it is being updated")


def elastic(obj: Object) -> Health:
    """Return the health of Elasticsearch, Kibana, Beats and their kin: a colour, when complete."""
    status = status_of(obj)
    if not status:
        return Health(UNKNOWN, "it has no status yet")
    phase, colour = status.get("phase"), status.get("health")
    if phase == "Invalid":
        return Health(DEGRADED, "its spec is invalid")
    there = status.get("availableNodes")
    sets = (obj.get("spec") or {}).get("nodeSets") or ()
    wanted = status.get("expectedNodes") or sum(one.get("count", 1) for one in sets)
    if colour != "red" and there is not None and there < wanted:
        return Health(PROGRESSING, f"{there} of {wanted} nodes are available")
    if phase in {"ApplyingChanges", "MigratingData"}:
        return Health(PROGRESSING, f"its phase is {phase}")
    if colour is None:
        return Health(PROGRESSING, "its health is not known yet")
    return Health(_COLOURS.get(colour, UNKNOWN), f"its health is {colour}")


def chart_repository(obj: Object) -> Health:
    """Return the health of a HelmRepository of Flux; one of OCI is looked at by nobody."""
    if not obj.get("status") and (obj.get("spec") or {}).get("type") == "oci":
        return Health(HEALTHY)
    return _FLUX(obj)


def mesh(obj: Object) -> Health:
    """Return the health of an IstioOperator."""
    word = status_of(obj).get("status")
    if isinstance(word, int) and 0 <= word < len(_MESHES):
        word = _MESHES[word]
    if word is None:
        return Health(PROGRESSING, "waits for the control plane")
    return Health(_OF_MESHES.get(word, PROGRESSING), f"the control plane is {word}")


def mesh_settings(obj: Object) -> Health | None:
    """Return what Istio found wrong with one of its settings, where it writes a status."""
    if "status" not in obj:
        return None
    for one in status_of(obj).get("validationMessages") or ():
        if one.get("level") in {"ERROR", 3}:
            code = (one.get("type") or {}).get("code", "")
            return Health(DEGRADED, f"{code}: {one.get('documentationUrl', '')}".strip(": "))
    if behind(obj):
        return UNSEEN
    return Health(HEALTHY)


_READY = ByConditions()
_KNATIVE = ByConditions(needed=("ConfigurationsReady", "RoutesReady"))
_KAFKA = ByConditions(bad=("NotReady",), starting=frozenset({"Creating"}))
_FLUX = ByConditions(suspend="suspend", bad=("Stalled",))
_KEDA = ByConditions(bad=("Fallback",), needed=("Ready",), paused=("Paused",))
_APPLICATIONS = ByConditions(
    bad=("ErrorOccurred",),
    needed=("ResourcesUpToDate",),
    late=("RolloutProgressing",),
    ready=("ResourcesUpToDate",),
)

KINDS: dict[tuple[str, str], Rule] = {
    ("argoproj.io", "Rollout"): rollout,
    ("argoproj.io", "ApplicationSet"): _APPLICATIONS,
    ("argoproj.io", "CronWorkflow"): cron_workflow,
    ("argoproj.io", "AnalysisRun"): analysis,
    ("argoproj.io", "Experiment"): analysis,
    ("argoproj.io", "Application"): nothing,
    ("cert-manager.io", "Certificate"): ByConditions(busy=("Issuing",)),
    ("cert-manager.io", "Issuer"): _READY,
    ("cert-manager.io", "ClusterIssuer"): _READY,
    ("serving.knative.dev", "Service"): _KNATIVE,
    ("serving.knative.dev", "Configuration"): _READY,
    ("serving.knative.dev", "Revision"): _READY,
    ("serving.knative.dev", "Route"): _READY,
    ("external-secrets.io", "ExternalSecret"): _READY,
    ("external-secrets.io", "PushSecret"): _READY,
    ("external-secrets.io", "SecretStore"): _READY,
    ("external-secrets.io", "ClusterSecretStore"): _READY,
    ("keda.sh", "ScaledObject"): _KEDA,
    ("keda.sh", "ScaledJob"): _KEDA,
    ("install.istio.io", "IstioOperator"): mesh,
    ("source.toolkit.fluxcd.io", "HelmRepository"): chart_repository,
    ("gateway.networking.k8s.io", "Gateway"): gateway,
    **{
        ("gateway.networking.k8s.io", f"{protocol}Route"): route
        for protocol in ("GRPC", "HTTP", "TCP", "TLS", "UDP")
    },
}
"""Rules by group and kind, in any version."""
GROUPS: dict[str, Rule] = {
    ".crossplane.io": crossplane,
    ".upbound.io": crossplane,
    ".services.k8s.aws": amazon,
    ".cnrm.cloud.google.com": connector,
    ".toolkit.fluxcd.io": _FLUX,
    ".k8s.elastic.co": elastic,
    ".kafka.strimzi.io": _KAFKA,
    ".networking.istio.io": mesh_settings,
    ".security.istio.io": mesh_settings,
    ".telemetry.istio.io": mesh_settings,
}
"""Rules by what a group with a dot before it ends in, for all of its kinds."""
