"""Lua programs: an event's data in, a table or a verdict out.

    program = lua.compile("event.big = event.n > 10 return event")
    program.run(b'{"n": 12}')  # {"big":true,"n":12}
    lua.compile("return event.n > 10").test(b'{"n": 12}')  # True

The language is that of gopher-lua, which the peers run: Lua 5.1 with `goto`. A source is rewritten
where LuaJIT differs from it, and runs in LuaJIT without its compiler. Each run starts afresh: one
global `event`, the library, nothing of any event before. Of several values that a program
returns, the last counts.

Programs compute, and reach nothing: files, processes, the environment, modules and debugging are
not offered, and calling what is not offered is an error that names it. `print` prints nothing.
`math.random` is seeded by the data, so that the same event has the same outcome. A program
ends when it takes too many steps, too much time or too much memory, or returns too much
(`spine.lang.limits`); it cannot catch that.

`Program.safe` says whether a program is known to be cheap on every input; one that is not belongs
into a guard (`spine.lang.guard`).
"""

import json
import math
import re
import zlib
from functools import lru_cache
from typing import Any

import orjson
from typing_extensions import override

from spine.errors import ConfigError
from spine.lang import EvaluationError, gojson
from spine.lang.lua.engine import Job, Runner
from spine.lang.lua.lexer import SyntaxFault
from spine.lang.lua.translate import translate

_ODD = re.compile(
    rb"null"  # Lua has no members without a value
    rb"|[\[,][ \t\r\n]*\["  # lists in lists do not arrive
    rb"|[0-9]{19}|[0-9.][eE]\+?[0-9]{3}"  # numbers that may be more than a machine's
)
"""What may need a closer look before Lua gets it."""
_DEEPEST = 150
_MOST_CONTAINERS = 250_000
"""Objects and lists in the data, or what looks like them in its texts: tables are made of them in
less than a second."""
_NAMES = {list: "an array", str: "a string", bool: "a boolean"}


class Program:
    """A compiled program."""

    safe: bool
    """Whether time and memory are known to grow with the input only."""
    doubt: str
    """Why it is not safe; empty if it is."""

    def __init__(self, source: str) -> None:
        self.source = source
        made = translate(source.encode("utf-8", "replace").decode("latin-1"))
        self.doubt = made.doubt
        self.safe = not made.doubt
        self._seeded = made.facts.dynamic or "math" in made.facts.globals
        self._transform = Runner(Job(made.code, made.facts, self.safe, json=True))
        self._filter = Runner(Job(made.code, made.facts, self.safe, json=False))
        self._transform.prepare()

    @override
    def __repr__(self) -> str:
        return f"Program({self.source!r})"

    def run(self, data: bytes) -> bytes:
        """Return the JSON of the table that the program makes of a JSON object.

        Raises EvaluationError.
        """
        made = self._transform.run(_event(data), len(data), self._seed(data))
        return _written(made)

    def test(self, data: bytes) -> bool:
        """Return whether the program returns true for a JSON object. Raises EvaluationError."""
        return self._filter.run(_event(data), len(data), self._seed(data)) is True

    def _seed(self, data: bytes) -> int | None:
        return zlib.crc32(data) if self._seeded else None


@lru_cache(maxsize=1024)
def compile(source: str) -> Program:  # noqa: A001 -- as re.compile
    """Compile a program. Raises ConfigError."""
    try:
        return Program(source)
    except SyntaxFault as exc:
        raise ConfigError(f"compiling Lua program {shorten(source)!r}: {exc}") from exc


def shorten(source: str, length: int = 60) -> str:
    """Return how a program begins; for messages."""
    return source if len(source) <= length else f"{source[:length]}…"


# ---------------------------------------------------------------------------- values


def _event(data: bytes) -> dict[str, Any]:
    """Return the data as Lua is to see it. Raises EvaluationError."""
    value = _decode(data)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise EvaluationError(f"the data is {_NAMES.get(type(value), 'a number')}, not an object")
    containers = data.count(b"{") + data.count(b"[")
    if containers > _MOST_CONTAINERS:
        raise EvaluationError(f"the data has more than {_MOST_CONTAINERS:,} objects and lists")
    if containers > _DEEPEST or _ODD.search(data):
        return _object(value, 0)
    return value


def data_of(obj: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Return an object as a check is to see it, and its length. Raises EvaluationError."""
    try:
        data = orjson.dumps(obj)
    except TypeError:  # whole numbers beyond 64 bits, half characters, dates
        data = json.dumps(obj, default=str).encode()
        return without_null(_decode(data)), len(data)
    containers = data.count(b"{") + data.count(b"[")
    if containers > _MOST_CONTAINERS:
        raise EvaluationError(f"the data has more than {_MOST_CONTAINERS:,} objects and lists")
    if containers > _DEEPEST or b"null" in data:
        return without_null(obj), len(data)
    return obj, len(data)


def without_null(obj: dict[str, Any]) -> dict[str, Any]:
    """Return an object without null, its numbers as floats. Raises EvaluationError."""
    return _object(obj, 0, nested=True)


def _decode(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        fixed = gojson.without_lone_surrogates(data)
        try:
            return json.loads(fixed or data.decode("utf-8", "replace"), parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise EvaluationError(f"the data is not JSON: {exc}") from None


def _refuse(word: str) -> Any:
    raise ValueError(word)


def _object(value: dict[str, Any], depth: int, *, nested: bool = False) -> dict[str, Any]:
    """Return an object without null; `nested`: with lists in lists."""
    return {
        key: _value(item, depth, nested=nested) for key, item in value.items() if item is not None
    }


def _value(value: Any, depth: int, *, nested: bool) -> Any:
    if isinstance(value, dict | list):
        if depth >= _DEEPEST:
            raise EvaluationError("the data is nested too deeply")
        if isinstance(value, dict):
            return _object(value, depth + 1, nested=nested)
        return [
            _value(item, depth + 1, nested=nested)
            for item in value
            if item is not None and (nested or not isinstance(item, list))
        ]
    if isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 10**308 else math.inf
    if isinstance(value, float) and math.isinf(value):
        raise EvaluationError("the data has a number that is too large")
    return value


def _written(made: str | bytes) -> bytes:
    """Return what Lua wrote as Go writes it."""
    if isinstance(made, str):
        return gojson.dumps(orjson.loads(made))
    # Go writes an escape for each byte that is no UTF-8, but U+FFFD itself as it is
    stand_in = next(c for c in map(chr, range(0xF0000, 0xFFFFD)) if c.encode() not in made)
    text = _replaced(made, stand_in)
    return gojson.dumps(orjson.loads(text)).replace(stand_in.encode(), b"\\ufffd")


def _replaced(made: bytes, stand_in: str) -> str:
    out: list[str] = []
    while True:
        try:
            return "".join([*out, made.decode()])
        except UnicodeDecodeError as exc:
            out += [made[: exc.start].decode(), stand_in * (exc.end - exc.start)]
            made = made[exc.end :]
