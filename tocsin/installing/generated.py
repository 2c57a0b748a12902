"""The files of the chart that are written from its values: values, their schema and their table."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from spine.described import descriptions
from spine.model import Model
from spine.schema import Schema, editor
from tocsin.installing.values import Values

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = "charts/tocsin"
TABLE = ("<!-- values -->\n", "<!-- end of values -->\n")
"""Where the table stands in the chart's README."""
_LEFT_OUT = "global"
"""Need not be in `values.yaml`."""


def values_yaml() -> str:
    """Return `values.yaml`: all values with what they mean."""
    head = "# Generated from the code by: make generate\n"
    return head + "".join(_lines(Values, 0))


def _fields(model: type[Model]) -> Iterator[tuple[str, FieldInfo, str]]:
    told = descriptions(model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key != _LEFT_OUT:
            yield key, field, told[name]


def _lines(model: type[Model], depth: int) -> Iterator[str]:
    """Yield a comment, a key and its default, for each field."""
    indent = "  " * depth
    for key, field, about in _fields(model):
        if depth == 0:
            yield "\n"
        yield f"{indent}# {about}\n"
        if isinstance(field.default, Model):
            yield f"{indent}{key}:\n"
            yield from _lines(type(field.default), depth + 1)
        else:
            text = yaml.safe_dump({key: field.default}, sort_keys=False, width=1000)
            yield "".join(f"{indent}{line}\n" for line in text.splitlines())


def defaults() -> dict[str, Any]:
    """Return all values as nobody sets them."""
    return Values().model_dump(by_alias=True, exclude={"global_"})


def schema() -> Schema:
    """Return `values.schema.json`. Whatever is unknown, null or of another type is refused."""
    made = editor(Values)
    definitions = made.pop("$defs")
    for name, one in (("Values", made), *definitions.items()):
        one["required"] = [key for key in one["properties"] if key != _LEFT_OUT]
        definitions[name] = one
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **_plain(made),
        "definitions": {k: _plain(v) for k, v in definitions.items() if k != "Values"},
    }


def _plain(node: Any) -> Any:
    """Return a schema of draft 7, without titles and defaults, which stand elsewhere."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:  # in draft 7 nothing stands beside it
        return {"$ref": node["$ref"].replace("#/$defs/", "#/definitions/")}
    properties = node.get("properties")
    out = {k: _plain(v) for k, v in node.items() if k not in {"title", "default", "properties"}}
    if properties is not None:
        out["properties"] = {k: _plain(v) for k, v in properties.items()}
    return out


def table() -> str:
    """Return the table of the README."""
    rows = "".join(
        f"| `{path}` | {about} | `{json.dumps(default)}` |\n"
        for path, about, default in _rows(Values)
    )
    return f"| value | meaning | default |\n|---|---|---|\n{rows}"


def _rows(model: type[Model], prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    for key, field, about in _fields(model):
        if isinstance(field.default, Model):
            yield from _rows(type(field.default), f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", about.replace("|", "\\|"), field.default


def readme() -> str:
    """Return the README of the chart with its table anew."""
    begin, end = TABLE
    head, _, rest = (ROOT / CHART / "README.md").read_text("utf-8").partition(begin)
    return f"{head}{begin}{table()}{end}{rest.partition(end)[2]}"
