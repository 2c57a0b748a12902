"""Watching a folder of this machine: by the file system's notices, or by looking again and again.

Notices wake us and say which names to look at; what happened is told by the marks of the files.
Where notices may have been lost, after a burst, and every minute, the whole folder is compared.
A folder that is removed and made again is watched on, and what differs then is told.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from eventsource.files.changes import ADDED, DELETED, MODIFIED, Change, compared, moved, noticed
from eventsource.files.changes import polled as polled_changes
from eventsource.files.folder import Mark, homes, identity, look, scan
from eventsource.files.known import Known
from eventsource.files.telling import Teller
from spine.errors import SourceError

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

log = logging.getLogger(__name__)

T = TypeVar("T")
Compare = Callable[[Mapping[str, Mark], Mapping[str, Mark]], list[Change[Mark]]]

DEBOUNCE, STEP, QUIET = 100, 20, 500
"""Milliseconds: notices are gathered for so long at most, until so long brings none, and without
any we look after so long whether the folder is still there."""
BURST = 1_000
"""Names in one batch of notices after which some may have been lost: the kernel keeps 16,384."""
DOUBT = 10.0
"""Seconds after which the folder is compared though notices still pour in."""
MINUTE = 60.0
"""Seconds after which it is compared in any case."""
POLL = 0.1
"""Seconds between looks of `polling`, as in Argo Events; longer where a look takes long."""
SHARE = 10
"""Times that a look takes until the next, at least."""
AWAY = 0.25
"""Seconds until we look for a folder again that has gone."""
_BITS = {1: ADDED, 2: MODIFIED, 3: DELETED}
"""What watchfiles calls it, and our bits."""


class _Batch(NamedTuple):
    changes: list[Change[Mark]]
    names: int
    over: bool
    """Whether the folder must be watched anew."""


class Watching:
    """One folder that is watched."""

    def __init__(self, folder: str, known: Known[Mark], teller: Teller[Mark]) -> None:
        self._folder, self._known, self._teller = folder, known, teller
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"watch {folder}")

    async def notices(self, listening: Callable[[], None], *, remembered: bool) -> None:
        """Watch by notices until cancelled. Raises SourceError, at first if there is no folder."""
        try:
            while True:
                watcher, which = await self._in_thread(self._open)
                try:
                    await self._begin(compared, remembered=remembered)
                    remembered = True
                    listening()
                    await self._listen(watcher, which)
                finally:
                    watcher.close()
                await self._until_back()
        except OSError as exc:
            raise self._error(exc) from exc
        finally:
            self._thread.shutdown(wait=False)

    async def polling(self, listening: Callable[[], None], *, remembered: bool) -> None:
        """Watch by looking until cancelled. Raises SourceError, at first if there is no folder."""
        try:
            await self._begin(polled_changes, remembered=remembered)
            listening()
            while True:
                began = time.monotonic()
                try:
                    changes = await self._in_thread(lambda: self._differences(polled_changes))
                except FileNotFoundError:
                    await self._until_back()
                    continue
                pause = max(POLL, SHARE * (time.monotonic() - began))
                await self._teller.tell(changes)
                await asyncio.sleep(pause)
        except OSError as exc:
            raise self._error(exc) from exc
        finally:
            self._thread.shutdown(wait=False)

    # ------------------------------------------------------------------------ parts

    async def _begin(self, compare: Compare, *, remembered: bool) -> None:
        if remembered:
            await self._teller.tell(await self._in_thread(lambda: self._differences(compare)))
        else:
            self._known.begin(await self._in_thread(lambda: scan(self._folder)))
        await self._known.write()

    async def _listen(self, watcher: "RustNotify", which: tuple[int, int]) -> None:
        """Tell what notices bring, until the folder must be watched anew."""
        clock = asyncio.get_running_loop().time
        checked, doubt = clock(), False
        while True:
            batch = await self._in_thread(lambda: self._take(watcher, which))
            await self._teller.tell(batch.changes)
            if batch.over:
                return
            doubt = doubt or batch.names >= BURST
            waited = clock() - checked
            if (doubt and (not batch.names or waited > DOUBT)) or waited > MINUTE:
                found = await self._in_thread(lambda: self._differences(compared))
                await self._teller.tell(found)
                checked, doubt = clock(), False

    async def _until_back(self) -> None:
        """Wait until there is a folder; not at all if there is one."""
        extra = {"folder": self._folder, "eventName": self._teller.env.name}
        told = False
        while True:
            try:
                await self._in_thread(lambda: identity(self._folder))
            except OSError:
                if not told:
                    log.warning("the watched folder has gone, waiting for it", extra=extra)
                told = True
            else:
                if told:
                    log.info("the watched folder is back", extra=extra)
                return
            await asyncio.sleep(AWAY)

    async def _in_thread(self, do: Callable[[], T]) -> T:
        """Run what blocks in a thread of our own; it has ended when this ends."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, do)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._stop.set()
            await asyncio.wait([future])
            raise

    def _error(self, exc: OSError) -> SourceError:
        hints = {
            "FileNotFoundError": "make the directory, or mount the volume that holds it",
            "PermissionError": "let the process read the directory",
            "NotADirectoryError": "name the directory that the file is in, and the file in path",
        }
        hint = hints.get(type(exc).__name__, "polling: true needs no notices")
        return SourceError(f"watching {self._folder}: {exc.strerror or exc}", hint=hint)

    # ------------------------------------------------------------------------ in the thread

    def _open(self) -> "tuple[RustNotify, tuple[int, int]]":
        from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

        which = identity(self._folder)
        try:
            return RustNotify([self._folder], False, False, 0, False, False), which
        except WatchfilesRustInternalError as exc:  # out of instances or watches, for example
            raise OSError(str(exc)) from exc

    def _differences(self, compare: Compare) -> list[Change[Mark]]:
        return compare(self._known.marks, scan(self._folder))

    def _take(self, watcher: "RustNotify", which: tuple[int, int]) -> _Batch:
        """Wait a while for notices and look at what they name."""
        from watchfiles._rust_notify import WatchfilesRustInternalError

        try:
            raw = watcher.watch(DEBOUNCE, STEP, QUIET, self._stop)
        except WatchfilesRustInternalError as exc:  # by a name that is no UTF-8, for example
            log.debug("watching anew", extra={"folder": self._folder, "error": str(exc)})
            self._stop.wait(AWAY)
            return _Batch([], 0, over=True)
        notices: dict[str, int] = {}
        over = False
        for number, path in raw if isinstance(raw, set) else ():
            if path.rstrip("/") == self._folder.rstrip("/"):
                over = over or _BITS[number] == DELETED
            else:
                name = path.rpartition("/")[2]
                notices[name] = notices.get(name, 0) | _BITS[number]
        try:
            over = over or identity(self._folder) != which
        except OSError:
            over = True
        return _Batch(self._changes(notices), len(notices), over)

    def _changes(self, notices: Mapping[str, int]) -> list[Change[Mark]]:
        if not notices:
            return []
        known, now = self._known.marks, look(self._folder, notices)
        left = {
            name: was
            for name, notice in notices.items()
            if notice & DELETED and (was := known.get(name)) is not None
        }
        files = {mark.file for mark in left.values()}
        elsewhere = moved(left, known, homes(self._folder, files)) if left else set()
        return noticed(notices, known, now, elsewhere)
