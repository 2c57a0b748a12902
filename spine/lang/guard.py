"""Runs work that may hang, crash or eat the memory in worker processes that may be killed.

Some programs in manifests can loop for ever or grow without end, and the engines that run them
can neither be interrupted nor survive it. So they run in processes of their own: without the
parent's environment, limited in memory and in processor time, and killed when a request takes too
long. Only the request that did it fails; a new worker takes the next.

The protocol is frames over pipes: four bytes of length, then the bytes; an answer starts with one
byte that says how the request ended. A worker ends when its input does, so none outlives the
parent, whatever becomes of that.

A request that hangs, grows or answers at too great a length is its own fault: EvaluationError. A
worker that does not start is no request's fault: it is tried again, with growing waits.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from spine.errors import RemoteError
from spine.lang import EvaluationError
from spine.lang.limits import Limits
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

Serve = Callable[[bytes], bytes]
"""Answers requests. EvaluationError goes to the caller; anything else fails the request, too."""

_DONE, _FAILED, _BROKEN = b"\x00\x01\x02"
_LENGTH = 4
_START_SECONDS = 30.0
_CPU_GRACE = 2
_MOST_FRAME = 256 * 1024 * 1024
_MESSAGE = 64 * 1024
"""Bytes that an answer may have in any case: why a request failed."""


class Guard:
    """A pool of worker processes that answer requests.

    `factory` is `module:function`, called in each worker with `init` and returning what answers
    requests. `limits` holds for one request each. A worker that does not start is tried again
    `tries` times in all, 0: for ever.
    """

    def __init__(self, factory: str, init: bytes, limits: Limits, *, tries: int = 0) -> None:
        self.factory = factory
        self.init = init
        self.limits = limits
        self.tries = tries
        self.problem = ""
        """Why no worker starts just now; empty where they do. For readiness."""
        self._idle: asyncio.Queue[_Worker | None] = asyncio.Queue()
        self._all: set[_Worker] = set()

    async def __aenter__(self) -> Self:
        for _ in range(self.limits.workers):
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

        Raises EvaluationError if the request fails, takes too long, ends its worker or answers at
        too great a length, and RemoteError if no worker starts.
        """
        worker = await self._idle.get()
        healthy: _Worker | None = None
        try:
            if worker is None:
                worker = await self._start()
            answer = await worker.ask(request, self.limits.seconds, self.limits.output_bytes)
            healthy = None if answer[0] == _BROKEN else worker
        finally:
            try:
                if worker is not None and healthy is None:
                    await asyncio.shield(self._discard(worker))
            finally:
                self._idle.put_nowait(healthy)
        return _result(answer)

    async def _start(self) -> "_Worker":
        """Return a new worker, however often it takes. Raises RemoteError."""
        attempt = 0
        while True:
            try:
                worker = await self._spawn()
            except (EvaluationError, OSError) as exc:
                attempt += 1
                wait = RECONNECT.wait(attempt)
                self.problem = f"starting a process for programs: {exc}"
                log.warning(self.problem)
                if attempt == self.tries:
                    raise RemoteError(self.problem, retry_after=wait) from exc
                await asyncio.sleep(wait)
            else:
                self.problem = ""
                return worker

    async def _spawn(self) -> "_Worker":
        """Start a process. Raises EvaluationError or OSError if it does not work."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # what lies in the folder where we are is no module of ours
            "-m",
            "spine.lang.guard",
            self.factory,
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=_environment() | self.limits.environment(),
            start_new_session=True,  # Ctrl-C reaches the parent, which finishes what is in flight
        )
        worker = _Worker(process)
        self._all.add(worker)
        try:
            _result(await worker.ask(self.init, _START_SECONDS, _MESSAGE))
        except BaseException:
            await asyncio.shield(self._discard(worker))
            raise
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

    async def ask(self, request: bytes, seconds: float, output: int) -> bytes:
        """Return the raw answer. Raises EvaluationError if there is none, or one too long."""
        try:
            async with asyncio.timeout(seconds):
                self._input.write(len(request).to_bytes(_LENGTH) + request)
                await self._input.drain()
                size = int.from_bytes(await self._output.readexactly(_LENGTH))
                if size > max(_MESSAGE, len(request) + output + 1):
                    raise EvaluationError(_too_long(size, len(request), output))
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


def _result(answer: bytes) -> bytes:
    """Return what an answer holds. Raises EvaluationError if it tells of a failure."""
    if answer[0] != _DONE:
        raise EvaluationError(answer[1:].decode("utf-8", "replace"))
    return answer[1:]


def _too_long(size: int, request: int, output: int) -> str:
    return (
        f"it made {size - request} bytes more than it was given, above the {output} that "
        "TOCSIN_PROGRAM_OUTPUT allows"
    )


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


def main(factory: str, parent: int) -> None:
    """Serve requests from standard input until it ends."""
    limits = Limits.of_environment()
    requests, answers = _pipes()
    _end_with(parent)
    serve: Serve | None = None
    while (request := _read(requests)) is not None:
        if serve is None:
            status, text, serve = _prepare(factory, request)
            _limit_memory(limits.memory_bytes)
        else:
            _limit_time(limits.seconds)
            status, text = _answer(serve, request)
            if len(text) > max(_MESSAGE - 1, len(request) + limits.output_bytes):
                reason = _too_long(len(text), len(request), limits.output_bytes)
                status, text = _FAILED, reason.encode()
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
    main(sys.argv[1], int(sys.argv[2]))
