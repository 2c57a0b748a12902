"""Notifiers that nobody has to write: what a ConfigMap is about follows from its name or its words.

The ConfigMaps of Argo CD and Argo Rollouts have fixed names. Any other one tells by the variables
of its triggers and templates (`pod.status.phase` is about Pods), or by the objects whose
annotations name its triggers. Where neither says it, a Notifier has to be written.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from notifier.config import Configuration, load
from notifier.config.families import kind_of
from notifier.reads import OTHERS
from notifier.spec import PREFIX, SECRET, NotifierSpec, Watch
from notifier.subscriptions import subscriptions_of
from notifier.variables import ALWAYS, alias_of
from spine.errors import ConfigError

READY: Mapping[str, NotifierSpec] = {
    "argocd-notifications-cm": NotifierSpec(
        watches=[Watch(api_version="argoproj.io/v1alpha1", kind="Application", variable="app")],
        config_map="argocd-notifications-cm",
        secret="argocd-notifications-secret",  # noqa: S106 -- its name
        health_config_map="argocd-cm",
    ),
    "argo-rollouts-notification-configmap": NotifierSpec(
        watches=[Watch(api_version="argoproj.io/v1alpha1", kind="Rollout", variable="rollout")],
        config_map="argo-rollouts-notification-configmap",
        secret="argo-rollouts-notification-secret",  # noqa: S106 -- its name
    ),
}
"""Name of a ConfigMap -> its Notifier."""

_KINDS: Mapping[str, tuple[str, ...]] = {
    "v1": (
        *("Pod", "Service", "Node", "Namespace", "ServiceAccount", "ReplicationController"),
        *("PersistentVolume", "PersistentVolumeClaim", "ResourceQuota", "Event"),
    ),
    "apps/v1": ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"),
    "batch/v1": ("Job", "CronJob"),
    "networking.k8s.io/v1": ("Ingress",),
    "autoscaling/v2": ("HorizontalPodAutoscaler",),
    "cert-manager.io/v1": ("Certificate", "CertificateRequest", "Issuer", "ClusterIssuer"),
    "argoproj.io/v1alpha1": (
        *("Application", "ApplicationSet", "AppProject", "Rollout", "AnalysisRun"),
        *("Workflow", "CronWorkflow", "EventSource", "Sensor", "EventBus"),
    ),
}
_SHORT = {"pvc": "PersistentVolumeClaim", "pv": "PersistentVolume"} | {
    "hpa": "HorizontalPodAutoscaler",
    "certificate": "Certificate",
    "application": "Application",
}
_VERSIONS = {kind: version for version, kinds in _KINDS.items() for kind in kinds}
VARIABLES: Mapping[str, tuple[str, str]] = {
    name: (_VERSIONS[kind], kind) for kind in _VERSIONS for name in (alias_of(kind), kind.lower())
} | {name: (_VERSIONS[kind], kind) for name, kind in _SHORT.items()}
"""Name of a variable -> version and kind of the objects that it stands for."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """An object that subscribes to something."""

    api_version: str
    kind: str
    annotations: Mapping[str, str] = field(default_factory=dict)


def is_configuration(name: str, data: Mapping[str, str]) -> bool:
    """Return whether a ConfigMap holds notifications: triggers, and templates or services.

    Keys such as `template.html` by themselves stand in ConfigMaps of anybody.
    """
    families = {_family(key) for key in data}
    return name in READY or ("trigger" in families and bool(families & {"template", "service"}))


def _family(key: str) -> str:
    try:
        return kind_of(key).family
    except ConfigError:
        return ""


def implied(
    name: str,
    data: Mapping[str, str],
    annotated: Iterable[Annotated] = (),
    secrets: Collection[str] = (),
) -> NotifierSpec:
    """Return the Notifier that a ConfigMap stands for by itself.

    `annotated` are objects that bear annotations, `secrets` the names of Secrets beside it. Raises
    ConfigError with the Notifier to write where it cannot be told what is watched.
    """
    ready = READY.get(name)
    if ready is not None:
        return ready
    configuration = load(data, None, name=name, namespace="", variables=ALWAYS | VARIABLES.keys())
    watches = [_watch(variable) for variable in sorted(variables_used(configuration))]
    seen = {(one.api_version, one.kind) for one in watches}
    for one in annotated:
        if (one.api_version, one.kind) not in seen and _subscribes(configuration, one):
            seen.add((one.api_version, one.kind))
            watches.append(Watch(api_version=one.api_version, kind=one.kind))
    if not watches:
        raise ConfigError(
            f"ConfigMap {name!r} does not tell which kind of objects it is about",
            hint=f"add a Notifier:\n{written(name, secret_of(name, secrets))}",
        )
    return NotifierSpec(watches=watches, config_map=name, secret=secret_of(name, secrets))


def _watch(variable: str) -> Watch:
    version, kind = VARIABLES[variable]
    own = "" if variable == alias_of(kind) else variable
    return Watch(api_version=version, kind=kind, variable=own)


def variables_used(configuration: Configuration) -> frozenset[str]:
    """Return the variables of triggers and templates that stand for objects of known kinds."""
    parts = [one.reads for trigger in configuration.triggers.values() for one in trigger.conditions]
    parts += [template.reading for template in configuration.templates.values()]
    roots = frozenset[str]().union(*(part.roots or () for part in parts))
    return frozenset(roots - OTHERS - ALWAYS) & VARIABLES.keys()


def _subscribes(configuration: Configuration, one: Annotated) -> bool:
    """Return whether annotations name a trigger of a configuration."""
    own = replace(configuration, subscriptions=())
    return bool(subscriptions_of(own, one.annotations, {}, prefix=PREFIX).by_trigger)


def secret_of(name: str, secrets: Collection[str]) -> str:
    """Return the Secret that belongs to a ConfigMap: `x-secret` to `x-cm`, or the only one."""
    stem = name
    for ending in ("-configmap", "-config", "-cm"):
        stem = stem.removesuffix(ending)
    usual = f"{stem}-secret"
    if usual in secrets:
        return usual
    if SECRET in secrets:
        return SECRET
    return next(iter(secrets)) if len(secrets) == 1 else usual


def written(config_map: str, secret: str) -> str:
    """Return a Notifier to fill in, as YAML."""
    return f"""apiVersion: tocsin.dev/v1alpha1
kind: Notifier
metadata:
  name: {config_map.removesuffix("-cm")}
spec:
  watches:
  - apiVersion: apps/v1   # of what is watched
    kind: Deployment
  configMap: {config_map}
  secret: {secret}"""
