"""The events, triggers or watches of an object in its status: which of them work, and why not.

What the pods say counts. Where they cannot be asked, the readiness of all of them says that every
part works, as no process is ready before; and while they are not ready, nothing is known of a
single part: then `ready` is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from controller.conditions import timestamp
from controller.objects import Checked
from controller.reconciler import Manifest
from controller.workload.reports import Report
from spine.standing import FAILING, STARTING

WORDS = {"EventSource": ("event", "events"), "Sensor": ("trigger", "triggers")}
_WATCH = ("watch", "watches")
SHOWN = 5
"""Parts that a message names."""
PODS_READY, NO_PODS, PODS_NOT_READY, UNKNOWN = "PodsReady", "NoPods", "PodsNotReady", "Unknown"


def words(kind: str) -> tuple[str, str]:
    """Return what one part of a kind is called, and several."""
    return WORDS.get(kind, _WATCH)


def parts(checked: Checked) -> Iterator[tuple[str, str]]:
    """Yield name and type of every event, trigger or watch."""
    spec, kind = checked.spec, checked.object.kind
    if kind == "EventSource":
        for name, source in spec.sources().items():
            yield name, source.type
    elif kind == "Sensor":
        for trigger in spec.triggers:
            yield trigger.template.name, trigger.template.trigger.kind
    else:
        for watch in spec.watches:
            yield str(watch), watch.kind


def told(  # noqa: PLR0913 -- all that is known of them
    checked: Checked,
    report: Report | None,
    *,
    up: bool,
    there: bool,
    before: Manifest,
    numbers: Mapping[str, Mapping[str, int]],
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the parts as the status has them.

    `up` says that all pods are ready, `there` that some are wanted; `before` is the status so far,
    `numbers` has what is counted of them, by what it is and by name.
    """
    if checked.spec is None:
        return []
    plural = words(checked.object.kind)[1]
    old = {str(one.get("name")): one for one in before.get(plural) or () if isinstance(one, dict)}
    found = []
    for name, kind in parts(checked):
        was = old.get(name, {})
        state = _state(name, report, was, up=up, there=there)
        same = (was.get("ready"), was.get("reason")) == (state.get("ready"), state["reason"])
        since = was.get("since") if same else None
        made = {"name": name, "type": kind, **state, "since": since or timestamp(now)}
        made |= {what: of[name] for what, of in numbers.items() if of.get(name)}
        found.append(made)
    return found


def _state(
    name: str, report: Report | None, was: Mapping[str, Any], *, up: bool, there: bool
) -> dict[str, Any]:
    part = report.parts.get(name) if report is not None else None
    if not there:
        return {"ready": False, "reason": NO_PODS}
    if part is not None:
        made: dict[str, Any] = {"ready": part.ready, "reason": part.reason}
        if part.message:
            made["message"] = part.message
        if part.fired:
            made["lastFired"] = timestamp(datetime.fromtimestamp(part.fired, UTC))
        return made
    general = {None, NO_PODS, PODS_NOT_READY}
    if report is None and was.get("reason") not in general:  # this controller has not asked yet
        return {k: was[k] for k in ("ready", "reason", "message", "lastFired") if k in was}
    if up:
        return {"ready": True, "reason": PODS_READY}
    if report is not None and report.unknown:
        return {"reason": UNKNOWN, "message": report.unknown}
    return {"ready": False, "reason": PODS_NOT_READY}


# ---------------------------------------------------------------------------- in words


def lacking(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the parts that are known not to work, by what the pods say."""
    general = {NO_PODS, PODS_NOT_READY}
    return [one for one in found if one.get("ready") is False and one["reason"] not in general]


def starting(found: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether these parts have just not been up yet."""
    return all(one["reason"] == STARTING for one in found)


def said(found: Sequence[Mapping[str, Any]]) -> str:
    """Return what parts say, in words."""
    shown = [f"{one['name']}: {one.get('message') or one['reason']}" for one in found[:SHOWN]]
    rest = len(found) - SHOWN
    return "; ".join(shown) + (f"; and {rest} more" if rest > 0 else "")


def failing(found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the triggers that are bound, and whose last attempt failed."""
    return [one for one in found if one["reason"] == FAILING]
