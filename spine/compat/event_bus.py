"""Old shapes of EventBuses."""

from collections.abc import Iterator
from typing import Any

from spine.compat.row import Row

BUS = "EventBus"
_KEPT = """
metadata nodeSelector tolerations securityContext imagePullSecrets serviceAccountName
priorityClassName priority affinity persistence containerTemplate metricsContainerTemplate
maxPayload
""".split()  # noqa: SIM905 -- a list of words reads better as one
_LIMITS = ("maxAge", "maxMsgs", "maxBytes")
_QUORUM = 3


def rows() -> Iterator[Row]:
    """Yield them."""
    native = "spec.nats.native"
    yield Row(BUS, f"{native}.size", f"{native}.replicas", "v0.16", "write replicas")
    volume = f"{native}.persistence"
    yield Row(BUS, f"{volume}.size", f"{volume}.volumeSize", "v0.16", "write volumeSize")
    yield Row(BUS, f"{native}.antiAffinity", None, "v1.4", "write affinity")
    yield Row(
        BUS, native, "spec.jetstream", "2023, when NATS Streaming ended", _say_jetstream,
        convert=_jetstream,
    )  # fmt: skip
    yield Row(BUS, "spec.nats", None, "", when=lambda left: left == {})
    group = "spec.kafka.consumerGroup"
    yield Row(BUS, f"{group}.startOldest", f"{group}.oldest", "v1.9.0", "write oldest")


def _jetstream(native: Any) -> Any:
    """Return the JetStream cluster that does what a NATS Streaming server did."""
    if not isinstance(native, dict):
        native = {}
    out: dict[str, Any] = {"version": "latest"}
    replicas = native.get("replicas")
    if isinstance(replicas, int) and replicas > 0:
        out["replicas"] = replicas if replicas == 1 else max(replicas, _QUORUM)
    limits = [f"{key}: {native[key]}\n" for key in _LIMITS if native.get(key) is not None]
    if limits:
        out["streamConfig"] = "".join(limits)
    return out | {key: native[key] for key in _KEPT if native.get(key) is not None}


def _say_jetstream(native: Any, _: dict[str, Any]) -> str:
    kept = {*_KEPT, *_LIMITS, "replicas", "auth"}
    lost = [key for key in native if key not in kept] if isinstance(native, dict) else []
    more = f"; {', '.join(lost)} have no meaning there" if lost else ""
    return f"JetStream serves this bus: write jetstream with version: latest{more}"
