"""The Lua machine: LuaJIT without its compiler, from which nothing outside can be reached.

One machine serves all programs of the process. Each run has an environment of its own, so that
nothing of one event is there for the next; a machine whose program was ended, or ran out of
memory, is replaced. What crosses are plain values in and one text out: programs never see a
Python object.
"""

import math
import re
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from weakref import WeakKeyDictionary

from spine.lang import EvaluationError
from spine.lang.limits import Limits
from spine.lang.lua.facts import REFUSED, Facts
from spine.lang.lua.letters import letters
from spine.lang.lua.lexer import SyntaxFault
from spine.lang.lua.translate import translate

_FOLDER = Path(__file__).parent / "prelude"
_PARTS = ("values", "patterns", "format", "run")
_HOSTS = ("python", "io", "os", "package", "debug", "jit", "bit", "require", "module", "dofile")
_STEPS_PER_SECOND = 50_000
"""Thousands of instructions for each second that a program has: few enough that it ends by these
first, and so at the same place wherever it runs."""
_SAFE_STEPS = 1_000
_BYTES_PER_STEP = 20
"""The same for a program that is known to be cheap: so much, and one for so many bytes of data."""
_SAFE_BYTES = 8 * 2**20
_BYTES_PER_BYTE = 40
"""Memory of a program that is known to be cheap: so much, and this for each byte of the data."""
_LOADED = 32 * 1024
"""Bytes of a program that a running program compiles: nothing can interrupt that."""
_PLACE = re.compile(r"<string>:([0-9]+): ?")
_OUR_PLACE = re.compile(rf"^(?:{'|'.join(_PARTS)}):[0-9]+: ")
_LITTER = 32 * 2**20
"""Memory in use above which it is cleaned up after a run."""
_SHARE = 4
"""Part of a worker's memory that a program may have; the rest is for the values around it."""


class Job(NamedTuple):
    """What a machine runs."""

    code: str
    """A translated program."""
    facts: Facts
    safe: bool
    json: bool
    """Whether it gives an object, else whether it gives true."""
    check: str = ""
    """`all` or `base` for a check, which is given `obj` and these libraries."""
    seconds: float = math.inf
    """Time that it has, where that is less than all programs have."""
    memory: int = 2**62
    """Bytes that it has, likewise."""


class Machine:
    """A LuaJIT state with the library that programs are offered."""

    def __init__(self, limits: Limits) -> None:
        from lupa import luajit21

        self._limits = limits
        self._lock = threading.Lock()
        self._memory_error = luajit21.LuaMemoryError
        self._lua = lua = luajit21.LuaRuntime(
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse,
            max_memory=0,
        )
        lua.execute("jit.off() jit.flush()")
        values, patterns, make_format, make_run = (
            lua.execute(_source(part), name=f"={part}") for part in _PARTS
        )
        self._api = make_run(values, patterns, make_format(values), _translated)
        refused = {library or "base": " ".join(sorted(names)) for library, names in REFUSED.items()}
        self._api["deny"](lua.table_from(refused))
        self._run, self._check = self._api["run"], self._api["check"]
        self._has_letters = False
        self._programs: WeakKeyDictionary[Runner, tuple[Any, Any]] = WeakKeyDictionary()
        for name in _HOSTS:
            lua.globals()[name] = None

    def prepare(self, runner: "Runner") -> tuple[Any, Any]:
        """Return a program and the names that it uses. Raises SyntaxFault."""
        ready = self._programs.get(runner)
        if ready is None:
            ready = self._programs[runner] = self._compile(runner.job)
        return ready

    def _compile(self, job: Job) -> tuple[Any, Any]:
        facts = job.facts
        made = self._api["compile"](job.code)
        if isinstance(made, tuple):
            text = str(made[1]).replace("label 'L_", "label '")  # which is our name for it
            place = _PLACE.match(text)
            raise SyntaxFault(int(place[1]) if place else 1, _PLACE.sub("", text, count=1))
        if not self._has_letters and (facts.dynamic or "upper" in job.code or "lower" in job.code):
            self._api["letters"](*letters())
            self._has_letters = True
        names = None if facts.dynamic else self._api["names"](" ".join(sorted(facts.globals)))
        return made, names

    def run(self, runner: "Runner", event: Any, size: int, seed: int | None) -> Any:
        """Return JSON or a boolean; bytes where the JSON is no UTF-8.

        `size` is the length of the data that the event was made of. Raises EvaluationError, or
        Ended: the machine is not to be used again.
        """
        with self._lock:
            return self._run_alone(runner.job, self.prepare(runner), event, size, seed)

    def _run_alone(
        self, job: Job, program: tuple[Any, Any], event: Any, size: int, seed: int | None
    ) -> Any:
        lua, limits = self._lua, self._limits
        table = lua.table_from(event, recursive=True)
        memory = min(limits.memory_bytes // _SHARE, job.memory)
        if job.safe:
            memory = min(memory, _SAFE_BYTES + size * _BYTES_PER_BYTE)
        memory += lua.get_memory_used()
        # what runs under a limit must be protected by Lua: anywhere else a lack of memory aborts
        lua.set_max_memory(memory)
        call = self._check if job.check else self._run
        try:
            result = call(
                *program,
                table,
                limits.output_bytes if job.json else 0,
                self._steps(job, size),
                min(limits.seconds, job.seconds),
                memory,
                job.check == "all" if job.check else seed,
            )
        except UnicodeDecodeError:
            lua.set_max_memory(0)
            result = bytes.fromhex(self._api["hexed"]())
            if result[:1] == b"?":
                result = result.decode(errors="replace")
        except self._memory_error:
            raise Ended("it used too much memory") from None
        finally:
            lua.set_max_memory(0)
        if self._lua.get_memory_used() > _LITTER:
            self._lua.gccollect()
        if isinstance(result, str) and result[:1] in {"!", "?"}:
            raise (Ended if result[0] == "!" else EvaluationError)(_told(result[1:]))
        return result

    def _steps(self, job: Job, size: int) -> int:
        """Return the thousands of instructions that a run may take; 0 for no limit."""
        if not job.safe:
            return max(1, int(min(self._limits.seconds, job.seconds) * _STEPS_PER_SECOND))
        return _SAFE_STEPS + size // _BYTES_PER_STEP if job.facts.matching else 0


class Ended(EvaluationError):
    """A program was ended; the machine that ran it is not used again."""


class Runner:
    """Runs one program, on the machine of the process."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def prepare(self) -> None:
        """Compile the program ahead of its first run. Raises SyntaxFault."""
        _machine().prepare(self)

    def run(self, event: Any, size: int, seed: int | None) -> Any:
        """Return JSON text or a boolean; bytes where the JSON is no UTF-8.

        `size` is the length of the data that the event was made of; `seed` that of random numbers.
        Raises EvaluationError.
        """
        machine = _machine()
        try:
            return machine.run(self, event, size, seed)
        except Ended:
            _replace(machine)
            raise


_current: Machine | None = None
_lock = threading.Lock()


def _machine() -> Machine:
    global _current  # noqa: PLW0603 -- the one of the process
    with _lock:
        if _current is None:
            _current = Machine(Limits.of_environment())
        return _current


def _replace(machine: Machine) -> None:
    global _current  # noqa: PLW0603 -- the one of the process
    with _lock:
        if _current is machine:
            _current = None


@cache
def _source(part: str) -> str:
    return (_FOLDER / f"{part}.lua").read_text(encoding="utf-8")


def _refuse(_object: object, name: object, _is_setting: bool) -> NoReturn:
    raise AttributeError(name)


def _translated(source: str) -> str:
    """Translate a source, in hexadecimal, of a running program: `+` and code, or `-` and why."""
    try:
        return f"+{translate(bytes.fromhex(source).decode('latin-1'), _LOADED).code}"
    except Exception as exc:  # noqa: BLE001 -- nothing but text may cross
        return f"-{exc}"


def _told(message: str) -> str:
    """Return a message of the machine, with `line 3` for its `<string>:3:`."""
    return _PLACE.sub(r"line \1: ", _OUR_PLACE.sub("", message))
