"""Sensors: what is refused, and what is read and written back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from vectors.families.text import as_json
from vectors.outcome import Outcome, Vector

from eventsource.sources.calendar import Calendar, _excluded
from eventsource.spec import EventSourceSpec
from sensor.firing import context_json
from sensor.plan import compile_plan
from sensor.spec import Dependency, RetryBackoff, SensorSpec, SensorTrigger
from spine import event
from spine.errors import ConfigError
from spine.model import Model, load


def validate(given: Vector) -> Outcome:
    compile_plan("s", "ns", load(SensorSpec, given["spec"], lenient=True), unbuilt_ok=True)
    return Outcome.of(True)


# ---------------------------------------------------------------------------- written back


def written(model: Model) -> Any:
    """Return what was written in a manifest."""
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _read_back(model: type[Model], given: Vector) -> Outcome:
    read = load(model, _object(given), lenient=True)
    return Outcome({"result": written(read)}, loose=True)


def _dependency(given: Vector) -> Outcome:
    return _read_back(Dependency, given)


def _trigger(given: Vector) -> Outcome:
    return _read_back(SensorTrigger, given)


def _sensor_spec(given: Vector) -> Outcome:
    spec = load(SensorSpec, _object(given), lenient=True)
    derived = {"effective_replicas": max(1, spec.replicas)}
    return Outcome({"result": written(spec), "derived": derived}, loose=True)


def _event_source_spec(given: Vector) -> Outcome:
    spec = load(EventSourceSpec, _object(given), lenient=True)
    derived: dict[str, Any] = {"effective_replicas": max(1, spec.replicas)}
    if spec.webhook:
        derived["webhook_max_payload"] = {n: h.max_payload_size for n, h in spec.webhook.items()}
    if spec.github:
        derived["github_repositories"] = {
            name: [
                {"owner": owner, "names": [repository for _, repository in of_owner]}
                for owner, of_owner in groupby(one.repository_names, key=lambda of: of[0])
            ]
            for name, one in spec.github.items()
        }
    if spec.gitlab:
        derived["gitlab"] = {
            name: {
                "creates_hooks": one.manages,
                "groups": one.groups,
                "projects": one.project_names,
            }
            for name, one in spec.gitlab.items()
        }
    return Outcome({"result": written(spec), "derived": derived}, loose=True)


# ---------------------------------------------------------------------------- derived


def _object(given: Vector) -> Any:
    return given["object"] if "object" in given else json.loads(given["object_text"])


def _backoff(given: Vector) -> Outcome:
    backoff = load(RetryBackoff, _object(given), lenient=True).runtime()
    nanoseconds = round(backoff.duration * 1e9)
    return Outcome.of(
        {
            "duration_ns": nanoseconds if nanoseconds < 2**53 else float(nanoseconds),
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
    ticks = {"schedule": "0 0 * * *", "exclusionDates": given["object"]}
    read = load(Calendar, ticks, lenient=True)
    days = sorted(_excluded(read.exclusion_dates))
    return Outcome.of([day.isoformat() for day in days])


def _kind_plural(given: Vector) -> Outcome:
    return Outcome.untold("the API server is asked for the resource of a kind")


def _dns_label(given: Vector) -> Outcome:
    return Outcome.untold("nothing of ours is named after a text of the user's")


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
