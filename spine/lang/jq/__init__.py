"""jq programs: an event's data in, one object out.

    program = jq.compile("{name: .body.user, big: (.body.n > 10)}")
    program.run(b'{"body": {"user": "ann", "n": 12}}')  # {"big":true,"name":"ann"}

Programs are compiled to Python closures, which take microseconds, and give what gojq gives, which
the peers run: numbers are doubles, keys are sorted, patterns are RE2, dates are in UTC, only the
first output counts and it is an object. Nothing outside of the data can be reached.

`Program.safe` says whether a program is known to be cheap on every input; one that is not has a
budget of steps and of sizes, and belongs into a guard (spine.lang.guard).

What is left to libjq, which knows another dialect: Bessel's functions (`j0`, `j1`, `y0`, `y1`) and
functions of the program that call themselves deeper than Python goes (some 150 calls). What is not
as in gojq: computed integers beyond 2^53 are doubles, an error behind `?//` does not try the next
pattern once there was an output, and messages of faults in numbers, base64 and JSON differ.
"""

import json
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError, gojson, pointing
from spine.lang.jq import cost, engine, syntax
from spine.lang.jq.code import BUDGET, Budget, Code, Variables, weigh
from spine.lang.jq.compiler import compile_tree
from spine.lang.jq.lexer import SyntaxFault
from spine.lang.jq.scope import NotCovered, NotDefined
from spine.lang.jq.values import JqError, doubles, kind, to_text

_FLAT = bytes.maketrans(b"123456789E", b"000000000e")
_ODD_NUMBERS = (b"0" * 16, b"e000", b"e+000")
"""What numbers look like that a double cannot hold, once all digits are 0."""

Run = Callable[[Any], Any]
"""Returns a program's first output. Raises EvaluationError."""


class Program:
    """A compiled program."""

    safe: bool
    """Whether time and memory are known to grow with the input only."""
    covered: bool
    """Whether it was compiled to closures; otherwise libjq runs it."""

    def __init__(self, text: str, run: Run, *, safe: bool, covered: bool) -> None:
        self.text = text
        self.safe = safe
        self.covered = covered
        self._run = run

    @override
    def __repr__(self) -> str:
        return f"Program({self.text!r})"

    def run(self, data: bytes) -> bytes:
        """Return the object that the program makes of a JSON object. Raises EvaluationError."""
        value = _decode(data)
        given = {} if value is None else value  # null is an object without members to the peers
        if not isinstance(given, dict):
            raise EvaluationError(f"the data is {_named(given)}, not an object")
        made = self.run_value(given)
        if value is None and made is given:
            return b"null"
        if not isinstance(made, dict):
            raise EvaluationError(f"gave {_named(made)}, not an object (wrap it: {{value: .}})")
        return gojson.dumps(made)

    def run_value(self, value: Any) -> Any:
        """Return the first output for a decoded value. Raises EvaluationError."""
        try:
            return self._run(value)
        except RecursionError:
            raise EvaluationError(
                "the data, or the program's calls, are nested too deeply"
            ) from None


@lru_cache(maxsize=1024)
def compile(text: str) -> Program:  # noqa: A001 -- as re.compile
    """Compile a program. Raises ConfigError."""
    try:
        parsed = syntax.parse(text)
        safe = cost.is_safe(parsed.tree)
        try:
            code = compile_tree(parsed.tree, counted=not safe)
        except NotCovered:
            return Program(text, engine.compile_program(text, parsed), safe=False, covered=False)
        run = _closure(code) if safe else _bounded(code, text, parsed)
        return Program(text, run, safe=safe, covered=True)
    except (SyntaxFault, NotDefined, engine.CompileFault, RecursionError) as exc:
        raise _refusal(text, exc) from exc


def _refusal(text: str, exc: Exception) -> ConfigError:
    """Return why a program is none, with the place; of a long program its line is shown."""
    reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
    hint = getattr(exc, "hint", "") or "try it with: tocsin eval jq PROGRAM"
    at = getattr(exc, "at", None)
    if at is None:
        return ConfigError(f"compiling jq program {text!r}: {reason}", hint=hint)
    where = pointing.place(text, at)
    return ConfigError(
        f"compiling jq program {pointing.line(text, at)!r}: {where}: {reason}", hint=hint
    )


def _closure(code: Code) -> Run:
    def run(value: Any) -> Any:
        return _first(code, value, {})

    return run


def _bounded(code: Code, text: str, parsed: syntax.Program) -> Run:
    """Return what runs a program that is not known to end, within a budget.

    Functions that call themselves deeper than Python goes are left to libjq.
    """
    try:
        fallback = engine.compile_program(text, parsed) if parsed.defines else None
    except engine.CompileFault:
        fallback = None

    def run(value: Any) -> Any:
        try:
            made = _first(code, value, {BUDGET: Budget()})
            weigh(made)
        except RecursionError:
            if fallback is None:
                raise
            return fallback(value)
        return made

    return run


def _first(code: Code, value: Any, variables: Variables) -> Any:
    try:
        if code.one is not None:
            return code.one(value, variables)
        for output in code.many(value, variables):
            return output
    except JqError as exc:
        raise EvaluationError(to_text(exc.value)) from None
    raise EvaluationError("gave no output")


def _named(value: Any) -> str:
    name = kind(value)
    return {"null": "null", "array": "an array", "object": "an object"}.get(name, f"a {name}")


def _decode(data: bytes) -> Any:
    """Return JSON with numbers as doubles hold them. Raises EvaluationError."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        fixed = gojson.without_lone_surrogates(data)
        try:
            value = json.loads(fixed or data.decode("utf-8", "replace"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise EvaluationError(f"the data is not JSON: {exc}") from None
    flat = data.translate(_FLAT)
    if any(mark in flat for mark in _ODD_NUMBERS):
        value = doubles(value)
        if _endless(value):
            raise EvaluationError("the data has a number that is too large")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _endless(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_endless, value))
    if isinstance(value, dict):
        return any(map(_endless, value.values()))
    return isinstance(value, float) and math.isinf(value)
