"""Who refers to what: finds the objects that a change of another one concerns."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from controller.reconciler import Key


@dataclass(slots=True, eq=False)
class Index:
    """References of objects, in both directions."""

    _to: dict[Key, frozenset[Key]] = field(default_factory=dict)
    _by: dict[Key, set[Key]] = field(default_factory=dict)

    def set(self, key: Key, targets: Iterable[Key]) -> None:
        """Note all that an object refers to, in place of what it referred to before."""
        before, now = self._to.get(key, frozenset()), frozenset(targets)
        for gone in before - now:
            holders = self._by[gone]
            holders.discard(key)
            if not holders:
                del self._by[gone]
        for new in now - before:
            self._by.setdefault(new, set()).add(key)
        if now:
            self._to[key] = now
        else:
            self._to.pop(key, None)

    def of(self, target: Key) -> list[Key]:
        """Return who refers to an object."""
        return sorted(self._by.get(target, ()))
