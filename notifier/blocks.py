"""Blocks of templates: the part for one type of service, checked and compiled leaf by leaf.

Keys get the spelling of the model, scalars where a text is wanted become texts, and a structure
where a text is wanted becomes JSON once its leaves are rendered.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from notifier import veil
from notifier.template_reads import of_template
from services.service import Block
from spine.errors import ConfigError
from spine.lang import EvaluationError, gotemplate
from spine.lang.gofmt import verb_v
from spine.model import InvalidModel, Model, load

if TYPE_CHECKING:
    from notifier.reads import Reads

Make = Callable[[Mapping[str, Any], Callable[[Any], Any]], Any]
"""Gives the value for variables; the second argument settles the markers of secrets in a text."""


class Compiled:
    """The compiled leaves of one template, and what they read."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reads: list[Reads] = []
        self.warnings: list[str] = []

    def text(self, place: str, text: str) -> Make:
        """Compile one text. Raises ConfigError, which says where it stands."""
        if "{{" not in text:
            plain = veil.destroyed(text)
            return lambda _variables, _settle: plain
        try:
            reads = of_template(gotemplate.parse(text))
            secret = reads.roots is None or "secrets" in reads.roots
            render = gotemplate.compile(text, veil.VEILED if secret else None).render
        except ConfigError as exc:
            raise ConfigError(f"{place}: {exc.message}", hint=exc.hint) from exc
        self.reads.append(reads)
        what = f"rendering template {self.name!r}: {place}"

        def make(variables: Mapping[str, Any], settle: Callable[[Any], Any]) -> str:
            try:
                made: str = settle(render(variables))
            except EvaluationError as exc:
                raise EvaluationError(f"{what}, {exc}") from exc
            return made

        return make

    def value(self, place: str, value: Any) -> Make:
        """Compile all texts in a value."""
        if isinstance(value, _Json):
            return _dumped(self.value(place, value.value))
        if isinstance(value, str):
            return self.text(place, value)
        if isinstance(value, Mapping):
            parts = {key: self.value(f"{place}.{key}", one) for key, one in value.items()}
            return lambda given, settle: {key: make(given, settle) for key, make in parts.items()}
        if isinstance(value, list):
            items = [self.value(f"{place}[{at}]", one) for at, one in enumerate(value)]
            return lambda given, settle: [make(given, settle) for make in items]
        return lambda _given, _settle: value

    def block(self, model: type[Block], place: str, raw: Any) -> "Fields":
        """Compile a block. Raises ConfigError."""
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{place}: it is a mapping, not a {_kind(raw)}")
        fields = {key: value for key, value in self._fitted(model, place, raw) if value is not None}
        try:
            load(model, _plain(fields))
        except InvalidModel as exc:
            raise ConfigError(f"{place}: " + "; ".join(map(str, exc.problems))) from exc
        made = {key: self.value(f"{place}.{key}", value) for key, value in fields.items()}
        return Fields(model, made)

    def _fitted(
        self, model: type[Model], place: str, raw: Mapping[Any, Any]
    ) -> Iterator[tuple[str, Any]]:
        """Yield the fields of a model by their keys in YAML, with values that fit."""
        names = {}
        for name, field in model.model_fields.items():
            alias = field.alias or name
            names[name.lower()] = names[alias.lower()] = (alias, field.annotation)
        for key, value in raw.items():
            known = names.get(str(key).lower())
            if known is None:
                warning = f"{place}.{key}: unknown field ignored{meant(str(key), names)}"
                self.warnings.append(warning)
                continue
            alias, annotation = known
            yield alias, self._fit(annotation, f"{place}.{alias}", value)

    def _fit(self, annotation: Any, place: str, value: Any) -> Any:
        """Return a value as a type wants it, where that can be; else as it is."""
        options = _options(annotation)
        if isinstance(value, Mapping):
            for option in options:
                if isinstance(option, type) and issubclass(option, Model):
                    return dict(self._fitted(option, place, value))
                if get_origin(option) is dict:
                    _, inner = get_args(option)
                    return {
                        str(key): self._fit(inner, f"{place}.{key}", one)
                        for key, one in value.items()
                    }
        if isinstance(value, list):
            for option in options:
                if get_origin(option) is list:
                    (inner,) = get_args(option)
                    return [self._fit(inner, f"{place}[{n}]", v) for n, v in enumerate(value)]
        return _as_text(options, value) if str in options else self._bare(options, place, value)

    def _bare(self, options: tuple[Any, ...], place: str, value: Any) -> Any:
        """Return a boolean or a number that stands in quotes as what it is."""
        made: bool | int | None = None
        if isinstance(value, str) and bool in options:
            made = _BOOLEANS.get(value.lower())
        elif isinstance(value, str) and int in options and _WHOLE.fullmatch(value):
            made = int(value)
        if made is None:
            return value
        self.warnings.append(f"{place}: {value} is a text in quotes: write it without")
        return made


def _as_text(options: tuple[Any, ...], value: Any) -> Any:
    """Return a value where a text may stand: a scalar as Go's text, a structure as JSON."""
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Mapping | list):
        return _Json(value)
    return value if type(value) in options else verb_v(value)


_BOOLEANS = {"true": True, "false": False}
_WHOLE = re.compile(r"-?[0-9]{1,18}")


class _Json:
    """A structure that becomes JSON."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Fields:
    """A compiled block."""

    def __init__(self, model: type[Block], made: Mapping[str, Make]) -> None:
        self.model = model
        self._made = made

    def render(self, variables: Mapping[str, Any], settle: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the block, keys as in YAML. Raises EvaluationError."""
        return {key: make(variables, settle) for key, make in self._made.items()}


def _dumped(make: Make) -> Make:
    """Return what gives a value as JSON, in which what a secret holds is escaped."""

    def dumped(given: Mapping[str, Any], settle: Callable[[Any], Any]) -> str:
        return json.dumps(
            make(given, lambda value: veil.in_json(settle(value))), ensure_ascii=False
        )

    return dumped


def _options(annotation: Any) -> tuple[Any, ...]:
    """Return the types that a field takes."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _options(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return tuple(one for part in get_args(annotation) for one in _options(part))
    return (annotation,)


def _plain(value: Any) -> Any:
    """Return a value as its model sees it."""
    if isinstance(value, _Json):
        return ""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "mapping"
    return {str: "text", list: "list", type(None): "null"}.get(type(value), type(value).__name__)


def meant(name: str, known: Collection[str]) -> str:
    """Return a question about a name that is misspelt."""
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return f" (did you mean {near[0]}?)" if near else ""
