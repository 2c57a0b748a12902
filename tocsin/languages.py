"""The languages of manifests: what each is, and how to try one program of it.

A program is tried by the very engine that runs it in a sensor. What may not end runs in a process
that is killed at its deadline.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from spine.errors import ConfigError
from spine.lang import EvaluationError
from spine.lang.limits import Limits

TRIES = 3
"""Times that a process is started in vain before that is an error."""
TICKS = 5
"""Moments of a schedule that are shown."""
SHOWN_MATCHES = 100


class Result(NamedTuple):
    """What a program gave."""

    value: Any
    type: str
    note: str = ""
    """What else is to be said, such as that a field wants another type."""
    raw: str = ""
    """The value as it is written where that tells more, such as `1.0e2`."""


class Language(NamedTuple):
    """A language."""

    name: str
    about: str
    compile: Callable[[str], Callable[[bytes], Result]]
    """Returns what runs a program on data. Raises ConfigError; what it returns, EvaluationError."""
    data: str = "the data of an event"
    """What a program works on; empty where it needs none."""
    guarded: bool = False
    """Whether it runs in a process of its own."""


# ---------------------------------------------------------------------------- values


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError as exc:
        raise EvaluationError(f"reading the data: not valid JSON: {exc}") from exc


def _members(data: bytes) -> dict[str, Any]:
    found = _decoded(data)
    if not isinstance(found, dict):
        raise EvaluationError(f"reading the data: it is {_type(found)}, not an object")
    return found


_TYPES: tuple[tuple[Any, str], ...] = (
    (bool, "bool"), (int | float, "number"), (str, "string"), (list | tuple, "array"),
    (dict, "object"), (type(None), "null"),
)  # fmt: skip


def _type(value: Any) -> str:
    found = (name for kind, name in _TYPES if isinstance(value, kind))
    return next(found, type(value).__name__)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; a time or duration as its text."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        if isinstance(value, dict):
            return {str(key): _plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [_plain(item) for item in value]
        return str(value)
    return value


def _result(value: Any, note: str = "") -> Result:
    return Result(_plain(value), _type(value), note)


def _verdict(value: Any) -> Result:
    note = "" if isinstance(value, bool) else "an event passes only where it is true"
    return _result(value, note)


# ---------------------------------------------------------------------------- paths


def _path(text: str) -> Callable[[bytes], Result]:
    from sensor.hints import hints_of_path
    from spine.lang import paths
    from spine.lang.gjson import Document

    path = paths.compile(text)

    def run(data: bytes) -> Result:
        document = Document(data)
        found = path.get(document)
        if found is None:
            hints = hints_of_path(text, document)
            hint = f" ({hints[0]})" if hints else ""
            raise EvaluationError(f"there is nothing at {text}{hint}")
        note = "" if document.valid else "the data is not valid JSON"
        kind = {"True": "bool", "False": "bool"}.get(found.kind.value, found.kind.value.lower())
        if kind == "json":
            kind = "array" if found.is_array else "object"
        value = _decoded(found.data) if document.valid else found.raw
        return Result(value, kind, note, found.raw)

    return run


def _gjson(text: str) -> Callable[[bytes], Result]:
    if text.startswith("$"):
        raise ConfigError(f"reading path {text!r}: one that begins with $ is a JSONPath")
    return _path(text)


def _jsonpath(text: str) -> Callable[[bytes], Result]:
    if not text.startswith("$"):
        raise ConfigError(f"reading path {text!r}: a JSONPath begins with $")
    return _path(text)


def _sjson(text: str) -> Callable[[bytes], Result]:
    from spine.lang import sjson

    dest, equals, written = text.partition("=")
    if not equals:
        raise ConfigError(f"reading {text!r}: not of the form PATH=JSON", hint="such as a.b=1")
    setter = sjson.compile(dest)

    def run(data: bytes) -> Result:
        value = written.encode() if _is_json(written) else json.dumps(written).encode()
        made = setter.set(data, value)
        return Result(_decoded(made), "object", raw=made.decode())

    return run


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------------------- programs


def _jq(text: str) -> Callable[[bytes], Result]:
    from spine.lang import gojson, jq

    program = jq.compile(text)

    def run(data: bytes) -> Result:
        made = program.run_value(_decoded(data))
        note = "" if isinstance(made, dict) else "a transform must give an object: {value: …}"
        return _result(made, note)._replace(raw=gojson.dumps(made).decode())

    return run


def _lua(text: str) -> Callable[[bytes], Result]:
    from spine.lang import lua

    program = lua.compile(text)

    def run(data: bytes) -> Result:
        try:
            made = program.run(data)
        except EvaluationError as exc:
            if not re.search(r"gave|returned|not a table|nothing", str(exc)):
                raise
            return _result(
                program.test(data), f"as a filter; a transform must return a table: {exc}"
            )
        return Result(_decoded(made), _type(_decoded(made)), raw=made.decode())

    return run


def _govaluate(text: str) -> Callable[[bytes], Result]:
    from spine.lang import govaluate

    expression = govaluate.compile(text)

    def run(data: bytes) -> Result:
        values = {name: _float(value) for name, value in _members(data).items()}
        missing = [name for name in expression.names if name not in values]
        if missing:
            raise EvaluationError(
                f"evaluating {text!r}: the data has no {', '.join(missing)} (give an object with"
                " the names of the fields)"
            )
        return _verdict(expression.run(values))

    return run


def _float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _expr(text: str) -> Callable[[bytes], Result]:
    from spine.lang import exprlang

    program = exprlang.compile(text, "1.17")
    return lambda data: _result(program.run(_members(data)))


def _old_expr(text: str) -> Callable[[bytes], Result]:
    from spine.lang import exprlang

    program = exprlang.compile(text, "1.15")
    return lambda data: _verdict(program.run(_members(data)))


def _template(text: str) -> Callable[[bytes], Result]:
    from spine.lang import gotemplate

    template = gotemplate.compile(text)

    def run(data: bytes) -> Result:
        made = template.render({"Input": _decoded(data)})
        empty = made in {"", "<no value>"}
        note = "as a parameter this counts as missing" if empty else ""
        return Result(made, "string", note, made)

    return run


# ---------------------------------------------------------------------------- the small ones


def _regex(text: str) -> Callable[[bytes], Result]:
    from spine.lang import regex

    pattern = regex.compile(text)

    def run(data: bytes) -> Result:
        subject = data.decode(errors="replace")
        if subject[:1] == '"' and _is_json(subject):
            subject = json.loads(subject)
        return Result(pattern.search(subject), "bool", "it is searched for anywhere in the text")

    return run


def _cron(text: str) -> Callable[[bytes], Result]:
    from spine import cron

    schedule = cron.parse(text, UTC)

    def run(_: bytes) -> Result:
        moments, at = [], datetime.now(UTC)
        for _number in range(TICKS):
            following = schedule.next(at)
            if following is None:
                break
            moments.append(following.strftime("%a %Y-%m-%d %H:%M:%S UTC"))
            at = following
        return Result(moments, "the next moments")

    return run


def _duration(text: str) -> Callable[[bytes], Result]:
    from spine.lang.gotime import parse_duration

    try:
        found = parse_duration(text)
    except EvaluationError as exc:
        raise ConfigError(str(exc), hint="write 90s or 1h30m") from exc
    seconds = int(found) / 1e9
    return lambda _: Result(seconds, "duration", f"{seconds:g} seconds", str(found))


_NAME = re.compile(r"[^\s()&|!]+")


def _conditions(text: str) -> Callable[[bytes], Result]:
    from sensor.conditions import compile_conditions

    names = list(dict.fromkeys(_NAME.findall(text)))
    compiled = compile_conditions(text, [n for n in names if n not in {"and", "or"}])

    def run(data: bytes) -> Result:
        arrived = _decoded(data) if data.strip() else []
        if isinstance(arrived, dict):
            arrived = [name for name, there in arrived.items() if there]
        if not isinstance(arrived, list):
            raise EvaluationError('reading the data: give the names that came, as ["a", "b"]')
        missing = [name for name in compiled.names if name not in arrived]
        note = f"has not come: {', '.join(missing)}" if missing else ""
        return Result(compiled.met(frozenset(map(str, arrived))), "bool", note)

    return run


_NAMES = 'the names that came, as ["a", "b"]'

LANGUAGES = {
    one.name: one
    for one in (
        Language("gjson", "path into the data, as github.com/tidwall/gjson has it", _gjson),
        Language("jsonpath", "path that begins with $, wherever one of gjson may stand", _jsonpath),
        Language("sjson", "where a value is put; try PATH=JSON", _sjson),
        Language("jq", "jq, as gojq has it", _jq, guarded=True),
        Language("lua", "Lua 5.1 over `event`, as gopher-lua has it", _lua, guarded=True),
        Language("govaluate", "expression over named fields", _govaluate, guarded=True),
        Language("expr", "expr-lang 1.17", _expr, guarded=True),
        Language("expr-1.15", "expr-lang 1.15", _old_expr, guarded=True),
        Language("template", "Go template with sprig over `.Input`", _template, guarded=True),
        Language("regex", "RE2 pattern, searched for anywhere", _regex, data="a text"),
        Language("cron", "five fields or a descriptor such as @daily", _cron, data=""),
        Language("duration", "Go duration such as 1h30m", _duration, data=""),
        Language("conditions", "names joined by && and ||", _conditions, data=_NAMES),
    )
}


# ---------------------------------------------------------------------------- in a process


def worker(init: bytes) -> Callable[[bytes], bytes]:
    """Return what answers data with a result, in another process; for `spine.lang.guard`."""
    given = json.loads(init)
    run = LANGUAGES[given["language"]].compile(given["program"])
    return lambda data: json.dumps(run(data)).encode()


async def tried(language: Language, program: str, data: bytes) -> Result:
    """Return what a program gives. Raises ConfigError and EvaluationError."""
    run = language.compile(program)
    if not language.guarded:
        return run(data)
    from spine.lang.guard import Guard

    init = json.dumps({"language": language.name, "program": program}).encode()
    factory = f"{worker.__module__}:{worker.__name__}"
    limits = replace(Limits.of_environment(), workers=1)
    async with Guard(factory, init, limits, tries=TRIES) as guard:
        return Result(*json.loads(await guard.call(data)))
