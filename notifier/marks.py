"""Writes what was told to objects too, as Argo's engine does, for those who look at that.

Nothing depends on it: a patch that is refused is told once, and changes nothing else. Only this
one annotation is patched, so nobody's edits of others are lost.
"""

import json
import logging
from collections.abc import Callable

import msgspec

from notifier.current import Current
from notifier.keeping import Records
from notifier.plan import Plan
from notifier.sending import Sent
from notifier.state import ObjectState
from spine.errors import Fault
from spine.kube import Kube

log = logging.getLogger(__name__)

_SHOWN = frozenset({"sent", "imported", "adopted"})


class Marks:
    """Writes annotations of what was told."""

    def __init__(self, kube: Kube, records: Records, current: Callable[[], Current]) -> None:
        self._kube, self._records, self._current = kube, records, current
        self._refused: set[str] = set()

    async def write(self, sent: Sent) -> None:
        """Write to an object what was told of it."""
        if sent.target is None or sent.gone or sent.place:
            return
        plan = self._current().plans.get(sent.target.watch)
        if plan is None:
            return
        record = await self._records.again(sent.record)
        text = annotation(plan, record.state)
        body = {"metadata": {"annotations": {f"notified.{plan.prefix}": text}}}
        try:
            kind = await self._kube.discovery.kind(plan.watch.api_version, plan.watch.kind)
            data = msgspec.json.encode(body)
            await self._kube.patch(kind, sent.target.name, data, sent.target.namespace)
        except Fault as exc:
            why = exc.message
            if str(plan.watch) not in self._refused:
                self._refused.add(str(plan.watch))
                log.warning("writing annotations of %s: %s", plan.watch, why)


def annotation(plan: Plan, state: ObjectState) -> str | None:
    """Return what Argo's engine would have written; None where it would be nothing."""
    items: dict[str, int] = {}
    for name, trigger in plan.configuration.triggers.items():
        for condition in trigger.conditions:
            phase = state.phases.get(f"{name}/{condition.id}")
            for told in phase.told if phase is not None else ():
                assert phase is not None
                current = told.once or (phase.since and told.number == phase.number)
                if current and told.stage in _SHOWN:
                    place = told.service, told.recipient, told.once
                    items[plan.item(name, condition, place)] = int(told.at)
    if not items:
        return None
    text = json.dumps(items, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
