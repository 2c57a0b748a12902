"""The Lua machine: LuaJIT without its compiler, from which nothing outside can be reached.

One machine serves all programs of the process. Each run has an environment of its own, so that
nothing of one event is there for the next; a machine whose program was ended, or ran out of
memory, is replaced. What crosses are plain values in and one text out: programs never see a
Python object.
"""

import re
import threading
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from spine.lang import EvaluationError
from spine.lang.limits import Limits
from spine.lang.lua.facts import REFUSED, Facts
from spine.lang.lua.letters import letters
from spine.lang.lua.lexer import SyntaxFault
from spine.lang.lua.translate import translate

_FOLDER = Path(__file__).parent / "prelude"
_PARTS = ("values", "patterns", "format", "run")
_HOSTS = ("python", "io", "os", "package", "debug", "jit", "bit", "require", "module", "dofile")
_STEPS_PER_SECOND = 10_000
"""Thousands of instructions for each second that a program has: it ends by these first."""
_SAFE_BYTES = 8 * 2**20
_BYTES_PER_BYTE = 40
"""Memory of a program that is known to be cheap: so much, and this for each byte of the data."""
_PLACE = re.compile(r"<string>:([0-9]+): ?")
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


class Machine:
    """A LuaJIT state with the library that programs are offered."""

    def __init__(self, limits: Limits) -> None:
        from lupa import luajit21

        self._limits = limits
        self._memory_error = luajit21.LuaMemoryError
        self._lua = lua = luajit21.LuaRuntime(
            register_eval=False,
            register_builtins=False,
            attribute_filter=_refuse,
            max_memory=limits.memory_bytes // _SHARE,
        )
        lua.execute("jit.off() jit.flush()")
        values, patterns, make_format, make_run = (
            lua.execute(_source(part), name=f"={part}") for part in _PARTS
        )
        self._api = make_run(values, patterns, make_format(values), _translated)
        refused = {library or "base": " ".join(sorted(names)) for library, names in REFUSED.items()}
        self._api["deny"](lua.table_from(refused))
        self._run = self._api["run"]
        self._has_letters = False
        for name in _HOSTS:
            lua.globals()[name] = None

    def program(self, job: Job) -> tuple[Any, Any]:
        """Return a program and the names that it uses. Raises SyntaxFault."""
        facts = job.facts
        made = self._api["compile"](job.code)
        if isinstance(made, tuple):
            raise SyntaxFault(1, str(made[1]))
        if not self._has_letters and (facts.dynamic or "upper" in job.code or "lower" in job.code):
            self._api["letters"](*letters())
            self._has_letters = True
        names = None if facts.dynamic else self._api["names"](" ".join(sorted(facts.globals)))
        return made, names

    def run(
        self, job: Job, program: tuple[Any, Any], event: Any, size: int, seed: int | None
    ) -> Any:
        """Return JSON or a boolean; bytes where the JSON is no UTF-8.

        `size` is the length of the data that the event was made of. Raises EvaluationError, or
        Ended: the machine is not to be used again.
        """
        limits = self._limits
        memory = limits.memory_bytes // _SHARE
        if job.safe:
            memory = min(memory, self._lua.get_memory_used() + _SAFE_BYTES + size * _BYTES_PER_BYTE)
        self._lua.set_max_memory(memory)
        try:
            result = self._run(
                program[0],
                program[1],
                self._lua.table_from(event, recursive=True),
                limits.output_bytes if job.json else 0,
                0 if job.safe else max(1, int(limits.seconds * _STEPS_PER_SECOND)),
                limits.seconds,
                seed,
            )
        except UnicodeDecodeError:
            result = bytes.fromhex(self._api["hexed"]())
            if result[:1] == b"?":
                result = result.decode(errors="replace")
        except self._memory_error:
            raise Ended("it used too much memory") from None
        if self._lua.get_memory_used() > _LITTER:
            self._lua.gccollect()
        if isinstance(result, str) and result[:1] in {"!", "?"}:
            raise (Ended if result[0] == "!" else EvaluationError)(_told(result[1:]))
        return result


class Ended(EvaluationError):
    """A program was ended; the machine that ran it is not used again."""


class Runner:
    """Runs one program, on the machine of the process."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._ready: tuple[Machine | None, tuple[Any, Any]] = (None, (None, None))

    def prepare(self) -> Machine:
        """Compile the program where that is to be done. Raises SyntaxFault."""
        machine = _machine()
        if self._ready[0] is not machine:
            self._ready = (machine, machine.program(self._job))
        return machine

    def run(self, event: Any, size: int, seed: int | None) -> Any:
        """Return JSON text or a boolean. Raises EvaluationError."""
        machine = self.prepare()
        try:
            return machine.run(self._job, self._ready[1], event, size, seed)
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
        return f"+{translate(bytes.fromhex(source).decode('latin-1')).code}"
    except Exception as exc:  # noqa: BLE001 -- nothing but text may cross
        return f"-{exc}"


def _told(message: str) -> str:
    """Return a message of the machine, with `line 3` for its `<string>:3:`."""
    return _PLACE.sub(r"line \1: ", message)
