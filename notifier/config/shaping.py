"""Decoded YAML made to fit a model, by the rules of Go's JSON and a little more kindly.

Names of fields match whatever their case, scalars become texts where a text is wanted. Argo's
engine refuses a whole configuration for a number in quotes or for one name in place of a list;
here that is a warning. So is a field that nobody knows, which it ignores without a word.
"""

import difflib
import math
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator, WrapValidator

from notifier.config.decoding import text_of
from spine.model import InvalidModel, Model, Path, load

M = TypeVar("M", bound=Model)


@dataclass(slots=True)
class Shaping:
    """What comes up while one value is made to fit."""

    secrets: frozenset[Path] = frozenset()
    """Paths of texts that came from a Secret; they may be numbers."""
    private: bool = False
    """Whether texts may be credentials, and are not shown."""
    errors: list[tuple[Path, str]] = field(default_factory=list)
    warnings: list[tuple[Path, str]] = field(default_factory=list)
    _written: dict[Path, Path] = field(default_factory=dict)
    """Path with the names of the model -> path as it was written."""

    def model(self, model: type[M], value: Any, path: Path = (), *, what: str) -> M | None:
        """Return a model for a value, None after errors were noted."""
        before = len(self.errors)
        shaped = self.shape(model, {} if value is None else value, path, path)
        if len(self.errors) > before:
            return None
        try:
            return load(model, shaped, what=what, on_warning=lambda text: self._warn(path, text))
        except InvalidModel as exc:
            for problem in exc.problems:
                message = _unvalued(problem.message) if self.private else problem.message
                self.errors.append((self.written((*path, *problem.path)), message))
        return None

    def written(self, path: Path) -> Path:
        """Return a path as it was written, or the nearest around it."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._written:
                return (*self._written[path[:end]], *path[end:])
        return path

    def shape(self, wanted: Any, value: Any, path: Path, at: Path) -> Any:
        """Return a value as a type wants it; `path` has the model's names, `at` those written."""
        self._written[path] = at
        if get_origin(wanted) is Annotated:
            own = any(isinstance(one, _OWN) for one in wanted.__metadata__)
            return value if own else self.shape(wanted.__origin__, value, path, at)
        if get_origin(wanted) in {Union, types.UnionType}:
            return self._union(get_args(wanted), value, path, at)
        if value is None:
            return "" if _base(wanted) is str else None
        part = self._part(wanted)
        if part is not None:
            return part(wanted, value, path, at)
        scalar = _SCALARS.get(_base(wanted))
        return value if scalar is None else scalar(self, value, at)

    def _part(self, wanted: Any) -> Callable[[Any, Any, Path, Path], Any] | None:
        """Return what makes values of a type that has parts."""
        origin = get_origin(wanted) or wanted
        if isinstance(origin, type) and issubclass(origin, Model):
            return self._fields
        if origin in _LISTS:
            return self._items
        return self._entries if origin in _MAPS else None

    # ------------------------------------------------------------------------ maps and lists

    def _fields(self, model: type[Model], value: Any, path: Path, at: Path) -> Any:
        if not isinstance(value, Mapping):
            self._wrong(at, value, "a map")
            return None
        names, own, out = _names(model), _own(model), {}
        folded = {name.lower(): name for name in names}
        for key, item in value.items():
            name = key if key in names else folded.get(key.lower())
            if name is None or (name != key and name in value):
                self._unknown(model, key, (*at, key), name)
                continue
            there, written = (*path, name), (*at, key)
            if name in own:
                self._written[there] = written
                out[name] = item
            elif item is not None:
                out[name] = self.shape(names[name], item, there, written)
        return out

    def _unknown(self, model: type[Model], key: str, at: Path, taken: str | None) -> None:
        if taken is not None:
            self._warn(at, f"unused: {taken} stands here too")
        elif key in model.dead_keys:
            self._warn(at, f"of no effect: {model.dead_keys[key]}")
        else:
            known = [name for name in _names(model) if "_" not in name]
            meant = near(key, known) if len(self.warnings) < _SUGGESTED else ""
            self._warn(at, f"unknown field, of no effect{meant}")

    def _items(self, wanted: Any, value: Any, path: Path, at: Path) -> Any:
        item = (*get_args(wanted), Any)[0]
        if not isinstance(value, list):
            if isinstance(value, Mapping) and _base(item) in _SCALARS:
                self._wrong(at, value, "a list")
                return None
            self._warn(at, "a list is meant here: write it as - … or [ … ] (Argo's engine fails)")
            value = [] if value == "" else [value]
            return [self.shape(item, one, (*path, i), at) for i, one in enumerate(value)]
        return [self.shape(item, one, (*path, i), (*at, i)) for i, one in enumerate(value)]

    def _entries(self, wanted: Any, value: Any, path: Path, at: Path) -> Any:
        if not isinstance(value, Mapping):
            self._wrong(at, value, "a map")
            return None
        item = (*get_args(wanted), Any, Any)[1]
        return {k: self.shape(item, one, (*path, k), (*at, k)) for k, one in value.items()}

    def _union(self, arms: Sequence[Any], value: Any, path: Path, at: Path) -> Any:
        if value is None and type(None) in arms:
            return None
        arms = [one for one in arms if one is not type(None)]
        if Any in arms:
            return value
        fitting = [one for one in arms if isinstance(value, _NATURAL.get(_kind(one), ()))]
        if isinstance(value, bool) and len(fitting) > 1:
            fitting = [one for one in fitting if _base(one) is bool] or fitting
        return self.shape((fitting or [_next_best(arms, value)])[0], value, path, at)

    # ------------------------------------------------------------------------ scalars

    def text(self, value: Any, at: Path) -> Any:
        """Return a text: Go's for a number or a boolean."""
        if isinstance(value, Mapping | list):
            self._wrong(at, value, "a text")
            return None
        return text_of(value)

    def flag(self, value: Any, at: Path) -> Any:
        """Return a boolean."""
        if isinstance(value, bool):
            return value
        word = _WORDS.get(value.lower()) if isinstance(value, str) else None
        if word is None:
            self._wrong(at, value, "true or false")
        else:
            self._quoted(at, str(value))
        return word

    def whole(self, value: Any, at: Path) -> Any:
        """Return a whole number."""
        number = self.number(value, at, "a whole number")
        if number is None:
            return None
        if isinstance(number, float) and not number.is_integer():
            self._wrong(at, value, "a whole number")
            return None
        return int(number)

    def number(self, value: Any, at: Path, wanted: str = "a number") -> Any:
        """Return a number."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
            self._wrong(at, value, wanted)
            return None
        self._quoted(at, value)
        number = float(value)
        exact = re.fullmatch(r"\s*[-+]?\d{1,18}\s*", value)
        return int(value) if exact else number if math.isfinite(number) else None

    def _quoted(self, at: Path, value: str) -> None:
        if at not in self.secrets:
            shown = f"{value} is a text in quotes: write it without" if value else "empty"
            self._warn(at, f"{shown} (Argo's engine refuses it)")

    def _wrong(self, at: Path, value: Any, wanted: str) -> None:
        if isinstance(value, Mapping):
            got = "a map"
        elif isinstance(value, list):
            got = "a list"
        elif isinstance(value, str) and (self.private or at in self.secrets):
            got = "this text"
        else:
            got = repr(value) if isinstance(value, str) else text_of(value) or "null"
        self.errors.append((at, f"{wanted} is needed, not {got[:60]}"))

    def _warn(self, at: Path, message: str) -> None:
        self.warnings.append((at, message))


_SUGGESTED = 100
"""Unknown fields for which a like one is looked for; it takes a while."""
_OWN = (BeforeValidator, PlainValidator, WrapValidator)
_LISTS = {list, tuple, Sequence, set, frozenset}
_MAPS = {dict, Mapping}
_WORDS = dict.fromkeys(("true", "yes", "on"), True) | dict.fromkeys(("false", "no", "off"), False)
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_NATURAL: dict[Any, tuple[type, ...]] = {
    str: (str,),
    bool: (bool,),
    int: (int,),
    float: (int, float),
    list: (list,),
    dict: (dict,),
}
_SCALARS: dict[Any, Callable[[Shaping, Any, Path], Any]] = {
    str: Shaping.text,
    bool: Shaping.flag,
    int: Shaping.whole,
    float: Shaping.number,
}


def _base(annotation: Any) -> Any:
    """Return the bare type of an annotation; that of its words for a Literal."""
    kinds: set[Any]
    if get_origin(annotation) is Annotated:
        return _base(annotation.__origin__)
    if get_origin(annotation) is Literal:
        kinds = {type(one) for one in get_args(annotation)}
        return kinds.pop() if len(kinds) == 1 else None
    return annotation


def _kind(annotation: Any) -> Any:
    base = _base(annotation)
    found: Any = get_origin(base)
    origin = base if found is None else found
    if origin in _LISTS:
        return list
    if origin in _MAPS or (isinstance(origin, type) and issubclass(origin, Model)):
        return dict
    return base


def _next_best(arms: Sequence[Any], value: Any) -> Any:
    """Return the type for a value that is of none of them."""
    by_kind = {_kind(one): one for one in reversed(arms)}
    if str in by_kind:
        return by_kind[str]
    if bool in by_kind and isinstance(value, str) and value.lower() in _WORDS:
        return by_kind[bool]
    return by_kind.get(list, arms[0])


@cache
def _names(model: type[Model]) -> dict[str, Any]:
    """Return every name of every field with its type."""
    out: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        annotation: Any = info.annotation
        if info.metadata:
            annotation = Annotated[(annotation, *info.metadata)]
        out[info.alias or name] = annotation
        out.setdefault(name, annotation)
    return out


@cache
def _own(model: type[Model]) -> set[str]:
    """Return the names of fields that a model reads itself."""
    out: set[str] = set()
    for one in model.__pydantic_decorators__.field_validators.values():
        if one.info.mode != "after":
            for name in one.info.fields:
                info = model.model_fields.get(name)
                out |= {name, info.alias or name} if info is not None else set()
    return out


def near(word: str, known: Sequence[str]) -> str:
    """Return ` (did you mean …)` where a known word is like it."""
    folded = {one.lower(): one for one in known}
    found = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f" (did you mean {folded[found[0]]})" if found else ""


_VALUE = re.compile(r"^(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|'[^']*\.\.\.|\"[^\"]*\.\.\.): ")


def _unvalued(message: str) -> str:
    """Return what a model says without the value, which may be a credential."""
    return _VALUE.sub("", message)
