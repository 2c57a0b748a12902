"""The reference page: every field of every kind, from the models' own words."""

import inspect
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from spine.described import descriptions
from spine.model import Model

_INTRO = """\
# Reference

Every field of the objects that Tocsin reads: EventBus, EventSource and Sensor are of `apiVersion:
argoproj.io/v1alpha1`, Notifier is ours, of `tocsin.dev/v1alpha1`. What Argo
Events has and is not built yet is refused with a message that says so. `tocsin lint` checks
manifests against this.

This page is generated from the code (`make generate`).
"""


def page(kinds: dict[str, type[Model]]) -> str:
    """Return the reference of the `spec` of each kind."""
    parts = [_INTRO]
    for kind, model in kinds.items():
        parts.append(f"## {kind}\n\n{about(model)}\n")
        done: set[type[BaseModel]] = set()
        parts += [section(path, one) for path, one in models(model, "spec", done)]
    return "\n".join(parts)


def about(model: type[BaseModel]) -> str:
    """Return what a model says of itself."""
    return inspect.cleandoc(model.__doc__ or "")


def models(
    model: type[BaseModel], path: str, done: set[type[BaseModel]]
) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield a model and those inside of it, each once, with the path where it stands first."""
    if model in done:
        return
    done.add(model)
    yield path, model
    for name, field in model.model_fields.items():
        for inner, suffix in _inside(field.annotation):
            yield from models(inner, f"{path}.{field.alias or name}{suffix}", done)


def _inside(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _inside(args[0], suffix)
    elif origin is dict:
        yield from _inside(args[1], f"{suffix}.NAME")
    elif origin in {list, tuple, frozenset, set}:
        for arg in args:
            yield from _inside(arg, f"{suffix}[]")
    else:
        for arg in args:
            yield from _inside(arg, suffix)


def section(path: str, model: type[BaseModel]) -> str:
    """Return the fields of a model as a table."""
    told = descriptions(model)
    rows = [_row(n, field, told.get(n, "")) for n, field in model.model_fields.items()]
    said = "" if path == "spec" else f"{about(model)}\n\n"
    table = "\n".join(["| field | type | default | |", "|---|---|---|---|", *rows])
    example = _example(path, model)
    return f"### `{path}`\n\n{said}{table}\n{example}"


def _row(name: str, field: FieldInfo, text: str) -> str:
    about = " ".join(text.split()).replace("|", "\\|")
    return f"| `{field.alias or name}` | {_type(field.annotation)} | {_default(field)} | {about} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if value is PydanticUndefined or value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if isinstance(value, str | int | float) else ""


_WORDS = {str: "text", int: "whole number", float: "number", bool: "boolean", Any: "any"}


def _type(annotation: Any) -> str:
    """Return a type in words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(args[0])
    if origin is Literal:
        return ", ".join(f"`{a}`" for a in args if a != "")
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_type(a) for a in args if a is not type(None)))
    if origin in {dict, list, tuple}:
        of, what = ("map", args[1]) if origin is dict else ("list", args[0])
        return of if what is Any else f"{of} of {_type(what)}"
    known = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation.__name__ if known else _WORDS.get(annotation, "any")


def _example(path: str, model: type[BaseModel]) -> str:
    """Return what a source sends, as an example of its payload."""
    payload = getattr(model, "example", None)
    if payload is None or isinstance(payload, str):
        return ""
    kind = path.split(".")[1]
    text = payload.encode().decode()
    return f"\nThe data of an event of `{kind}`:\n\n```json\n{text}\n```\n"
