"""Checks in Lua: an object in, a table about it out, by the contract of Argo CD's health checks.

    check = checks.compile("return {status = obj.status.phase}")
    check.run({"status": {"phase": "Healthy"}})  # {"status": "Healthy"}

A check sees one object as the global `obj`: lists count from 1, null is absent, numbers are
floats. Of the library it has the base and `table`, and `require("os")` gives the time; with
`libraries` it has all that programs have. The last of the values that it returns counts.

It runs in this process: the machine ends it after a second, fifty million steps or 32 MiB more,
whatever it does (`spine.lang.lua.engine`). Only those parts of the object that its source mentions
are handed over, as that takes most of the time.
"""

from functools import lru_cache
from typing import Any

import orjson

from spine.errors import ConfigError
from spine.lang.lua import data_of, shorten, without_null
from spine.lang.lua.engine import Job, Runner
from spine.lang.lua.facts import Facts
from spine.lang.lua.lexer import SyntaxFault
from spine.lang.lua.translate import translate

SECONDS = 1.0
"""Time that a check has."""
_MEMORY = 32 * 2**20
_OFFERED = frozenset({"require"})
_LIBRARIES = frozenset({"channel", "coroutine", "debug", "io", "math", "os", "package", "string"})


class Check:
    """A compiled check."""

    absent: tuple[str, ...]
    """Libraries that it mentions and is not given."""

    def __init__(self, source: str, *, libraries: bool) -> None:
        self.source = source
        made = translate(source.encode("utf-8", "replace").decode("latin-1"), offered=_OFFERED)
        unmade = _LIBRARIES - made.facts.assigned
        self.absent = () if libraries else tuple(sorted(made.facts.globals & unmade))
        given = "all" if libraries else "base"
        job = Job(made.code, made.facts, not made.doubt, json=True, check=given)
        self._runner = Runner(job._replace(seconds=SECONDS, memory=_MEMORY))
        self._runner.prepare()
        self._parts = _parts(made.facts)

    def run(self, obj: dict[str, Any]) -> dict[str, Any] | list[Any] | None:
        """Return the table that the check returns for an object, None where it is nil.

        Raises EvaluationError; Ended where it used too much.
        """
        ready, size = data_of(obj if self._parts is None else _chosen(obj, self._parts))
        try:
            said = self._runner.run(ready, size, None)
        except OverflowError:  # whole numbers beyond those of the machine
            said = self._runner.run(without_null(ready), size, None)
        if not said:
            return None
        text = said if isinstance(said, str) else said.decode("utf-8", "replace")
        found: dict[str, Any] | list[Any] = orjson.loads(text)
        return found


_Parts = tuple[tuple[str, tuple[str, ...] | None], ...]
"""Members of an object, and of each the members that count; None: all."""


def _parts(facts: Facts) -> _Parts | None:
    """Return which parts of `obj` a check can see; None: it may be all."""
    paths = [path[1:] for path in facts.reads if path[0] == "obj"]
    if facts.dynamic or "obj" in facts.assigned or () in paths:
        return None
    found: dict[str, set[str] | None] = {}
    for name, *more in paths:
        known = found.setdefault(name, set())
        if not more:
            found[name] = None
        elif known is not None:
            known.add(more[0])
    return tuple((name, None if some is None else tuple(some)) for name, some in found.items())


def _chosen(obj: dict[str, Any], parts: _Parts) -> dict[str, Any]:
    out = {}
    for name, members in parts:
        value = obj.get(name)
        if members is None or not isinstance(value, dict):
            out[name] = value
        else:
            out[name] = {key: value[key] for key in members if key in value}
    return out


@lru_cache(maxsize=1024)
def compile(source: str, *, libraries: bool = False) -> Check:  # noqa: A001 -- as re.compile
    """Compile a check. Raises ConfigError."""
    try:
        return Check(source, libraries=libraries)
    except SyntaxFault as exc:
        raise ConfigError(f"compiling Lua check {shorten(source)!r}: {exc}") from exc
