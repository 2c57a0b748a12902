"""What is known of the objects that `tocsin wait` waits for, and whether that is all it waits for.

Pure state: what a watch tells comes in, what has changed goes out, and the verdict can be asked at
any time. Objects count as they are now; only a deletion that was waited for stays reached.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from notifier.health import HealthRules
from spine.kube import Change, Page
from spine.kube.watch import Item
from tocsin.goals import Goal, Look, Seen

GONE = Look(False, "deleted")
ABSENT = Look(False, "not there yet")


class Told(NamedTuple):
    """A change that is worth a line."""

    label: str
    look: Look
    namespace: str


@dataclass(slots=True)
class Board:
    """The objects of one kind in one namespace that are waited for."""

    label: str
    """What the kind is called in what is printed."""
    names: frozenset[str]
    """Names of the objects; none: all that the watch gives, and at least one."""
    goal: Goal
    rules: HealthRules
    listed: bool = False
    """Whether all that there is has been told."""
    _looks: dict[str, Look] = field(default_factory=dict)
    _spaces: dict[str, str] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    """Objects that were seen and are no longer there."""
    _fresh: set[str] = field(default_factory=set)
    """Objects in the pages of a list that is under way."""

    def page(self, page: Page) -> Iterator[Told]:
        """Take a part of a list; yield what has changed."""
        if page.first:
            self._fresh = set()
        for item in page.items:
            self._fresh.add(item.meta.name)
            yield from self._take(item)
        if page.last:
            for name in set(self._looks) - self._fresh:
                yield from self._drop(name)
            if not self.listed and not self.goal.absent:
                for name in sorted(self.names - self._looks.keys()):
                    yield Told(f"{self.label}/{name}", ABSENT, "")
            self.listed = True

    def change(self, change: Change) -> Iterator[Told]:
        """Take a change; yield it if it is worth a line."""
        if change.type == "DELETED":
            yield from self._drop(change.item.meta.name)
        elif change.type != "BOOKMARK":
            yield from self._take(change.item)

    def _take(self, item: Item) -> Iterator[Told]:
        name = item.meta.name
        if self.names and name not in self.names:
            return
        obj = orjson.loads(item.raw)
        look = self.goal.look(Seen(obj, item.raw, self.rules.check(obj)))
        self._spaces[name] = item.meta.namespace
        before = self._looks.get(name)
        self._looks[name] = look
        if before is None or before[1:] != look[1:]:
            yield Told(f"{self.label}/{name}", look, item.meta.namespace)

    def _drop(self, name: str) -> Iterator[Told]:
        if self._looks.pop(name, None) is not None:
            self._gone.add(name)
            look = GONE._replace(reached=self.goal.absent)
            yield Told(f"{self.label}/{name}", look, self._spaces.pop(name, ""))

    # ------------------------------------------------------------------------ verdict

    @property
    def reached(self) -> bool:
        """Whether all that is waited for is so."""
        if not self.listed:
            return False
        if not self.names:
            there = all(look.reached for look in self._looks.values())
            return there and (bool(self._looks) != self.goal.absent)
        return all(self._reached(name) for name in self.names)

    def _reached(self, name: str) -> bool:
        if self.goal.absent and (name in self._gone or name not in self._looks):
            return True
        look = self._looks.get(name)
        return look is not None and look.reached

    @property
    def failed(self) -> list[Told]:
        """Objects for which there is no point in waiting on."""
        return [told for told in self.open() if told.look.failed]

    def open(self) -> list[Told]:
        """Return what has not been reached, as it is now."""
        names: Iterable[str] = self.names or self._looks
        left = [
            Told(f"{self.label}/{name}", self._now(name), self._spaces.get(name, ""))
            for name in sorted(names)
            if not self._reached(name)
        ]
        if not self.names and not self._looks and not self.goal.absent:
            left.append(Told(self.label, Look(False, "none is there yet"), ""))
        return left

    def _now(self, name: str) -> Look:
        found = self._looks.get(name)
        return found or (GONE if name in self._gone else ABSENT)
