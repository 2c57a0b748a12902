"""Follows all kinds of a Notifier, and hands what it sees to the handler.

A kind that the server does not have yet, or may not be listed, is looked for again; the others go
on. When the configuration changes, everything is listed and evaluated anew.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from delivery.subjects import token
from notifier.configurations import Configurations
from notifier.handling import Change, Handler
from notifier.keeping import Records, kind_token
from notifier.spec import NotifierSpec, Watch
from spine.errors import ConfigError, KubeError
from spine.kube import Kube, Page, follow
from spine.kube.watch import Item
from spine.runtime import RECONNECT
from spine.standing import Part

log = logging.getLogger(__name__)

_PATTERN = frozenset("*?[")


@dataclass(slots=True, eq=False)
class Watching:
    """The watches of one Notifier."""

    kube: Kube
    spec: NotifierSpec
    configurations: Configurations
    records: Records
    handler: Handler
    _missing: dict[str, dict[tuple[int, str], set[str]]] = field(init=False, default_factory=dict)
    """Kind -> watch and namespace -> what is remembered and was not in their latest list."""
    _waiting: dict[tuple[int, str], str] = field(init=False, default_factory=dict)
    """Watch and namespace whose first list is not told yet -> what it waits for."""

    @property
    def problem(self) -> str:
        """Why not all is watched yet; empty when it is."""
        return "; ".join(list(self._waiting.values()))

    @property
    def parts(self) -> list[Part]:
        """How each watch stands."""
        waiting = dict(self._waiting)
        found = []
        for number, watch in enumerate(self.spec.watches):
            why = "; ".join(text for (of, _), text in waiting.items() if of == number)
            reason = "Waiting" if why else "Watching"
            found.append(Part(str(watch), not why, reason, why))
        return found

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self.configurations.changed.clear()
            watching = [
                asyncio.create_task(self._watch(number, watch, space), name=f"watch {watch}")
                for number, watch in enumerate(self.spec.watches)
                for space in _spaces(watch)
            ]
            try:
                await self._until_changed(watching)
            finally:
                for task in watching:
                    task.cancel()
                await asyncio.gather(*watching, return_exceptions=True)
            await self.handler.idle()
            self.handler.stop_waiting()

    async def _until_changed(self, watching: list[asyncio.Task[None]]) -> None:
        changed = asyncio.create_task(self.configurations.changed.wait(), name="changes")
        try:
            await asyncio.wait({changed, *watching}, return_when=asyncio.FIRST_COMPLETED)
            for task in watching:
                if task.done():
                    task.result()
        finally:
            changed.cancel()

    async def _watch(self, number: int, watch: Watch, space: str) -> None:
        place, attempt = (number, space), 0
        self._waiting[place] = f"lists {watch}"
        while True:
            try:
                await self._follow(number, watch, space)
            except (ConfigError, KubeError) as exc:  # no such kind yet, or no right to it yet
                attempt += 1
                self._waiting[place] = str(exc)
                log.warning("watching %s", watch, extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))

    async def _follow(self, number: int, watch: Watch, space: str) -> None:
        kind = await self.kube.discovery.kind(watch.api_version, watch.kind)
        token_of_kind = kind_token(watch.api_version, watch.kind)
        missing: set[str] = set()
        async for one in follow(self.kube, kind, space, labels=watch.label_selector):
            if isinstance(one, Page):
                if one.first:
                    await self.records.refresh(token_of_kind)
                    missing = self._remembered(token_of_kind)
                for item in one.items:
                    if _chosen(watch, item):
                        await self._take(number, token_of_kind, "ADDED", item)
                    missing.difference_update(self._keys(token_of_kind, item))
                if one.last:
                    await self._listed((number, space), token_of_kind, missing)
                    missing = set()
            elif one.type != "BOOKMARK" and _chosen(watch, one.item):
                await self._take(number, token_of_kind, one.type, one.item)

    def _remembered(self, kind: str) -> set[str]:
        """Return the keys of all objects of a kind that something is known of."""
        prefixes = self.records.of(kind)
        return self.records.known(kind) | self.handler.waiting(prefixes)

    async def _listed(self, place: tuple[int, str], kind: str, missing: set[str]) -> None:
        """Forget what no watch of a kind has in its list; the first lists may be over."""
        self._waiting.pop(place, None)
        found = self._missing.setdefault(kind, {})
        found[place] = missing
        same = {
            (number, space)
            for number, watch in enumerate(self.spec.watches)
            for space in _spaces(watch)
            if kind_token(watch.api_version, watch.kind) == kind
        }
        if same <= found.keys():
            gone = set.intersection(*found.values())
            for key in gone:
                self.handler.forget(key)
            for some in found.values():
                some.difference_update(gone)
            await self.records.forget_all(gone)
        if not self._waiting:
            await self._all_listed()

    async def _all_listed(self) -> None:
        if self.configurations.adopting:
            await self.handler.idle()
            self.configurations.adopted()
            await self.records.adopted()

    def _keys(self, kind: str, item: Item) -> tuple[str, str]:
        """Return where an object may be remembered: for everybody, and for its namespace."""
        own = f"{kind}/{token(item.meta.namespace)}"
        return self.records.key(kind, item.meta.uid), self.records.key(own, item.meta.uid)

    async def _take(self, number: int, kind: str, type: Change, item: Item) -> None:
        """Hand an object to the handler, for each configuration that holds."""
        key, own_key = self._keys(kind, item)
        for missing in self._missing.get(kind, {}).values():
            missing.difference_update((key, own_key))
        await self.handler.take(self.configurations.main.plans[number], key, type, item)
        own = await self.configurations.own(item.meta.namespace)
        if own is not None:
            await self.handler.take(own.plans[number], own_key, type, item)


def _spaces(watch: Watch) -> list[str]:
    """Return the namespaces that are asked for; an empty text is all of them."""
    if not watch.namespaces or any(_PATTERN & set(name) for name in watch.namespaces):
        return [""]
    return list(dict.fromkeys(watch.namespaces))


def _chosen(watch: Watch, item: Item) -> bool:
    """Return whether an object's namespace is one of those that are watched."""
    names = watch.namespaces
    return not names or any(fnmatchcase(item.meta.namespace, name) for name in names)
