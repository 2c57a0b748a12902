"""Runs work that may hang, crash or eat the memory in worker processes that may be killed.

Some programs in manifests can loop for ever or grow without end, and the engines that run them
can neither be interrupted nor survive it. So they run in processes of their own: without the
parent's environment, limited in memory and in processor time, and killed when a request takes too
long. Only the request that did it fails; a new worker takes the next.

The protocol is frames over pipes: four bytes of length, then the bytes; an answer starts with one
byte that says how the request ended. A worker ends when its input does, so none outlives the
parent, whatever becomes of that.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from spine.lang import EvaluationError

Serve = Callable[[bytes], bytes]
"""Answers requests. EvaluationError goes to the caller; anything else fails the request, too."""

_DONE, _FAILED, _BROKEN = b"\x00\x01\x02"
_LENGTH = 4
_START_SECONDS = 30.0
_CPU_GRACE = 2
_MOST_FRAME = 256 * 1024 * 1024


class Guard:
    """A pool of worker processes that answer requests.

    `factory` is `module:function`, called in each worker with `init` and returning what answers
    requests. `memory_bytes` limits the address space of a worker, `seconds` one request.
    """

    def __init__(
        self, factory: str, init: bytes, *, workers: int, memory_bytes: int, seconds: float
    ) -> None:
        self.factory = factory
        self.init = init
        self.workers = workers
        self.memory_bytes = memory_bytes
        self.seconds = seconds
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._all: set[_Worker] = set()

    async def __aenter__(self) -> Self:
        for _ in range(self.workers):
            self._idle.put_nowait(None)  # started by the first request that needs it
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(worker.end() for worker in self._all))

    async def call(self, request: bytes) -> bytes:
        """Return the answer to a request; wait for a worker while all are busy.

        Raises EvaluationError if the request fails, takes too long, or ends its worker.
        """
        worker = await self._idle.get()
        healthy: _Worker | None = None
        try:
            if worker is None:
                worker = await self._start()
            answer = await worker.ask(request, self.seconds)
            healthy = None if answer[0] == _BROKEN else worker
        finally:
            try:
                if worker is not None and healthy is None:
                    await asyncio.shield(self._discard(worker))
            finally:
                self._idle.put_nowait(healthy)
        if answer[:1] != bytes([_DONE]):
            raise EvaluationError(answer[1:].decode("utf-8", "replace"))
        return answer[1:]

    async def _start(self) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "spine.lang.guard",
            self.factory,
            str(self.memory_bytes),
            str(self.seconds),
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C reaches the parent, which finishes what is in flight
        )
        worker = _Worker(process)
        self._all.add(worker)
        try:
            answer = await worker.ask(self.init, _START_SECONDS)
        except BaseException:
            await asyncio.shield(self._discard(worker))
            raise
        if answer[:1] != bytes([_DONE]):
            await self._discard(worker)
            raise EvaluationError(answer[1:].decode("utf-8", "replace"))
        return worker

    async def _discard(self, worker: "_Worker") -> None:
        self._all.discard(worker)
        await worker.end()


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._input = process.stdin
        self._output = process.stdout

    async def ask(self, request: bytes, seconds: float) -> bytes:
        """Return the raw answer. Raises EvaluationError if there is none."""
        try:
            async with asyncio.timeout(seconds):
                self._input.write(len(request).to_bytes(_LENGTH) + request)
                await self._input.drain()
                size = int.from_bytes(await self._output.readexactly(_LENGTH))
                return await self._output.readexactly(size)
        except TimeoutError:
            raise EvaluationError(f"it did not end within {seconds:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            code = await self._process.wait()
            raise EvaluationError(_end(code)) from None

    async def end(self) -> None:
        """Kill the process and wait until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._input.close()
        await self._process.wait()


def _end(code: int) -> str:
    """Say why a worker ended."""
    if code == -signal.SIGXCPU:
        return "it used too much processor time"
    if code in {-signal.SIGABRT, -signal.SIGKILL, -signal.SIGSEGV}:
        return f"it used too much memory or crashed (signal {-code})"
    return f"its process ended with code {code}"


def _environment() -> dict[str, str]:
    """Return the environment of a worker: nothing of the parent's but where the code is."""
    root = str(Path(__file__).parents[2])
    return {"PYTHONPATH": root, "PYTHONUTF8": "1"}


# ---------------------------------------------------------------------------- in the worker


def main(factory: str, memory_bytes: int, seconds: float, parent: int) -> None:
    """Serve requests from standard input until it ends."""
    requests, answers = _pipes()
    _end_with(parent)
    serve: Serve | None = None
    while (request := _read(requests)) is not None:
        if serve is None:
            status, text, serve = _prepare(factory, request)
            _limit_memory(memory_bytes)
        else:
            _limit_time(seconds)
            status, text = _answer(serve, request)
        answers.write((len(text) + 1).to_bytes(_LENGTH) + bytes([status]) + text)
        answers.flush()
        if status == _BROKEN:
            return


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take over standard input and output, so that nothing else writes between the frames."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return requests, answers


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(_LENGTH)
    size = int.from_bytes(head)
    if len(head) < _LENGTH or size > _MOST_FRAME:
        return None
    body = stream.read(size)
    return body if len(body) == size else None


def _prepare(factory: str, init: bytes) -> tuple[int, bytes, Serve | None]:
    module, _, name = factory.partition(":")
    try:
        return _DONE, b"", getattr(import_module(module), name)(init)
    except Exception as exc:  # noqa: BLE001 -- whatever it is, the caller shall know
        return _BROKEN, f"starting {factory}: {exc!r}".encode(), None


def _answer(serve: Serve, request: bytes) -> tuple[int, bytes]:
    try:
        return _DONE, serve(request)
    except EvaluationError as exc:
        return _FAILED, str(exc).encode("utf-8", "replace")
    except MemoryError:
        return _BROKEN, b"it used too much memory"
    except Exception as exc:  # noqa: BLE001 -- a bug fails its request, not the worker
        return _FAILED, f"{type(exc).__name__}: {exc}".encode("utf-8", "replace")


def _limit_memory(size: int) -> None:
    """Limit the address space to that much more than the worker has now."""
    try:
        import resource
    except ImportError:  # not on this system: the deadline remains
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + size, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _mapped() -> int:
    """Return the size of the address space in use, in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _limit_time(seconds: float) -> None:
    """Let this request use only so much processor time, should the parent not end us."""
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + _CPU_GRACE
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def _end_with(parent: int) -> None:
    """Have the system kill this process when its parent dies, even in the middle of a request."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            sys.exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
