"""Keeps the webhook's certificate: in a Secret that all replicas follow.

The leader makes it, replaces it in good time and tells the API server what to trust; of the
configuration it writes that one field, and again when somebody else has written it. A Secret that
somebody deleted is restored from memory, so that the API server notices nothing.
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from controller.reconciler import Manifest
from controller.workload.values import texts
from spine.errors import ConfigError, Fault, KubeError
from spine.kube import Kube, Page, follow
from spine.kube.discovery import Resource
from spine.kube.versions import older

if TYPE_CHECKING:
    from controller.admission.certificates import Terms

log = logging.getLogger(__name__)

SECRETS = Resource("", "v1", "Secret", "secrets", namespaced=True)
CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations", namespaced=False,
)  # fmt: skip
MANAGER = "tocsin-controller-admission"
"""Field manager of the one field."""
TICK = 1.0
"""Seconds between looks at what is to be done."""
CONFLICT = 409
AGAIN = 15.0
"""Seconds before what the API server refused is tried again."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What things are called."""

    namespace: str
    """Of Service and Secret: the controller's own."""
    service: str
    secret: str
    configuration: str

    @property
    def hosts(self) -> list[str]:
        """Return the names by which the API server calls the Service."""
        host = f"{self.service}.{self.namespace}.svc"
        return [host, f"{host}.cluster.local", "localhost"]


class Keeper:
    """The certificate that is to be served, in every replica."""

    def __init__(
        self, kube: Kube, names: Names, leading: Callable[[], bool], terms: "Terms | None" = None
    ) -> None:
        """Keep it; raises ConfigError where the library for certificates is not installed."""
        try:
            from controller.admission import certificates
        except ModuleNotFoundError as exc:
            raise ConfigError(
                f"making certificates: {exc}", hint="pip install tocsin[controller]"
            ) from exc
        self._certificates = certificates
        self._kube, self._names, self._leading = kube, names, leading
        self._terms = terms or certificates.Terms()
        self._secret: Manifest | None = None
        self._configuration: Manifest | None = None
        self._seen = {SECRETS.kind: False, CONFIGURATIONS.kind: False}
        self._data: Mapping[str, str] = {}
        self._trusted_since: tuple[str, float] = ("", 0.0)
        self._news = asyncio.Event()
        self.usable = asyncio.Event()
        """Set once there is a certificate."""
        self.refused = ""
        """What the API server does not let us do; empty where it does."""

    @property
    def problem(self) -> str:
        """Why the API server could not talk to us; empty when it can."""
        if not self._data:
            return self.refused or f"waits for the certificate in Secret {self._names.secret!r}"
        if self._configuration is not None and not _trusts(self._configuration, self._trust):
            return (
                f"{CONFIGURATIONS.kind} {self._names.configuration!r} does not trust the"
                f" certificate yet{f': {self.refused}' if self.refused else ''}"
            )
        return ""

    @property
    def _trust(self) -> str:
        return self._data[self._certificates.TRUST]

    def pair(self) -> tuple[str, str]:
        """Return certificate and key to be served now. Raises ConfigError before the first."""
        if not self._data:
            raise ConfigError("reading the certificate of the webhook: there is none yet")
        return self._data[self._certificates.CERTIFICATE], self._data[self._certificates.KEY]

    def ends(self) -> float:
        """Return when the certificate that is served ends, in unix seconds; 0 without one."""
        return self._certificates.ends(self._data).timestamp() if self._data else 0.0

    async def run(self) -> None:
        """Follow the Secret, and as leader take care of it, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._follow(SECRETS, self._names.secret, self._names.namespace),
                name="follow the certificate",
            )
            group.create_task(
                self._follow(CONFIGURATIONS, self._names.configuration),
                name="follow the webhook configuration",
            )
            group.create_task(self._tend(), name="tend the certificate")

    # ------------------------------------------------------------------------ following

    async def _follow(self, resource: Resource, name: str, namespace: str = "") -> None:
        while True:
            try:
                fields = f"metadata.name={name}"
                async for told in follow(self._kube, resource, namespace, fields=fields):
                    if isinstance(told, Page):
                        found = [_decode(one.raw) for one in told.items]
                        self._took(resource, found[0] if found else None)
                    elif told.type in {"ADDED", "MODIFIED"}:
                        self._took(resource, _decode(told.item.raw))
                    elif told.type == "DELETED":
                        self._took(resource, None)
            except Fault as exc:
                self.refused = str(exc)
                log.warning("following %s %s: %s", resource.kind, name, exc)
                await asyncio.sleep(AGAIN)

    def _took(self, resource: Resource, manifest: Manifest | None) -> None:
        """Take the state of the Secret or of the configuration, unless a later one is known."""
        known = self._secret if resource is SECRETS else self._configuration
        if manifest is not None and known is not None and _older(manifest, known):
            return
        self.refused = ""
        if resource is SECRETS:
            self._secret = manifest
            data = dict(texts(manifest)) if manifest is not None else {}
            if self._certificates.usable(data, self._names.hosts, datetime.now(UTC)):
                self._data = data
                self.usable.set()
        else:
            self._configuration = manifest
        self._seen[resource.kind] = True
        self._news.set()

    # ------------------------------------------------------------------------ leading

    async def _tend(self) -> None:
        while True:
            if self._leading() and all(self._seen.values()):
                try:
                    await self._step()
                    self.refused = ""
                except KubeError as exc:
                    self.refused = str(exc)
                    log.warning("keeping the certificate of the webhook: %s", exc)
                    await asyncio.sleep(TICK if exc.status == CONFLICT else AGAIN)
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._news.wait()

    async def _step(self) -> None:
        """Do what is to be done now."""
        now, hosts = datetime.now(UTC), self._names.hosts
        found = dict(texts(self._secret)) if self._secret is not None else {}
        usable = self._certificates.usable
        known = found if usable(found, hosts, now) or not self._data else dict(self._data)
        wanted = self._certificates.advanced(
            known, hosts, now, self._terms, trusted=self._trusted(known)
        )
        if wanted != found:
            await self._write(wanted)
        await self._tell(wanted[self._certificates.TRUST])

    def _trusted(self, data: Mapping[str, str]) -> bool:
        """Return whether the API server has trusted all authorities for long enough."""
        if self._configuration is None:  # it asks nobody
            return True
        trust = data.get(self._certificates.TRUST, "")
        if not _trusts(self._configuration, trust):
            self._trusted_since = "", 0.0
            return False
        if self._trusted_since[0] != trust:
            self._trusted_since = trust, time.monotonic()
        return time.monotonic() - self._trusted_since[1] >= self._terms.overlap

    async def _write(self, data: Mapping[str, str]) -> None:
        """Write the Secret, unless somebody else has since it was seen."""
        names, before = self._names, self._secret
        metadata: Manifest = {"name": names.secret, "namespace": names.namespace}
        if before is not None:
            metadata = {k: v for k, v in before["metadata"].items() if k != "managedFields"}
        labels = {"app.kubernetes.io/managed-by": "tocsin-controller"}
        body = _encode(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls" if before is None else before.get("type", "Opaque"),
                "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **labels}},
                "data": {key: base64.b64encode(v.encode()).decode() for key, v in data.items()},
            }
        )
        if before is None:
            made = await self._kube.create(SECRETS, body, names.namespace)
        else:
            made = await self._kube.update(SECRETS, names.secret, body, names.namespace)
        log.info("wrote the certificate of the webhook", extra={"secret": names.secret})
        self._took(SECRETS, _decode(made))

    async def _tell(self, trust: str) -> None:
        """Tell the API server what to trust, where it does not know."""
        there = self._configuration
        if there is None or _trusts(there, trust):
            return
        bundle = {"caBundle": base64.b64encode(trust.encode()).decode()}
        webhooks = [{"name": one["name"], "clientConfig": bundle} for one in there["webhooks"]]
        name = self._names.configuration
        body = {
            "apiVersion": CONFIGURATIONS.api_version,
            "kind": CONFIGURATIONS.kind,
            "metadata": {"name": name, "uid": there["metadata"]["uid"]},
            "webhooks": webhooks,
        }
        made = await self._kube.apply(CONFIGURATIONS, name, _encode(body), manager=MANAGER)
        log.info("told the API server what to trust", extra={"configuration": name})
        self._took(CONFIGURATIONS, _decode(made))


def _older(one: Manifest, other: Manifest) -> bool:
    """Return whether a state of an object is from before another."""
    first, second = one["metadata"], other["metadata"]
    same = first.get("uid") == second.get("uid")
    return same and older(first["resourceVersion"], second["resourceVersion"])


def _trusts(configuration: Manifest, trust: str) -> bool:
    """Return whether all webhooks of a configuration trust exactly that."""
    bundle = base64.b64encode(trust.encode()).decode()
    return all(
        one["clientConfig"].get("caBundle") == bundle for one in configuration.get("webhooks") or ()
    )
