"""How `tocsin wait` waits: it follows what it waits for, and polls nothing."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from notifier.health import HealthRules
from notifier.health.customizations import PREFIX
from spine.errors import ConfigError
from spine.kube import Kube, Page, Resource, follow, open_kube
from spine.kube.naming import named
from spine.marked import Malformed, documents
from spine.runtime import cancelled_at_exit
from tocsin.board import Board, Told
from tocsin.goals import Goal

REACHED, DEGRADED, TIMED_OUT = 0, 3, 4

_TOGETHER = 8
"""Names of a kind above which all objects of it are followed, not each by itself."""
_LIST = 30.0
"""Seconds that the first look may take at least; the time to wait runs from it."""
_FILES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    objects: tuple[tuple[str, str], ...]
    """Kinds and names; an empty name with a selector."""
    selector: str
    goal: Goal
    wanted: str
    """The goal as it was written."""
    timeout: float
    """Seconds."""
    namespace: str
    kubeconfig: str
    context: str
    health: str
    """File, or name of a ConfigMap, with customizations of health; empty: none."""
    keep_waiting: bool
    json: bool


async def wait(wish: Wish) -> int:
    """Wait and print what happens; return the exit code. Raises ConfigError and KubeError."""
    waiting = Waiting(wish)
    async with open_kube(wish.kubeconfig, wish.context) as kube:
        follower = asyncio.create_task(waiting.run(kube), name="follow")
        async with cancelled_at_exit(follower):
            return await waiting.verdict(follower)


class Waiting:
    """One call of the command."""

    def __init__(self, wish: Wish, clock: Callable[[], float] = time.monotonic) -> None:
        self.wish = wish
        self._clock = clock
        self._start = clock()
        self._boards: list[Board] = []
        self._changed = asyncio.Event()

    async def verdict(self, follower: "asyncio.Task[None]") -> int:
        """Return the exit code as soon as it is certain; the time runs from the first look."""
        looked = False
        try:
            async with asyncio.timeout(max(self.wish.timeout, _LIST)) as limit:
                while True:
                    code = self._code()
                    if code is not None:
                        return code
                    if not looked and self._listed:
                        looked = True
                        limit.reschedule(asyncio.get_running_loop().time() + self.wish.timeout)
                    await self._change(follower)
        except TimeoutError:
            return self._timed_out()

    @property
    def _listed(self) -> bool:
        """Whether there was a look at all that is waited for."""
        return bool(self._boards) and all(board.listed for board in self._boards)

    async def _change(self, follower: "asyncio.Task[None]") -> None:
        """Wait until something has changed; raise what the follower ended with."""
        self._changed.clear()
        changed = asyncio.create_task(self._changed.wait())
        async with cancelled_at_exit(changed):
            await asyncio.wait({follower, changed}, return_when=asyncio.FIRST_COMPLETED)
        if follower.done():
            follower.result()

    def _code(self) -> int | None:
        boards = self._boards
        if self._listed and all(board.reached for board in boards):
            return self._end("reached", REACHED)
        if not self.wish.keep_waiting:
            failed = [told for board in boards for told in board.failed]
            if failed:
                return self._end("degraded", DEGRADED, failed)
        if not self.wish.timeout and self._listed:
            return self._timed_out()
        return None

    def _timed_out(self) -> int:
        left = [told for board in self._boards for told in board.open()]
        return self._end("timed out", TIMED_OUT, left)

    # ------------------------------------------------------------------------ following

    async def run(self, kube: Kube) -> None:
        """Follow everything that is waited for, until cancelled."""
        rules = await _rules(kube, self.wish)
        watches = await self._watches(kube, rules)
        self._boards = [board for board, _ in watches]
        try:
            async with asyncio.TaskGroup() as group:
                for board, query in watches:
                    group.create_task(self._follow(kube, board, query))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _watches(
        self, kube: Kube, rules: HealthRules
    ) -> list[tuple[Board, tuple[Resource, dict[str, str]]]]:
        """Return what is followed: boards with kind and selectors."""
        names: dict[Resource, set[str]] = {}
        for kind, name in self.wish.objects:
            resource = await named(kube.discovery, kind)
            if not {"list", "watch"} <= resource.verbs:
                raise ConfigError(f"waiting for {kind}: objects of this kind cannot be watched")
            names.setdefault(resource, set()).add(name)
        found: list[tuple[Board, tuple[Resource, dict[str, str]]]] = []
        for resource, several in names.items():
            for some, query in _parts(several, self.wish.selector):
                label = resource.kind.lower()
                board = Board(label, frozenset(some), self.wish.goal, rules)
                found.append((board, (resource, query)))
        return found

    async def _follow(
        self, kube: Kube, board: Board, query: tuple[Resource, dict[str, str]]
    ) -> None:
        resource, selectors = query
        space = (self.wish.namespace or kube.namespace) if resource.namespaced else ""
        async for one in follow(kube, resource, space, **selectors):
            for told in board.page(one) if isinstance(one, Page) else board.change(one):
                self._say(told)
            self._changed.set()

    # ------------------------------------------------------------------------ printing

    def _say(self, told: Told) -> None:
        if self.wish.json:
            click.echo(json.dumps(_line(told), ensure_ascii=False))
            return
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        click.echo(f"{now} {_text(told)}")

    def _end(self, result: str, code: int, told: Sequence[Told] = ()) -> int:
        spent = self._clock() - self._start
        if self.wish.json:
            line = {
                "time": _now(),
                "result": result,
                "for": self.wish.wanted,
                "seconds": round(spent, 3),
                "left": [_line(one) for one in told],
            }
            click.echo(json.dumps(line, ensure_ascii=False))
            return code
        click.echo(f"{result}: {self.wish.wanted} after {spent:.1f} s", err=code != REACHED)
        for one in told:
            click.echo(f"  {_text(one)}", err=True)
        return code


def _parts(names: set[str], selector: str) -> Iterator[tuple[set[str], dict[str, str]]]:
    """Yield names and the selectors with which they are followed."""
    if selector:
        yield set(), {"labels": selector}
    elif len(names) > _TOGETHER:
        yield names, {}
    else:
        for name in sorted(names):
            yield {name}, {"fields": f"metadata.name={name}"}


def _text(told: Told) -> str:
    """Return a line without what could end it or move the cursor."""
    message = f": {told.look.message}" if told.look.message else ""
    line = " ".join(f"{told.label} {told.look.state}{message}".split())
    return "".join(letter for letter in line if letter.isprintable())


def _line(told: Told) -> dict[str, Any]:
    kind, _, name = told.label.partition("/")
    return {
        "time": _now(),
        "kind": kind,
        "namespace": told.namespace,
        "name": name,
        "state": told.look.state,
        "message": told.look.message,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ---------------------------------------------------------------------------- rules of health


async def _rules(kube: Kube, wish: Wish) -> HealthRules:
    if not wish.health:
        return HealthRules()
    of_file = _is_file(wish.health)
    data = _of_file(Path(wish.health)) if of_file else await _of_cluster(kube, wish)
    rules = HealthRules.of_config(data, generic=True)
    for problem in rules.problems:
        click.echo(f"{wish.health}: {problem.severity}: {problem}", err=True)
    if of_file and any(problem.severity == "error" for problem in rules.problems):
        raise ConfigError(f"reading --health-config {wish.health}: see above")
    return rules


def _is_file(text: str) -> bool:
    return Path(text).exists() or text.endswith(_FILES)


def _of_file(file: Path) -> Mapping[str, str]:
    """Return the data of the ConfigMap in a file that customizes health."""
    try:
        found = [one.value for one in documents(file.read_text(encoding="utf-8"))]
    except OSError as exc:
        raise ConfigError(f"reading --health-config {file}: {exc.strerror}") from exc
    except (Malformed, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading --health-config {file}: {exc}") from exc
    for value in found:
        data = value.get("data") if isinstance(value, dict) else None
        if isinstance(data, dict) and any(key.startswith(PREFIX) for key in data):
            return {key: str(text) for key, text in data.items()}
    raise ConfigError(
        f"reading --health-config {file}: no ConfigMap in it has a key {PREFIX}",
        hint=f"data: {{{PREFIX}.health.GROUP_Kind: SCRIPT}}",
    )


async def _of_cluster(kube: Kube, wish: Wish) -> Mapping[str, str]:
    space, _, name = wish.health.rpartition("/")
    maps = await named(kube.discovery, "configmaps")
    raw = await kube.get(maps, name, space or wish.namespace or kube.namespace)
    data: Mapping[str, str] = orjson.loads(raw).get("data") or {}
    return data
