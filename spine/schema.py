"""Turns a `Model` into a Kubernetes structural schema, and into a JSON schema for editors.

pydantic writes JSON Schema 2020-12; a CRD takes a subset of OpenAPI 3.0 without references and
unions. One promise stands above precision: the API server must never refuse what the process
accepts. So objects keep unknown fields (old shapes are stored as they are), nothing is required
or defaulted, and what a validator may rewrite or pydantic may convert is left open. The
editor schema is strict where it may be: unknown fields are marked while one types.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from spine.model import Model, OneOf

Schema = dict[str, Any]
OPEN: Schema = {"x-kubernetes-preserve-unknown-fields": True}
INT_OR_STRING: Schema = {"x-kubernetes-int-or-string": True}

_LOOSE = "x-loose"
"""Marks what a validator may turn into what it should be: any type can stand there."""
_REWRITTEN = "x-rewritten"
"""Marks a model whose validator may change its fields before they are checked."""
_MARKS = frozenset({_LOOSE, _REWRITTEN})
_KEPT = frozenset({"description", "enum", "pattern", "minLength", "maxLength"})


class _Marking(GenerateJsonSchema):
    """Writes JSON schema, and marks what code can change before it is checked."""

    @override
    def function_before_schema(
        self, schema: core_schema.BeforeValidatorFunctionSchema
    ) -> JsonSchemaValue:
        function = schema["function"]["function"]
        out = super().function_before_schema(schema)
        if getattr(function, "__qualname__", "") == "Model._keys":
            return out
        inner: Any = schema["schema"]
        while inner["type"] == "function-before":
            inner = inner["schema"]
        mark = _REWRITTEN if inner["type"] == "model-fields" else _LOOSE
        return {**out, mark: True}

    @override
    def function_wrap_schema(
        self, schema: core_schema.WrapValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return {**super().function_wrap_schema(schema), _LOOSE: True}

    @override
    def function_plain_schema(
        self, schema: core_schema.PlainValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return {_LOOSE: True}

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        out = super().model_schema(schema)
        cls = schema["cls"]
        if _takes_other_than_objects(cls):
            out[_LOOSE] = True
        if out.pop(_REWRITTEN, False):
            for name, field in out.get("properties", {}).items():
                if _takes_other_than_said(cls, name, field):
                    field[_LOOSE] = True
        return out


def _takes_other_than_objects(cls: type[BaseModel]) -> bool:
    """Whether a validator of a model makes something of a text, a number or a list."""
    samples: tuple[Any, ...] = ("x", 1, True, [], ["x"])
    for sample in samples:
        try:
            cls.model_validate(sample)
        except ValidationError as exc:
            if all(e["type"] == "model_type" and not e["loc"] for e in exc.errors()):
                continue
        return True
    return False


_SAMPLES: dict[str, tuple[Any, ...]] = {
    "string": ("x",),
    "integer": (7,),
    "boolean": (True,),
    "array": ([], ["x"]),
    "object": ({}, {"x": "x"}),
}


def _takes_other_than_said(cls: type[BaseModel], name: str, field: Schema) -> bool:
    """Whether a validator of a model makes something of what the schema of a field refuses."""
    types = {_said(arm) for arm in field.get("anyOf", [field])}
    if "any" in types:
        return False
    samples = (s for kind, found in _SAMPLES.items() if kind not in types for s in found)
    return any(_takes(cls, name, sample) for sample in samples)


def _said(arm: Schema) -> str:
    """Return the type that a schema asks for; "" for one of a few values."""
    if "enum" in arm or "const" in arm:
        return ""
    return "object" if "$ref" in arm else str(arm.get("type", "any"))


def _takes(cls: type[BaseModel], name: str, value: Any) -> bool:
    try:
        cls.model_validate({name: value})
    except ValidationError as exc:
        return all(error["loc"][:1] != (name,) for error in exc.errors())
    return True


def _generated(model: type[Model]) -> Schema:
    return model.model_json_schema(by_alias=True, schema_generator=_Marking)


# ---------------------------------------------------------------------------- structural


def structural(model: type[Model], loose: Iterable[str] = ()) -> Schema:
    """Return the schema of a model for a CRD.

    `loose` are paths below it (`*` for items and values) where any type can stand.
    """
    schema = _generated(model)
    out = _Rewriter(schema.get("$defs", {})).rewrite(schema, ())
    for path in loose:
        _open(out, tuple(path.split(".")))
    return out


def _open(node: Schema, path: tuple[str, ...]) -> None:
    """Leave open what stands at a path, if the schema says anything of it."""
    for step in path[:-1]:
        node = _child(node, step)
    found = _child(node, path[-1])
    if found:
        about = {k: v for k, v in found.items() if k == "description"}
        found.clear()
        found.update(about | OPEN)


def _child(node: Schema, step: str) -> Schema:
    if step == "*":
        found: Schema = node.get("items") or node.get("additionalProperties") or {}
        return found
    properties: Schema = node.get("properties", {})
    return properties.get(step) or {}


class _Rewriter:
    """Walks one document; holds its definitions."""

    def __init__(self, definitions: Schema) -> None:
        self._definitions = definitions

    def rewrite(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        """Return a node as a CRD can have it; `inside` are the models around it."""
        if "$ref" in node:
            return self._follow(node, inside)
        about = {k: v for k, v in node.items() if k == "description"}
        arms = node.get("anyOf") or node.get("oneOf") or node.get("allOf")
        if node.get(_LOOSE):
            return about | OPEN
        if arms is not None:
            return self._union(arms, about, inside)
        if node.get("type") == "object":
            return self._object(node, about, inside)
        return self._simple(node, about, inside)

    def _simple(self, node: Schema, about: Schema, inside: tuple[str, ...]) -> Schema:
        kind = node.get("type")
        if kind == "array":
            items = self.rewrite(node.get("items", {}), inside)
            return about | {"type": "array", "items": items, "nullable": True}
        if kind == "integer":
            return about | INT_OR_STRING | {"nullable": True}  # pydantic reads "3" as 3
        if kind == "string" and "const" not in node:
            kept = {k: v for k, v in node.items() if k in _KEPT}
            if "enum" in kept:
                kept["enum"] = [*kept["enum"], None]  # else null is refused, nullable or not
            return kept | {"type": "string", "nullable": True}
        return about | OPEN  # booleans and numbers may stand as texts, too

    def _object(self, node: Schema, about: Schema, inside: tuple[str, ...]) -> Schema:
        out = about | {"type": "object", "nullable": True}
        if "properties" in node:
            fields = {k: self.rewrite(v, inside) for k, v in node["properties"].items()}
            return out | {"properties": fields} | OPEN
        values = node.get("additionalProperties")
        if isinstance(values, dict):
            return out | {"additionalProperties": self.rewrite(values, inside)}
        return out | OPEN

    def _follow(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        name = node["$ref"].rsplit("/", 1)[-1]
        about = {k: v for k, v in node.items() if k == "description"}
        if node.get(_LOOSE):
            return about | OPEN
        if name in inside:  # a model that contains itself: a CRD cannot say it
            return about | {"type": "object", "nullable": True} | OPEN
        return self.rewrite(self._definitions[name], (*inside, name)) | about

    def _union(self, arms: list[Schema], about: Schema, inside: tuple[str, ...]) -> Schema:
        real = [arm for arm in arms if arm.get("type") != "null"]
        if len(real) == 1:
            return self.rewrite(real[0], inside) | about
        if {arm.get("type") for arm in real} <= {"integer", "string"}:
            return about | INT_OR_STRING | {"nullable": True}
        return about | OPEN


def one_of_rule(model: type[OneOf]) -> Schema:
    """Return the CEL twin of `OneOf`, for a model that is not inside of a list or map."""
    names = [f.alias or n for n, f in model.model_fields.items()]
    count = " + ".join(f"(has(self.{n}) ? 1 : 0)" for n in names)
    return {"rule": f"{count} == 1", "message": f"set exactly one of: {', '.join(names)}"}


# ---------------------------------------------------------------------------- editors


def editor(model: type[Model]) -> Schema:
    """Return the JSON schema of a model: strict about names, lenient where code converts."""
    out = _unmarked(_generated(model))
    assert isinstance(out, dict)
    return out


def _unmarked(node: Any) -> Any:
    if isinstance(node, list):
        return [_unmarked(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get(_LOOSE):
        return {k: v for k, v in node.items() if k in {"description", "title", "default"}}
    return {k: _unmarked(v) for k, v in node.items() if k not in _MARKS}
