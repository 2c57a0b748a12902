"""The base of everything a user writes in YAML.

One subclass of `Model` is the only declaration of a piece of configuration: its annotations
are the validation, its attribute docstrings are the documentation, and `spine.schema` turns
both into the CRD and the editor schema.

Argo Events decodes with Go's JSON rules, so manifests exist whose keys differ in case. Those
are taken with a warning; a key that nobody knows is an error with "did you mean", or, where
`load` is told to be lenient (a process that was handed a stored object), a warning.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from typing_extensions import override

from spine.errors import ConfigError
from spine.warned import Met, Warned

os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""We have none, and to look for some it reads about every package that is installed."""

M = TypeVar("M", bound="Model")
Path = tuple[str | int, ...]
"""Where something stands in a document: keys and list indices."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a document."""

    path: Path
    message: str
    warning: bool = False
    """Whether the document works all the same."""

    @override
    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


def dotted(path: Path) -> str:
    """Return `spec.triggers[0].template` for a path."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(slots=True)
class _Reading:
    """What one call of `load` collects, across nested models."""

    lenient: bool = False
    met: Met = field(default_factory=Met)


_reading: ContextVar[_Reading | None] = ContextVar("_reading", default=None)


class Model(BaseModel):
    """An immutable, strict, camelCase-in-YAML record."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        defer_build=True,  # of what a process never reads, nothing is made
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # a rejected value may be a credential
        validate_by_alias=True,
        validate_by_name=True,
    )

    dead_keys: ClassVar[Mapping[str, str]] = {}
    """Keys of YAML that are accepted and ignored, with what to tell the user."""

    @model_validator(mode="before")
    @classmethod
    def _keys(cls, raw: Any) -> Any:
        """Give keys their exact case; take unknown ones out where that is allowed.

        A null is an absent key, as in Go's JSON.
        """
        if not isinstance(raw, dict):
            return raw
        reading, part = _reading.get(), raw
        if reading is not None:
            reading.met.meet(cls, part)
        if None in raw.values():
            raw = {key: value for key, value in raw.items() if value is not None}
        if raw.keys() <= _names(cls).keys():
            return raw
        known, out = _names(cls), {}
        folded = {name.lower(): name for name in known}
        for key, value in raw.items():
            if key in known or not isinstance(key, str):
                out[key] = value
            elif key in cls.dead_keys:
                _warn(f"{key}: ignored: {cls.dead_keys[key]}", part)
            elif (exact := folded.get(key.lower())) and exact not in raw:
                _warn(f"{key}: write {exact}", part)
                out[exact] = value
            elif reading is not None and reading.lenient:
                _warn(f"{key}: unknown field ignored{_suggestion(key, known)}", part)
            else:
                out[key] = value
        return out


def _warn(message: str, part: dict[str, Any] | None = None) -> None:
    reading = _reading.get()
    if reading is not None:
        reading.met.warn(message, part)


def warn(message: str) -> None:
    """Add a warning, `KEY: TEXT`, to the `load` that is under way; for validators of models."""
    _warn(message)


def warn_of(key: str, text: str) -> None:
    """Add a warning about a key, if there is anything to say."""
    if text:
        _warn(f"{key}: {text}")


_names_cache: dict[type[BaseModel], dict[str, str]] = {}


def _names(cls: type[BaseModel]) -> dict[str, str]:
    """Return every accepted key of a model with its field."""
    if cls not in _names_cache:
        names = {n: n for n in cls.model_fields}
        names |= {f.alias: n for n, f in cls.model_fields.items() if f.alias}
        _names_cache[cls] = names
    return _names_cache[cls]


_WORD = re.compile(r"'([^']*)'")
"""A word in pydantic's list of those it takes."""


def _suggestion(key: str, known: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(key, [k for k in known if "_" not in k], n=1, cutoff=0.6)
    return f" (did you mean {near[0]})" if near else ""


class OneOf(Model):
    """A model of which exactly one field is set, as in `http: {...}` or `k8s: {...}`."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "OneOf":
        if len(self.model_fields_set) != 1:
            allowed = ", ".join(f.alias or n for n, f in type(self).model_fields.items())
            got = ", ".join(sorted(self.model_fields_set)) or "none"
            msg = f"set exactly one of: {allowed} (got {got})"
            raise ValueError(msg)
        return self

    @property
    def value(self) -> Any:
        """The one field that is set."""
        (name,) = self.model_fields_set
        return getattr(self, name)


class InvalidModel(ConfigError):
    """A document does not fit its model; `problems` says where and why."""

    def __init__(self, what: str, problems: list[Problem]) -> None:
        super().__init__(f"{what}: " + "; ".join(str(p) for p in problems))
        self.problems = problems


@contextmanager
def _collecting(lenient: bool) -> Iterator[_Reading]:
    token = _reading.set(reading := _Reading(lenient=lenient))
    try:
        yield reading
    finally:
        _reading.reset(token)


def load(
    model: type[M],
    raw: Any,
    *,
    what: str = "",
    lenient: bool = False,
    on_warning: Callable[[Warned], None] | None = None,
) -> M:
    """Validate a document against a model.

    `what` names the document in errors. Raises InvalidModel with every problem found.
    """
    with _collecting(lenient) as reading:
        try:
            value = model.model_validate(raw)
        except ValidationError as exc:
            raise InvalidModel(what or model.__name__, problems_of(exc, model, raw)) from exc
        if on_warning is not None:
            for warned in reading.met.warnings(raw):
                on_warning(warned)
    return value


def problems_of(exc: ValidationError, model: type[BaseModel], raw: Any) -> list[Problem]:
    """Put pydantic's findings into our words, with the value, the reason and the way out."""
    return [_problem(error, model, raw) for error in exc.errors(include_url=False)]


def _problem(error: ErrorDetails, model: type[BaseModel], raw: Any) -> Problem:
    path = _real_path(error["loc"], raw)
    if error["type"] == "extra_forbidden":
        key = str(path[-1])
        return Problem(path, f"unknown field{_suggestion(key, _siblings(model, path))}")
    if error["type"] == "missing":
        return Problem(path, "required field is missing")
    message = error["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    value = _value_at(raw, path)
    told = isinstance(value, str) and repr(value) in message
    if isinstance(value, str | int | float | bool) and not told and not _secretive(path):
        message = f"{_shown(value)}: {message}"
    if error["type"] == "literal_error" and isinstance(value, str):
        message += _nearest(value, _WORD.findall(str(error["ctx"]["expected"])))
    return Problem(path, message)


def _nearest(given: str, words: Iterable[str]) -> str:
    """Say which word may be meant; what differs in capitals only is nearest."""
    alike = {word.lower(): word for word in words if word}
    near = difflib.get_close_matches(given.lower(), alike, n=1, cutoff=0.6)
    return f" (did you mean {alike[near[0]]})" if near else ""


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 -- one terminal line


def _secretive(path: Path) -> bool:
    last = str(path[-1]).lower() if path else ""
    return any(word in last for word in ("password", "token", "secret"))


def _real_path(loc: tuple[int | str, ...], raw: Any) -> Path:
    """Drop the names of union arms and validators that pydantic puts into a location."""
    out: list[str | int] = []
    node = raw
    for index, step in enumerate(loc):
        last = index == len(loc) - 1
        if isinstance(node, dict) and (step in node or last):
            out.append(step)
            node = node.get(step)
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            out.append(step)
            node = node[step]
    return tuple(out)


def _value_at(raw: Any, path: Path) -> Any:
    for step in path:
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _siblings(model: type[BaseModel], path: Path) -> dict[str, str]:
    """Return the keys that are known where an unknown one stands."""
    current: Any = model
    for step in path[:-1]:
        current = _step(current, step)
    models = list(_models(current))
    return {k: v for m in models for k, v in _names(m).items()}


def _step(annotation: Any, step: str | int) -> Any:
    for model in _models(annotation):
        name = _names(model).get(str(step))
        if name is not None:
            return model.model_fields[name].annotation
    from typing import get_args

    args = get_args(annotation)
    for arg in args:
        if get_args(arg):
            found = _step(arg, step)
            if found is not None:
                return found
    return args[-1] if args else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in get_args(annotation) for m in _models(arg)]
