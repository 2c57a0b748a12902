"""jq programs: an event's data in, one object out.

    program = jq.compile("{name: .body.user, big: (.body.n > 10)}")
    program.run(b'{"body": {"user": "ann", "n": 12}}')  # {"big":true,"name":"ann"}

What nearly all transforms are made of is compiled to Python closures, which take microseconds;
the rest of the language runs in libjq. Either gives what gojq gives, which the peers run: numbers
are doubles, keys are sorted, only the first output counts and it is an object.

`Program.safe` says whether a program is known to be cheap on every input; one that is not belongs
into a guard (spine.lang.guard).
"""

import json
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError, gojson
from spine.lang.jq import cost, engine, syntax
from spine.lang.jq.code import Code, NotCovered
from spine.lang.jq.compiler import compile_node
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
            raise EvaluationError("the data is nested too deeply") from None


@lru_cache(maxsize=1024)
def compile(text: str) -> Program:  # noqa: A001 -- as re.compile
    """Compile a program. Raises ConfigError."""
    try:
        parsed = syntax.parse(text)
        try:
            code = compile_node(parsed.tree, frozenset())
        except NotCovered:
            return Program(text, engine.compile_program(text, parsed), safe=False, covered=False)
        return Program(text, _closure(code), safe=cost.is_safe(parsed.tree), covered=True)
    except (syntax.SyntaxFault, engine.CompileFault, RecursionError) as exc:
        reason = "it is nested too deeply" if isinstance(exc, RecursionError) else exc
        raise ConfigError(
            f"compiling jq program {text!r}: {reason}", hint="try it with: jq -n PROGRAM"
        ) from exc


def _closure(code: Code) -> Run:
    def run(value: Any) -> Any:
        try:
            if code.one is not None:
                return code.one(value, {})
            for output in code.many(value, {}):
                return output
        except JqError as exc:
            raise EvaluationError(to_text(exc.value)) from None
        raise EvaluationError("gave no output")

    return run


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
