"""Values as they are given: files and `--set`, as Helm reads them, over those of the chart."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from spine.errors import ConfigError
from spine.marked import Document, Malformed, documents
from spine.model import InvalidModel, load
from tocsin.installing.values import Values

MOST = 1000
"""The largest index of a list; `a[9999999]=x` is a slip."""
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_KEY = re.compile(r"((?:\\.|[^\\.\[=,])+)|\[(\d+)\]|(\.)", re.DOTALL)
_ITEM = re.compile(r"(?:\\.|[^\\,}])*", re.DOTALL)
_VALUE = re.compile(r"(?:\\.|[^\\,])*", re.DOTALL)

Path_ = tuple[str | int, ...]


Places = dict[Path_, str]
"""Where each value stands, as `FILE:LINE:COLUMN`."""


def read_file(name: str) -> Document:
    """Return the values of a file; `-` is what comes in. Raises ConfigError."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
        read = list(documents(text, last_wins=True))
    except OSError as exc:
        raise ConfigError(f"reading values of {name}: {exc.strerror}") from exc
    except UnicodeError as exc:
        raise ConfigError(f"reading values of {name}: {exc}") from exc
    except Malformed as exc:
        raise ConfigError(f"reading values of {name}:{exc.line}:{exc.column}: {exc}") from exc
    found = read[0] if read else Document()
    if found.value is None:
        found.value = {}
    if len(read) > 1 or not isinstance(found.value, dict):
        why = "it is no map" if len(read) == 1 else "it has more than one document"
        raise ConfigError(f"reading values of {name}: {why}")
    return found


def set_into(values: dict[str, Any], text: str, *, strings: bool = False) -> list[Path_]:
    """Set what `--set` says, `a.b=c,d[0]=e,f={g,h}`; with `strings` nothing is a number.

    `{}` is an empty list, where Helm has one of an empty text. Returns what was set. Raises
    ConfigError.
    """
    paths = []
    for path, value in _assignments(text, strings=strings):
        try:
            _put(values, path, value)
        except TypeError:
            raise ConfigError(f"setting {text!r}: {path[0]} is no map or list there") from None
        paths.append(path)
    return paths


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others over them: maps are merged, a null takes a value away."""
    out = dict(base)
    for key, value in over.items():
        there = out.get(key)
        if value is None and key in base:
            del out[key]
        elif isinstance(value, Mapping) and isinstance(there, Mapping):
            out[key] = merged(there, value)
        else:
            out[key] = value
    return out


def checked(values: Mapping[str, Any], places: Places | None = None) -> Mapping[str, Any]:
    """Return values that the chart takes. Raises ConfigError that says all that is wrong."""
    wrong: list[str] = []
    try:
        load(Values, values, what="values", on_warning=wrong.append)
    except InvalidModel as exc:
        for problem in exc.problems:
            at = (places or {}).get(problem.path)
            wrong.append(f"{at}: {problem}" if at else str(problem))
    wrong += [f"{path}: must not be null" for path in _absent(Values, values, "")]
    if wrong:
        raise ConfigError(
            f"checking values: {'; '.join(wrong)}", hint="tocsin install --show-values prints all"
        )
    return values


def _absent(model: type[BaseModel], values: Any, prefix: str) -> Iterator[str]:
    """Yield the values that somebody took away."""
    if not isinstance(values, Mapping):
        return
    for name, field in model.model_fields.items():
        key = field.alias or name
        if values.get(key) is None and key != "global":
            yield f"{prefix}{key}"
        if isinstance(field.default, BaseModel):
            yield from _absent(type(field.default), values.get(key), f"{prefix}{key}.")


# ---------------------------------------------------------------------------- --set


def _assignments(text: str, *, strings: bool) -> Iterator[tuple[Path_, Any]]:
    at = 0
    while at < len(text):
        path, at = _path(text, at)
        if at >= len(text) or text[at] != "=":
            raise ConfigError(f"setting {text!r}: no value", hint="write --set key=value")
        value, at = _value(text, at + 1, strings=strings)
        if at < len(text) and text[at] != ",":
            raise ConfigError(f"setting {text!r}: {text[at:]!r} follows a list")
        yield path, value
        at += 1


def _path(text: str, at: int) -> tuple[Path_, int]:
    steps: list[str | int] = []
    while at < len(text) and text[at] not in "=,":
        match = _KEY.match(text, at)
        if match is None:
            raise ConfigError(f"setting {text!r}: {text[at:]!r} is no key")
        key, index, _ = match.groups()
        if index is not None:
            if int(index) > MOST:
                raise ConfigError(f"setting {text!r}: index {index} is more than {MOST}")
            steps.append(int(index))
        elif key is not None:
            steps.append(_unescaped(key))
        at = match.end()
    if not steps or not isinstance(steps[0], str):
        raise ConfigError(f"setting {text!r}: no key", hint="write --set key=value")
    return tuple(steps), at


def _value(text: str, at: int, *, strings: bool) -> tuple[Any, int]:
    if not text.startswith("{", at):
        match = _VALUE.match(text, at)
        assert match is not None
        return _typed(match[0], strings=strings), match.end()
    items: list[Any] = []
    at += 1
    while not text.startswith("}", at):
        match = _ITEM.match(text, at)
        assert match is not None
        items.append(_typed(match[0], strings=strings))
        at = match.end()
        if at >= len(text):
            raise ConfigError(f"setting {text!r}: the list has no end")
        at += text[at] == ","
    return items, at + 1


def _typed(text: str, *, strings: bool) -> Any:
    value = _unescaped(text)
    if strings:
        return value
    if value in _WORDS:
        return _WORDS[value]
    return int(value) if _INTEGER.fullmatch(value) else value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _put(values: dict[str, Any], path: Path_, value: Any) -> None:
    there: Any = values
    for step, after in zip(path, [*path[1:], None], strict=True):
        if isinstance(step, int):
            if not isinstance(there, list):
                raise TypeError
            there += [None] * (step + 1 - len(there))
        elif not isinstance(there, dict):
            raise TypeError
        if after is None:
            there[step] = value
            return
        inner = there.get(step) if isinstance(there, dict) else there[step]
        if not isinstance(inner, dict | list):
            inner = [] if isinstance(after, int) else {}
            there[step] = inner
        there = inner


def image_values(reference: str) -> dict[str, str]:
    """Return repository, tag and digest of `REPOSITORY[:TAG][@DIGEST]`. Raises ConfigError."""
    match = re.fullmatch(
        r"((?:[\w.-]+(?::\d+)?/)?[\w.-]+(?:/[\w.-]+)*)"
        r"(?::(\w[\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?",
        reference,
        re.ASCII,
    )
    if match is None:
        raise ConfigError(
            f"reading --image {reference!r}: it is no image", hint="write REPOSITORY:TAG"
        )
    repository, tag, digest = match.groups()
    found = {"repository": repository, "tag": tag, "digest": digest}
    return {key: value for key, value in found.items() if value}


def gathered(
    files: Iterable[str], sets: Iterable[str], strings: Iterable[str]
) -> tuple[dict[str, Any], Places]:
    """Return what is given, later ones over earlier ones, as Helm takes it. Raises ConfigError.

    And where in the files it stands; nothing for what `--set` says.
    """
    values: dict[str, Any] = {}
    places: Places = {}
    for name in files:
        found = read_file(name)
        values = _over(values, found.value)
        shown = "stdin" if name == "-" else name
        places |= {path: f"{shown}:{line}:{at}" for path, (line, at) in found.positions.items()}
    for texts, as_text in ((sets, False), (strings, True)):
        for text in texts:
            for path in set_into(values, text, strings=as_text):
                places.pop(path, None)
    return values, places


def _over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return one file's values with another's over them; a null stays, for the chart's values."""
    out = dict(base)
    for key, value in over.items():
        there = out.get(key)
        both = isinstance(value, Mapping) and isinstance(there, Mapping)
        out[key] = _over(there, value) if both and there is not None else value
    return out
