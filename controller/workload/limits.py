"""What a `template` may ask of its pods, and what only an administrator may allow.

Who may write a Sensor is not thereby one who may create pods, let alone pods that own their node.
So a template that leaves the restricted pod security standard, replaces the program, takes the
keys of a bus or borrows the controller's own account is refused, whatever the namespace enforces.
The controller's options `--allow-template` and `--template-account` say otherwise. Admission
refuses such an object before it is stored; the controller makes nothing for one that is.

The standard: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydantic.alias_generators import to_camel

from controller.objects import Checked
from controller.workload.references import references
from eventbus.spec import ContainerTemplate, PodSettings
from spine.pod import Core, PodContainer, PodTemplate

PRIVILEGES, VOLUMES, MOUNTS, ENV, KEYS = "privileges", "volumes", "mounts", "env", "keys"
WORDS = (PRIVILEGES, VOLUMES, MOUNTS, ENV, KEYS)
"""What can be allowed."""

_VOLUMES = frozenset(
    {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
     "projected", "secret"}
)  # fmt: skip
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
_PROFILES = re.compile(r"(container\.apparmor|(container\.)?seccomp)\.security\.(beta|alpha)\.")
"""Annotations that were security settings once, and are in old clusters."""

CODE = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr/bin", "/usr/sbin"),
    *("/usr/lib", "/usr/lib64", "/usr/local/bin", "/usr/local/lib", "/opt/tocsin", "/etc/tocsin"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload"),
    *("/etc/ssl/openssl.cnf", "/proc", "/sys", "/dev"),
)
"""Where the program and what it starts from are; nothing is mounted there, above or below."""

_LOADING = re.compile(r"LD_.*|PYTHON.*|OPENSSL_.*|GCONV_PATH|LOCPATH|GLIBC_TUNABLES|PATH")
"""Variables by which another library or module is loaded in place of ours."""
_BOUNDS = re.compile(r"TOCSIN_(EGRESS|PROGRAM).*")
"""Variables that bound what the process does."""
PINNED: Mapping[str, str] = {
    **dict.fromkeys(("LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"), ""),
    **dict.fromkeys(("GCONV_PATH", "OPENSSL_CONF"), ""),
    **dict.fromkeys(("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONWARNINGS"), ""),
    **dict.fromkeys(("TOCSIN_EGRESS", "TOCSIN_EGRESS_ADDRESSES"), ""),
    **dict.fromkeys(("TOCSIN_PROGRAM_SECONDS", "TOCSIN_PROGRAM_MEMORY"), ""),
    **dict.fromkeys(("TOCSIN_PROGRAM_OUTPUT", "TOCSIN_PROGRAM_WORKERS"), ""),
    "PYTHONNOUSERSITE": "1",
    "PYTHONSAFEPATH": "1",
}  # fmt: skip
"""What variables are where `envFrom` brings names that nobody here sees; empty is as if not set."""

_KEYS = re.compile(r"eventbus-.*-(server|root)")
"""Secrets of the servers of a bus: the controller's login, the keys of its authority."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the administrator allows."""

    words: frozenset[str] = frozenset()
    """Of WORDS."""
    accounts: tuple[str, ...] = ()
    """Patterns of service accounts, NAMESPACE/NAME or NAME; none: all."""
    own: str = ""
    """The controller's own account, NAMESPACE/NAME, which no template may name."""


def beyond(checked: Checked, allowed: Allowed, secrets: Iterable[str] = ()) -> list[str]:
    """Return why nothing is made for an object, whatever its kind; empty where nothing is wrong.

    `secrets` are those that its pods read beside what it refers to itself.
    """
    spec, namespace = checked.spec, checked.object.namespace
    if spec is None:
        return []
    if checked.object.kind == "EventBus":
        pod = spec.jetstream or (spec.nats.native if spec.nats is not None else None)
        return bus_refusals(pod, namespace, allowed) if pod is not None else []
    own = [one.name for one in references([spec]) if one.kind == "Secret"]
    return refusals(spec.template, namespace, allowed, [*secrets, *own])


def refusals(
    template: PodTemplate | None, namespace: str, allowed: Allowed, secrets: Iterable[str] = ()
) -> list[str]:
    """Return why the pods that a template asks for are not made; empty where they are.

    `secrets` are those that the rest of the object refers to.
    """
    template = template or PodTemplate()
    container = template.container or PodContainer()
    asked = _Asked(allowed)
    asked.account(template.service_account_name, namespace)
    asked.security(template.security_context, "template.securityContext")
    asked.security(container.security_context, "template.container.securityContext")
    asked.annotations(template.metadata.annotations if template.metadata is not None else {})
    asked.volumes(template.volumes)
    asked.mounts(container)
    asked.environment(container)
    asked.keys([*secrets, *_secrets_of(template.volumes), *_secrets_of_env(container)])
    return asked.found


def bus_refusals(pod: PodSettings, namespace: str, allowed: Allowed) -> list[str]:
    """Return why the servers that an EventBus asks for are not made; empty where they are."""
    asked = _Asked(allowed)
    asked.account(pod.service_account_name or "", namespace)
    asked.security(pod.security_context or {}, "securityContext")
    for name in ("container_template", "reloader_container_template", "metrics_container_template"):
        template: ContainerTemplate | None = getattr(pod, name, None)
        context = template.security_context if template is not None else None
        asked.security(context or {}, f"{to_camel(name)}.securityContext")
    asked.annotations((pod.metadata.annotations if pod.metadata is not None else None) or {})
    return asked.found


def takes_keys(secrets: Iterable[str]) -> str:
    """Return the Secret among these that is for the servers of a bus only; empty: none is."""
    return next((one for one in sorted(set(secrets)) if _KEYS.fullmatch(one)), "")


@dataclass(slots=True)
class _Asked:
    """Looks at a template, and keeps what is wrong with it."""

    allowed: Allowed
    found: list[str] = field(default_factory=list)

    def account(self, name: str, namespace: str) -> None:
        full = f"{namespace}/{name}"
        where = f"template.serviceAccountName: {name!r}"
        if full == self.allowed.own:
            self.found.append(f"{where} is the controller's own account (give it another one)")
        patterns = self.allowed.accounts
        if name and patterns and not any(
            fnmatchcase(full if "/" in one else name, one) for one in patterns
        ):  # fmt: skip
            self.found.append(
                f"{where} is not allowed (the controller's --template-account names those that are)"
            )

    def security(self, context: Core, where: str) -> None:
        for path, value in _loosened(context):
            self._refuse(PRIVILEGES, f"{where}.{path}: {value!r} leaves the restricted standard")

    def annotations(self, annotations: Mapping[str, str]) -> None:
        for name in annotations:
            if _PROFILES.match(name):
                self._refuse(PRIVILEGES, f"template.metadata.annotations: {name} sets a profile")

    def volumes(self, volumes: Iterable[Core]) -> None:
        for volume in volumes:
            for kind in sorted(volume.keys() - _VOLUMES - {"name"}):
                where = f"template.volumes: {volume.get('name', '')!r} is of kind {kind}"
                self._refuse(VOLUMES, f"{where}, which leaves the restricted standard")

    def mounts(self, container: PodContainer) -> None:
        for mount in container.volume_mounts:
            path = posixpath.normpath("/" + str(mount.get("mountPath", "")).lstrip("/"))
            if any(_overlap(path, one) for one in CODE):
                where = f"template.container.volumeMounts: {path}"
                self._refuse(MOUNTS, f"{where} would replace what the program is made of")

    def environment(self, container: PodContainer) -> None:
        for one in container.env:
            name = str(one.get("name", ""))
            for pattern, why in (
                (_LOADING, "chooses what is run"),
                (_BOUNDS, "bounds what is done"),
            ):
                if pattern.fullmatch(name):
                    self._refuse(ENV, f"template.container.env: {name} {why}")

    def keys(self, secrets: Iterable[str]) -> None:
        if name := takes_keys(secrets):
            self._refuse(KEYS, f"Secret {name!r} holds the keys of an EventBus's servers")

    def _refuse(self, word: str, why: str) -> None:
        if word not in self.allowed.words:
            self.found.append(f"{why} (an administrator may allow it: --allow-template {word})")


# ---------------------------------------------------------------------------- what is asked for


def strict(default: Core, context: Core | None) -> Core:
    """Return a security context: the default, with what a template says.

    What it sets to nothing stays as it is, and all capabilities that it does not add are dropped.
    """
    said = {key: value for key, value in (context or {}).items() if value is not None}
    made = {**default, **said}
    if "capabilities" in default:
        made["capabilities"] = {**_map(made["capabilities"]), **default["capabilities"]}
    if said.get("privileged"):
        made["allowPrivilegeEscalation"] = True  # the API server takes the two together only
    return made


def _loosened(context: Core) -> Iterator[tuple[str, Any]]:
    """Yield what of a security context is beyond the restricted standard."""
    for key in ("privileged", "allowPrivilegeEscalation"):
        if context.get(key):
            yield key, context[key]
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot", False
    if context.get("runAsUser") == 0:
        yield "runAsUser", 0
    if context.get("procMount") not in {None, "Default"}:
        yield "procMount", context["procMount"]
    yield from _capabilities(_map(context.get("capabilities")))
    yield from _profiles(context)
    for one in context.get("sysctls") or ():
        if _map(one).get("name") not in _SYSCTLS:
            yield "sysctls", _map(one).get("name")


def _capabilities(capabilities: Core) -> Iterator[tuple[str, Any]]:
    added = [one for one in capabilities.get("add") or () if one != "NET_BIND_SERVICE"]
    if added:
        yield "capabilities.add", added


def _profiles(context: Core) -> Iterator[tuple[str, Any]]:
    for key in ("seccompProfile", "appArmorProfile"):
        if _map(context.get(key)).get("type") == "Unconfined":
            yield f"{key}.type", "Unconfined"
    selinux = _map(context.get("seLinuxOptions"))
    if selinux.get("user") or selinux.get("role") or selinux.get("type", "") not in _SELINUX:
        yield "seLinuxOptions", selinux
    if _map(context.get("windowsOptions")).get("hostProcess"):
        yield "windowsOptions.hostProcess", True


def _map(value: Any) -> Core:
    """Return a value where it is a map; the API server refuses what is none."""
    return value if isinstance(value, dict) else {}


def _overlap(one: str, other: str) -> bool:
    """Return whether one path is the other, or above or below it."""
    return f"{one.rstrip('/')}/".startswith(f"{other}/") or other.startswith(f"{one.rstrip('/')}/")


def _secrets_of(volumes: Iterable[Core]) -> Iterator[str]:
    for volume in volumes:
        yield str(_map(volume.get("secret")).get("secretName", ""))
        yield str(_map(_map(volume.get("csi")).get("nodePublishSecretRef")).get("name", ""))
        for source in _map(volume.get("projected")).get("sources") or ():
            yield str(_map(_map(source).get("secret")).get("name", ""))


def _secrets_of_env(container: PodContainer) -> Iterator[str]:
    for one in container.env:
        yield str(_map(_map(one.get("valueFrom")).get("secretKeyRef")).get("name", ""))
    for one in container.env_from:
        yield str(_map(one.get("secretRef")).get("name", ""))
