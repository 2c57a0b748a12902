"""The process of a container: started in namespaces of its own, entered, ended."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAUNCH = str(Path(__file__).with_name("launch.py"))
SETPRIV = shutil.which("setpriv") or "setpriv"
WAIT = 60.0
"""Seconds until a container must have been started."""
AT_ONCE = asyncio.Semaphore(8)
"""Containers that are started at a time: more only get in each other's way."""


@dataclass(frozen=True)
class Entry:
    """What it takes to run something in a container beside its process."""

    pid: int
    """The process of the container, as the machine counts."""
    user: int
    group: int
    groups: Sequence[int] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def words(self, words: Sequence[str]) -> list[str]:
        """Return a command of the machine that runs a command of the container."""
        more = ",".join(map(str, self.groups))
        return [
            "nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid",
            "--root", "--wd", "--",
            SETPRIV, "--reuid", str(self.user), "--regid", str(self.group),
            *(["--groups", more] if more else ["--clear-groups"]), "--", *words,
        ]  # fmt: skip

    def save(self, file: Path) -> None:
        """Leave it for `kubelet.nodes`."""
        given = [self.pid, self.user, self.group, self.groups, dict(self.environment)]
        new = file.with_suffix(".new")
        new.write_text(json.dumps(given))
        new.replace(file)

    @classmethod
    def load(cls, file: Path) -> "Entry":
        return cls(*json.loads(file.read_text()))


class Process:
    """One run of a container; `Process.start` makes it."""

    def __init__(self, outer: asyncio.subprocess.Process, pid: int) -> None:
        self._outer, self.pid = outer, pid

    @classmethod
    async def start(cls, given: Mapping[str, Any], scratch: Path, log: Path) -> "Process":
        """Start what `kubelet.launch` is given. Raises OSError."""
        async with AT_ONCE:
            return await cls._start(given, scratch, log)

    @classmethod
    async def _start(cls, given: Mapping[str, Any], scratch: Path, log: Path) -> "Process":
        scratch.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        file = scratch.with_suffix(".json")
        ours, theirs = os.pipe()
        file.write_text(json.dumps({**given, "scratch": str(scratch), "started": theirs}))
        with log.open("ab") as output:
            outer = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL",
                "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
                sys.executable, "-I", "-S", LAUNCH, str(file),
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                pass_fds=[theirs], start_new_session=True, cwd="/", env={"PATH": os.defpath},
            )  # fmt: skip
        os.close(theirs)
        try:
            async with asyncio.timeout(WAIT):
                begun = await _read(ours)
        except BaseException:
            outer.kill()
            raise
        children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
        try:
            pid = int(children.read_text().split()[0]) if begun else 0
        except (OSError, IndexError):
            pid = 0  # it has ended already
        return cls(outer, pid)

    async def ended(self) -> int:
        """Wait for the end and return the exit code, 128 and more for a signal."""
        code = await self._outer.wait()
        return 128 - code if code < 0 else code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the container's own process."""
        if self._outer.returncode is not None:
            return
        if number == signal.SIGKILL or not self.pid:
            self._outer.kill()  # its child goes with it, and all of its namespace with that
        if self.pid:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass


async def _read(fd: int) -> bytes:
    """Return the byte that tells that the container starts, empty where it did not."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        return await reader.read(1)
    finally:
        transport.close()
