"""Sensors: what is refused, and what is read and written back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from vectors.families.text import as_json
from vectors.outcome import Outcome, Vector

from eventsource.spec import EventSourceSpec
from sensor.firing import context_json
from sensor.plan import compile_plan
from sensor.spec import Dependency, RetryBackoff, SensorSpec, SensorTrigger
from spine import event
from spine.errors import ConfigError
from spine.model import Model, load


def validate(given: Vector) -> Outcome:
    compile_plan("s", "ns", load(SensorSpec, given["spec"], lenient=True), only_known=True)
    return Outcome.of(True)


# ---------------------------------------------------------------------------- written back


def written(model: Model) -> Any:
    """Return what was written in a manifest, without what says nothing."""
    return said(model.model_dump(mode="json", by_alias=True, exclude_unset=True))


_VERBATIM = frozenset({"resource"})
"""Keys with content of the user's own."""


def said(value: Any) -> Any:
    """Leave out nulls, empty texts, false, zeros, and what is empty without them.

    Go writes some of these for absent fields and drops others, by field; they mean the same.
    """
    if not isinstance(value, dict):
        return [said(item) for item in value] if isinstance(value, list) else value
    out = {key: inner if key in _VERBATIM else said(inner) for key, inner in value.items()}
    return {key: inner for key, inner in out.items() if inner not in (None, "", False, 0, [], {})}


def _dependency(given: Vector) -> Outcome:
    return Outcome.of(written(load(Dependency, _object(given), lenient=True)))


def _trigger(given: Vector) -> Outcome:
    return Outcome.of(written(load(SensorTrigger, _object(given), lenient=True)))


def _sensor_spec(given: Vector) -> Outcome:
    spec = load(SensorSpec, _object(given), lenient=True)
    return Outcome.of(written(spec), derived={"effective_replicas": max(1, spec.replicas)})


def _event_source_spec(given: Vector) -> Outcome:
    spec = load(EventSourceSpec, _object(given), lenient=True)
    derived: dict[str, Any] = {"effective_replicas": max(1, spec.replicas)}
    if spec.webhook:
        derived["webhook_max_payload"] = {n: h.max_payload_size for n, h in spec.webhook.items()}
    return Outcome.of(written(spec), derived=derived)


# ---------------------------------------------------------------------------- derived


def _object(given: Vector) -> Any:
    return given["object"] if "object" in given else json.loads(given["object_text"])


def _backoff(given: Vector) -> Outcome:
    backoff = load(RetryBackoff, _object(given), lenient=True).runtime()
    return Outcome.of(
        {
            "duration_ns": round(backoff.duration * 1e9),
            "factor": backoff.factor,
            "jitter": backoff.jitter,
            "steps": backoff.steps,
        }
    )


def _event_context(given: Vector) -> Outcome:
    """Read attributes from a message of the bus, which has more of them than are needed here."""
    needed = {"specversion": "1.0", "id": "", "source": "s", "type": ""}
    attributes = {k: v for k, v in given["object"].items() if v is not None}
    read = event.decode(json.dumps(needed | attributes).encode())
    text = context_json(read)
    told = as_json(text)
    for name, value in needed.items():
        if value and name not in attributes:
            text = text.replace(f'"{name}":"{value}"', f'"{name}":""')
            told[name] = ""
    return Outcome.of(told, raw=text)


def _exclusion_dates(given: Vector) -> Outcome:
    from eventsource.sources.calendar import exclusions

    return Outcome.of(exclusions(given["object"]))


def _kind_plural(given: Vector) -> Outcome:
    from sensor.object_kind import resource_of

    resource = resource_of(given["object"]["apiVersion"], given["object"]["kind"])
    return Outcome.of(resource._asdict())


def _dns_label(given: Vector) -> Outcome:
    raise NotImplementedError("names of what the controller makes")


def _previous_cron_time(given: Vector) -> Outcome:
    from spine import cron

    by = given["object"]
    plan = cron.parse(by["cron"], cron.find_zone(by.get("timezone", "")))
    found = plan.previous(datetime.fromisoformat(given["time"]))
    if found is None:
        raise ConfigError(f"finding the last time of {by['cron']!r}: there is none")
    return Outcome.of(found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


_KINDS: dict[str, Callable[[Vector], Outcome]] = {
    "backoff": _backoff,
    "dependency": _dependency,
    "dns_label": _dns_label,
    "event_context": _event_context,
    "event_source_spec": _event_source_spec,
    "exclusion_dates": _exclusion_dates,
    "kind_plural": _kind_plural,
    "previous_cron_time": _previous_cron_time,
    "sensor_spec": _sensor_spec,
    "trigger": _trigger,
}


def normalise(given: Vector) -> Outcome:
    return _KINDS[given["kind"]](given)
