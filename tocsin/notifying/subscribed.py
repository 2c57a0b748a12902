"""Who is told of an object, and which annotation or setting says so.

The notifier's own resolver is asked for each annotation and each global subscription by itself.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from notifier.config import Configuration, Destination
from notifier.plan import Plan
from notifier.subscriptions import subscriptions_of
from spine.kube.watch import Meta


class Origin(NamedTuple):
    """One subscription."""

    trigger: str
    destination: Destination
    by: str
    """What says so."""
    default: bool = False
    """Whether it names no trigger, so that `defaultTriggers` counts."""
    muted: bool = False
    """Whether the object does not want it."""


def origins(plan: Plan, meta: Meta) -> list[Origin]:
    """Return the subscriptions of an object, those that are muted too."""
    annotations = meta.annotations or {}
    return [
        *_by_annotations(plan, annotations),
        *_by_everyone(plan, annotations, meta.labels or {}),
    ]


def _by_annotations(plan: Plan, annotations: Mapping[str, str]) -> Iterator[Origin]:
    own = replace(plan.configuration, subscriptions=())
    without = replace(own, default_triggers=(), default_triggers_of={})
    for key, text in annotations.items():
        named = _places(without, {key: text}, {}, plan.prefix)
        for trigger, place in _places(own, {key: text}, {}, plan.prefix):
            default = (trigger, place) not in named
            yield Origin(trigger, place, f"annotation {key}", default)


def _by_everyone(
    plan: Plan, annotations: Mapping[str, str], labels: Mapping[str, str]
) -> Iterator[Origin]:
    mute = f"{plan.prefix}/mute"
    muting = {mute: annotations[mute]} if mute in annotations else {}
    for one in plan.configuration.subscriptions:
        alone = replace(plan.configuration, subscriptions=(one,))
        told = _places(alone, muting, labels, plan.prefix)
        where = f" where {one.selector}" if one.selector else ""
        for trigger, place in _places(alone, {}, labels, plan.prefix):
            muted = (trigger, place) not in told
            yield Origin(trigger, place, f"global subscription{where}", muted=muted)


def _places(
    configuration: Configuration,
    annotations: Mapping[str, str],
    labels: Mapping[str, str],
    prefix: str,
) -> list[tuple[str, Destination]]:
    found = subscriptions_of(configuration, annotations, labels, prefix=prefix)
    return [(trigger, one) for trigger, places in found.by_trigger.items() for one in places]
