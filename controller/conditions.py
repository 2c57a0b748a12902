"""Conditions of a status: what is true of an object, since when, and why.

A condition keeps the time of its last transition while its status stays, so that a status that
says nothing new is the same status, and is not written.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

Status = Literal["True", "False", "Unknown"]

LONGEST = 4096
"""Characters of a message that are kept; the API takes no more than 32768."""


class Condition(NamedTuple):
    """What one condition says now."""

    status: Status
    reason: str
    """One word in CamelCase, such as the `code` of a Fault."""
    message: str = ""


def conditions(
    previous: Iterable[Mapping[str, Any]],
    generation: int,
    now: datetime,
    **stated: Condition,
) -> list[dict[str, Any]]:
    """Return `status.conditions`, sorted by type, from what is stated of each type.

    `previous` is what the object has. Types that are not stated are left out.
    """
    before = {str(one.get("type")): one for one in previous}
    made = []
    for kind, said in sorted(stated.items()):
        old = before.get(kind, {})
        same = old.get("status") == said.status and old.get("lastTransitionTime")
        made.append(
            {
                "type": kind,
                "status": said.status,
                "reason": said.reason,
                "message": said.message[:LONGEST],
                "observedGeneration": generation,
                "lastTransitionTime": old["lastTransitionTime"] if same else timestamp(now),
            }
        )
    return made


def changed(
    previous: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the conditions whose status or reason is another than before."""
    before = {one.get("type"): (one.get("status"), one.get("reason")) for one in previous}
    return [one for one in now if before.get(one["type"]) != (one["status"], one["reason"])]


def timestamp(now: datetime) -> str:
    """Return a time as the API writes it."""
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
