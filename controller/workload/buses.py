"""The EventBus that an object uses, as its own status tells of it."""

from typing import Any, NamedTuple

from controller.cluster import Cluster
from controller.reconciler import Manifest
from eventbus.config import BusConfig
from spine.errors import ConfigError
from spine.manifest import ARGO
from spine.model import load


class BusState(NamedTuple):
    """What is known of a bus."""

    config: Manifest | None
    """How to reach it, of the shape of EVENTBUS_CONFIG; None where that is not known."""
    ready: bool
    reason: str
    message: str


def bus_state(cluster: Cluster, namespace: str, name: str) -> BusState:
    """Return what the status of an EventBus says."""
    found = cluster.get(ARGO, "EventBus", namespace, name)
    if found is None or found["metadata"].get("deletionTimestamp"):
        why = "is being deleted" if found else f"there is none in namespace {namespace!r}"
        return BusState(None, False, "EventBusNotFound", f"EventBus {name!r}: {why}")
    status = found.get("status") or {}
    config, why = _config(status.get("config")), _why_not(status.get("conditions") or ())
    if isinstance(config, ConfigError):
        return BusState(None, False, config.code, str(config))
    if config is None or why:
        said = f"EventBus {name!r} is not ready: {why or 'its status has no config yet'}"
        return BusState(config, False, "EventBusNotReady", said)
    return BusState(config, True, "BusReady", f"EventBus {name!r} is ready")


def _config(config: Any) -> Manifest | ConfigError | None:
    if not isinstance(config, dict) or not config:
        return None
    try:
        load(BusConfig, config, what="event bus", lenient=True).require_jetstream()
    except ConfigError as exc:
        return exc
    return config


def _why_not(conditions: Any) -> str:
    """Return why conditions are not those of a bus that is ready: ours, or Argo Events'."""
    found: dict[str, Any] = {str(one.get("type")): one for one in conditions}
    asked = [found["Ready"]] if "Ready" in found else list(found.values())
    if not asked:
        return "no controller has seen to it yet"
    for one in asked:
        if one.get("status") != "True":
            return str(one.get("message") or one.get("reason") or f"{one.get('type')} is not True")
    return ""
