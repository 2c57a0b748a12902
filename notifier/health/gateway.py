"""Health of the Gateway API: a Gateway and its listeners, routes and the parents that took them."""

from collections.abc import Iterable

from notifier.health.conditions import Object, by_type, generation_of, is_false, status_of, told
from notifier.health.status import DEGRADED, HEALTHY, PROGRESSING, Health

_NEEDED = ("ResolvedRefs", "Accepted")
_LAST = "Programmed"


def gateway(obj: Object) -> Health:
    """Return the health of a Gateway: its own conditions, then those of its listeners."""
    status = status_of(obj)
    listeners = status.get("listeners") or ()
    own = status.get("conditions")
    if not own and not listeners:
        return Health(PROGRESSING, "waits for its controller")
    wrong = _wrong(own, "")
    for one in listeners:
        wrong = wrong or _wrong(one.get("conditions"), f"listener {one.get('name', '')}: ")
    return wrong or Health(HEALTHY)


def route(obj: Object) -> Health:
    """Return the health of a route: what each parent says of it as it is now."""
    generation = generation_of(obj)
    looked = False
    for parent in status_of(obj).get("parents") or ():
        conditions = parent.get("conditions") or ()
        if not conditions or any(_old(one, generation) for one in conditions):
            continue
        looked = True
        name = (parent.get("parentRef") or {}).get("name", "")
        wrong = _wrong(conditions, f"parent {name}: ", needs="Accepted")
        if wrong is not None:
            return wrong
    return Health(HEALTHY) if looked else Health(PROGRESSING, "waits for a parent to take it")


def _old(condition: Object, generation: int) -> bool:
    seen: int = condition.get("observedGeneration") or generation
    return seen < generation


def _wrong(conditions: Iterable[Object] | None, where: str, *, needs: str = "") -> Health | None:
    """Return what conditions complain about; `needs` is one that must be there."""
    found = by_type(conditions)
    for name in _NEEDED:
        if is_false(found, name):
            return Health(DEGRADED, where + told(found[name], f"{name} is False"))
    last = found.get(_LAST)
    if last is not None and last.get("status") != "True":
        return Health(PROGRESSING, where + told(last, f"{_LAST} is {last.get('status')}"))
    if needs and needs not in found:
        return Health(PROGRESSING, f"{where}it has not said whether it takes the route")
    return None
