"""All that runs a bus: pure, from what is known to manifests.

Every secret comes in made, so the same input gives the same manifests.
"""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from controller.bus.access import accounts
from controller.bus.install import Install
from controller.bus.material import CLIENT, CONTROLLER, ENCRYPTION, SYSTEM, Material, Texts
from controller.bus.names import CLIENT as CLIENT_PORT
from controller.bus.names import CLUSTER, METRICS, MONITOR, Names
from controller.bus.server_config import AUTH, CONFIG, nats_conf
from controller.bus.servers import selector_of, stateful_set
from controller.reconciler import Manifest

QUORUM = 3
"""Servers of which one may be away."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the cluster has of a bus."""

    material: Material
    stateful_set: Manifest | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of the EventBus object."""


def desired(names: Names, wanted: Install, known: Known) -> list[Manifest]:
    """Return all objects, in the order in which they are written: what others read comes first."""
    found = known.material
    logins = (found.login(key) for key in (CLIENT, CONTROLLER, SYSTEM))
    auth = accounts(*logins, whole_account=found.adopted)
    config = nats_conf(names, wanted)
    selector = selector_of(known.stateful_set, names)
    made = [
        _secret(names, names.root, found.root),
        _secret(
            names, names.secret, {"auth": auth, ENCRYPTION: found.root[ENCRYPTION], **found.tls}
        ),
        _secret(names, names.access, {CLIENT: found.root[CLIENT], "ca-cert": found.tls["ca-cert"]}),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(names, names.config),
            "data": {"nats-js": config},
        },
        *_services(names, wanted, selector),
        stateful_set(
            names,
            wanted,
            {CONFIG: config, AUTH: auth, **found.tls},
            known.stateful_set,
            adopted=found.adopted,
            labels=known.labels,
        ),
    ]
    if wanted.replicas >= QUORUM:
        made.append(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": _metadata(names, names.servers),
                "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector}},
            }
        )
    return made


def config(names: Names, wanted: Install) -> Manifest:
    """Return how clients reach the bus, of the shape of EVENTBUS_CONFIG."""
    return {
        "jetstream": {
            "url": names.url,
            "accessSecret": {"name": names.access, "key": CLIENT},
            "tls": {"caCertSecret": {"name": names.access, "key": "ca-cert"}},
            "streamConfig": wanted.stream_config,
        }
    }


def _services(names: Names, wanted: Install, selector: Mapping[str, str]) -> Iterator[Manifest]:
    client = _port("tcp-client", CLIENT_PORT)
    ports = [client, _port("cluster", CLUSTER), _port("monitor", MONITOR)]
    if wanted.pod.metrics_container_template is not None:
        ports.append(_port("metrics", METRICS))
    headless = {"clusterIP": "None", "publishNotReadyAddresses": True, "ports": ports}
    for name, spec in ((names.service, headless), (names.client, {"ports": [client]})):
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(names, name),
            "spec": {**spec, "selector": dict(selector)},
        }


def _port(name: str, number: int) -> Manifest:
    return {"name": name, "port": number, "protocol": "TCP", "targetPort": number}


def _secret(names: Names, name: str, texts: Texts) -> Manifest:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(names, name),
        "type": "Opaque",
        "data": data,
    }


def _metadata(names: Names, name: str) -> Manifest:
    return {"name": name, "namespace": names.namespace, "labels": names.labels}
