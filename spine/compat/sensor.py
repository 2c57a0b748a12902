"""Old shapes of Sensors: their events and conditions."""

from collections.abc import Iterator
from typing import Any

from spine.compat import pod, trigger
from spine.compat.row import SENSOR, Row, dropped

MIDNIGHT = "00:00:00"
LABELS = (
    r"sensors\.argoproj\.io/sensor-controller-instanceid",
    "argo-events-sensor-version",
)


def _gateway_pair(value: Any) -> bool:
    new = {"eventSourceName", "eventName", "gatewayName"}
    return isinstance(value, dict) and ":" in str(value.get("name", "")) and not new & value.keys()


def _split_pair(value: dict[str, Any]) -> dict[str, Any]:
    source, _, event = value["name"].partition(":")
    return {**value, "eventSourceName": source, "eventName": event}


def _joined(names: Any, operator: str, groups: dict[str, str]) -> str:
    found = [str(n) for n in names] if isinstance(names, list) else []
    return operator.join(groups.get(name, name) for name in found)


def _groups(raw: dict[str, Any]) -> dict[str, str]:
    """Return each dependency group as a condition."""
    out = {}
    given = raw.get("spec", {}).get("dependencyGroups")
    for group in given if isinstance(given, list) else []:
        if isinstance(group, dict) and isinstance(group.get("dependencies"), list):
            members = [str(d) for d in group["dependencies"]]
            text = " && ".join(members)
            out[str(group.get("name"))] = f"({text})" if len(members) > 1 else text
    return out


def _say_circuit(value: Any, raw: dict[str, Any]) -> str:
    circuit = raw.get("spec", {}).get("circuit")
    text = str(circuit or value if not isinstance(value, list) else circuit or "")
    for name, members in _groups(raw).items():
        text = text.replace(name, members)
    example = f"{text!r}" if text else "a && b"
    return f"write conditions in the template of each trigger, such as conditions: {example}"


def _say_switch(value: Any, raw: dict[str, Any]) -> str:
    groups = _groups(raw)
    any_, all_ = (value.get("any"), value.get("all")) if isinstance(value, dict) else ([], [])
    text = _joined(any_, " || ", groups) or _joined(all_, " && ", groups) or "a || b"
    return f"write conditions: {text!r} in its place"


def _only_one_bound(dependency: Any) -> bool:
    time = _time(dependency)
    return len(time.keys() & {"start", "stop"}) == 1


def _time(dependency: Any) -> dict[str, Any]:
    filters = dependency.get("filters") if isinstance(dependency, dict) else None
    time = filters.get("time") if isinstance(filters, dict) else None
    return time if isinstance(time, dict) else {}


def _both_bounds(dependency: dict[str, Any]) -> dict[str, Any]:
    """Without a start it began at midnight, and without a stop it ended there."""
    time = {"start": MIDNIGHT, "stop": MIDNIGHT, **_time(dependency)}
    return {**dependency, "filters": {**dependency["filters"], "time": time}}


def rows() -> Iterator[Row]:
    """Yield them, with those of triggers."""
    yield from pod.rows(SENSOR)
    say = "events come over the EventBus: leave it out"
    yield from dropped(SENSOR, "spec", "v0.16", say, "eventProtocol", "subscription")
    say = "nothing connects to a Sensor: leave it out"
    yield from dropped(SENSOR, "spec", "v0.16", say, "serviceLabels", "serviceAnnotations")
    say = "leave it out: every Sensor of the cluster is served"
    yield from dropped(SENSOR, "metadata.labels", "v0.13", say, *LABELS)
    for name in ("circuit", "dependencyGroups"):
        yield Row(SENSOR, f"spec.{name}", None, "v1.4", _say_circuit, refuse=True)
    yield from _dependencies("spec.dependencies.*")
    switches = (
        Row(SENSOR, f"{trigger.TEMPLATE}.{name}", None, "v1.4", _say_switch, refuse=True)
        for name in ("switch", "when")
    )
    yield from trigger.of_dlq_triggers_too(switches)
    yield from trigger.rows()


def _dependencies(dependency: str) -> Iterator[Row]:
    yield Row(
        SENSOR, dependency, dependency, "v0.11", "write eventSourceName and eventName",
        when=_gateway_pair, convert=_split_pair, key="name",
    )  # fmt: skip
    yield Row(
        SENSOR, dependency, None, "v0.17",
        "Gateways are gone: write eventSourceName, the EventSource that sends the event",
        when=lambda d: isinstance(d, dict) and "gatewayName" in d and "eventSourceName" not in d,
        refuse=True, key="gatewayName",
    )  # fmt: skip
    yield Row(SENSOR, f"{dependency}.gatewayName", None, "v0.17", "leave it out")
    yield Row(SENSOR, f"{dependency}.connected", None, "v0.11", "leave it out")
    yield Row(SENSOR, f"{dependency}.filters.name", None, "v1.0", "leave it out")
    yield Row(
        SENSOR, dependency, dependency, "v0.16",
        f"write both start and stop; midnight is {MIDNIGHT}",
        when=_only_one_bound, convert=_both_bounds, key="filters.time",
    )  # fmt: skip
    for old, new in (
        ("contentType", "datacontenttype"),
        ("dataContentType", "datacontenttype"),
        ("eventID", "id"),
        ("eventType", "type"),
        ("cloudEventsVersion", "specversion"),
    ):
        at = f"{dependency}.filters.context"
        yield Row(SENSOR, f"{at}.{old}", f"{at}.{new}", "v0.16", f"write {new}")
