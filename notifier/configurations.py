"""All configurations that a Notifier uses: its own, and those of namespaces that have one.

Each is read again now and then. One that cannot be read just now stays in use as it was.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from notifier.current import Current, compile_current
from notifier.metrics import NotifierMetrics
from notifier.reading import EVERY, Source, Texts
from notifier.repo import OFFLINE, Repo
from notifier.sending import Clients
from notifier.spec import NotifierSpec
from spine.errors import ConfigError, Fault, KubeError, TriggerError
from spine.runtime import RECONNECT, Env

log = logging.getLogger(__name__)

LEFT = 600.0
"""Seconds after which nobody uses the services of an earlier configuration any more."""

EnvOf = Callable[[str, str], Env]
"""Makes the surroundings of a service of a configuration: place, name."""


@dataclass(slots=True, eq=False)
class Configurations:
    """The configurations in use."""

    spec: NotifierSpec
    namespace: str
    source: Source
    env: EnvOf
    metrics: NotifierMetrics
    repo: Repo = OFFLINE
    adopting: bool = False
    """Whether conditions that hold at first sight count as told; until the first lists are over."""
    changed: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    """Set when objects have to be evaluated anew."""
    _main: Current | None = field(init=False, default=None)
    _own: dict[str, Current | None] = field(init=False, default_factory=dict)
    """Namespace -> its configuration; None: it has none."""
    _unread: set[str] = field(init=False, default_factory=set)
    """Namespaces whose configuration could not be read yet."""
    _left: list[tuple[float, Clients]] = field(init=False, default_factory=list)
    """Since when they are not used any more, by the loop's clock, and clients."""

    @property
    def main(self) -> Current:
        """Return the Notifier's own configuration."""
        assert self._main is not None, "it was not read yet"
        return self._main

    @property
    def notices(self) -> tuple[str, ...]:
        """What is to be said of the Notifier's own configuration; nothing before it is read."""
        return tuple(str(one) for one in self._main.notices) if self._main is not None else ()

    @property
    def lacking(self) -> str:
        """Why there is nothing by which anybody could be told; empty where there is something."""
        if self._main is None or self._main.texts.config:
            return ""
        return "; ".join(self._main.texts.missing) or "the configuration is empty"

    async def read(self) -> None:
        """Read the Notifier's configuration for the first time. Waits for the API server."""
        attempt = 0
        while self._main is None:
            try:
                self._take(await self.source.read(self.namespace))
            except KubeError as exc:
                if exc.permanent:
                    raise ConfigError(f"reading the configuration: {exc}") from exc
                attempt += 1
                log.warning("reading the configuration", extra={"error": str(exc)})
                await asyncio.sleep(RECONNECT.wait(attempt))

    async def keep(self, every: float = EVERY) -> None:
        """Read them again, until cancelled."""
        while True:
            await asyncio.sleep(every)
            if await self._read_again(""):
                self.changed.set()
            for namespace in list(self._own):
                if await self._read_again(namespace):
                    self.changed.set()
            await self._close_left()

    async def _read_again(self, place: str) -> bool:
        """Return whether a configuration is another one now; one that cannot be read is not."""
        try:
            if place:
                return await self._read_own(place)
            texts = await self.source.read(self.namespace)
        except Fault as exc:
            of = f" of namespace {place}" if place else ""
            log.warning("reading the configuration%s again", of, extra={"error": str(exc)})
            return False
        if texts.version == self.main.texts.version:
            return False
        self._take(texts)
        return True

    async def _close_left(self) -> None:
        """Close the services of configurations that nobody can be using any more."""
        now = asyncio.get_running_loop().time()
        while self._left and now - self._left[0][0] > LEFT:
            await self._left.pop(0)[1].close()

    def _leave(self, before: Current) -> None:
        self._left.append((asyncio.get_running_loop().time(), before.clients))

    def adopted(self) -> None:
        """Count no condition as told any more, only because it holds at first sight."""
        self.adopting = False
        for one in (self._main, *self._own.values()):
            for plan in one.plans.values() if one is not None else ():
                plan.adopting = False

    def _take(self, texts: Texts) -> None:
        before, self._main = self._main, self._compiled(texts, "")
        if before is not None:
            log.info("the configuration was changed")
            self._leave(before)
        for notice in self._main.notices:
            log.warning("%s", notice)
        configuration = self._main.configuration
        errors = sum(one.severity == "error" for one in configuration.problems)
        self.metrics.config_problems(errors, len(configuration.problems) - errors)

    def _compiled(self, texts: Texts, place: str) -> Current:
        return compile_current(
            self.spec,
            self.namespace,
            texts,
            lambda name: self.env(place, name),
            place=place,
            adopting=self.adopting,
            repo=self.repo,
        )

    # ------------------------------------------------------------------------ namespaces

    async def own(self, namespace: str) -> Current | None:
        """Return the configuration of a namespace where it may have one, and has."""
        if not self.spec.self_service or not namespace or namespace == self.namespace:
            return None
        if namespace not in self._own:
            try:
                await self._read_own(namespace)
            except Fault as exc:
                log.warning(
                    "reading the configuration of namespace %s",
                    namespace,
                    extra={"error": str(exc)},
                )
                self._own.setdefault(namespace, None)
                self._unread.add(namespace)
        return self._own[namespace]

    async def _read_own(self, namespace: str) -> bool:
        """Read a namespace's configuration; return whether it is another one than before."""
        texts = await self.source.read(namespace, own=True)
        self._unread.discard(namespace)
        before = self._own.get(namespace)
        version = before.texts.version if before is not None else ""
        if not texts.config:
            self._own[namespace] = None
            if before is not None:
                self._leave(before)
            return before is not None
        if texts.version == version:
            return False
        self._own[namespace] = current = self._compiled(texts, namespace)
        for notice in current.notices:
            log.warning("namespace %s: %s", namespace, notice)
        if before is not None:
            self._leave(before)
        return True

    # ------------------------------------------------------------------------ clients

    async def clients(self, place: str) -> Clients:
        """Return the services of a configuration.

        Raises ConfigError where it is gone, TriggerError where it cannot be read just now.
        """
        current = await self.own(place) if place else self.main
        if place in self._unread:
            raise TriggerError(f"telling by services of namespace {place!r}: it cannot be read")
        if current is None:
            raise ConfigError(f"telling by services of namespace {place!r}: it has none any more")
        return current.clients

    async def close(self) -> None:
        """Close all services."""
        every = [*(clients for _, clients in self._left)]
        every += [one.clients for one in self._own.values() if one is not None]
        if self._main is not None:
            every.append(self._main.clients)
        await asyncio.gather(*(clients.close() for clients in every))
