"""Turns a `Model` into a Kubernetes structural schema, and into a JSON schema for editors.

pydantic writes JSON Schema 2020-12; a CRD takes a subset of OpenAPI 3.0 without references and
unions. One promise stands above precision: the API server must never refuse what the process
accepts. So objects keep unknown fields (old shapes are stored as they are), nothing is required
or defaulted, and what a validator may rewrite or pydantic may convert is left open. What the
types cannot say (one of these, both or none) are rules in CEL: see `Rules`. The editor schema is
strict where it may be: unknown fields are marked while one types.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from spine.described import descriptions
from spine.model import Model

Schema = dict[str, Any]
OPEN: Schema = {"x-kubernetes-preserve-unknown-fields": True}
ANYTHING: Schema = {"nullable": True, **OPEN}
"""Any value; without `nullable` a null is dropped, which may have meant something."""
INT_OR_STRING: Schema = {"x-kubernetes-int-or-string": True}

_LOOSE = "x-loose"
"""Marks what a validator may turn into what it should be: any type can stand there."""
_REWRITTEN = "x-rewritten"
"""Marks a model whose validator may change its fields before they are checked."""
_STRICT = "x-strict"
"""Marks a boolean or an integer that is never taken from a text."""
_MODEL = "x-model"
"""Names the model that a schema is of."""
_WORDS = "x-words"
"""Lists the texts that are taken; in a list or a map, where a null stays, it comes to nothing."""
_MARKS = frozenset({_LOOSE, _REWRITTEN, _STRICT, _MODEL})
_KEPT = frozenset({"description", "pattern", "minLength", "maxLength"})
MOST = 100_000
"""Items of a list or map with rules: more than fit into any object that etcd or a Secret takes. It
bounds what the API server expects the rules to cost, which it refuses else."""
_INT32 = 2**31
_EXACT = 2**53
"""From here on a bound is no longer exact: the API keeps bounds as floating-point numbers."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the API server checks of a model beside its types.

    A rule must hold of everything that the process accepts. A key that is looked for has to be in
    its own case: in another, which the process takes with a warning, no rule can see it.
    """

    rules: tuple[tuple[str, str], ...] = ()
    """CEL over `self`, and what is said where it does not hold."""
    some: tuple[str, ...] = ()
    """At least one of these has to be there: for a list in a list, where no CEL fits the budget."""
    seen: Mapping[str, Schema] = field(default_factory=dict)
    """Fields that the model does not have and that the rules look at, such as old shapes."""


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
    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return super().bool_schema(schema) | ({_STRICT: True} if schema.get("strict") else {})

    @override
    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return super().int_schema(schema) | ({_STRICT: True} if schema.get("strict") else {})

    @override
    def function_plain_schema(
        self, schema: core_schema.PlainValidatorFunctionSchema
    ) -> JsonSchemaValue:
        return {_LOOSE: True}

    @override
    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        out = super().model_schema(schema)
        cls = schema["cls"]
        out[_MODEL] = _name(cls)
        _describe(out.get("properties", {}), cls)
        if _takes_other_than_objects(cls):
            out[_LOOSE] = True
        if out.pop(_REWRITTEN, False):
            for name, field in out.get("properties", {}).items():
                if _takes_other_than_said(cls, name, field):
                    field[_LOOSE] = True
        return out


def _describe(properties: Schema, cls: type[BaseModel]) -> None:
    """Give the fields of a model their docstrings."""
    for name, text in descriptions(cls).items():
        key = cls.model_fields[name].alias or name
        if key in properties:
            properties[key]["description"] = text


def _name(model: type) -> str:
    return f"{model.__module__}.{model.__qualname__}"


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
    arms = field.get("anyOf", [field])
    types = {_said(arm) for arm in arms}
    if "any" in types:
        return False
    samples = [s for kind, found in _SAMPLES.items() if kind not in types for s in found]
    if any(arm.get(_STRICT) for arm in arms):
        samples += ["7", "true"]
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


def structural(
    model: type[Model],
    loose: Iterable[str] = (),
    rules: Mapping[type[BaseModel], Rules] | None = None,
) -> Schema:
    """Return the schema of a model for a CRD.

    `loose` are paths below it (`*` for items and values) where any type can stand. `rules` are
    those of models, and of all that are made from these.
    """
    schema = _generated(model)
    out = _Rewriter(schema.get("$defs", {})).rewrite(schema, ())
    for path in loose:
        _open(out, tuple(path.split(".")))
    by_name = {_name(m): _rules_of(m, rules or {}) for m in (model, *_subclasses(Model))}
    _add_rules(out, by_name)
    return out


def _subclasses(model: type[BaseModel]) -> Iterable[type[BaseModel]]:
    for one in model.__subclasses__():
        yield one
        yield from _subclasses(one)


def _rules_of(model: type, rules: Mapping[type[BaseModel], Rules]) -> list[Rules]:
    return [rules[cls] for cls in model.__mro__ if cls in rules]


def _add_rules(node: Schema, rules: Mapping[str, list[Rules]]) -> bool:
    """Add the rules of each model below a node; return whether there are any."""
    ruled = False
    for found in rules.get(node.pop(_MODEL, ""), ()):
        ruled = True
        node["properties"] |= copy.deepcopy(dict(found.seen))
        if found.rules:
            stated = [{"rule": rule, "message": message} for rule, message in found.rules]
            node.setdefault("x-kubernetes-validations", []).extend(stated)
        if found.some:
            node["anyOf"] = [{"required": [name]} for name in found.some]
    for inner in node.get("properties", {}).values():
        ruled |= _add_rules(inner, rules)
    for key, most in (("items", "maxItems"), ("additionalProperties", "maxProperties")):
        if key in node and _add_rules(node[key], rules):
            node.setdefault(most, MOST)
            ruled = True
    return ruled


def _open(node: Schema, path: tuple[str, ...]) -> None:
    """Leave open what stands at a path, if the schema says anything of it."""
    for step in path[:-1]:
        node = _child(node, step)
    found = _child(node, path[-1])
    if found:
        about = {k: v for k, v in found.items() if k == "description"}
        found.clear()
        found.update(about | ANYTHING)


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
            return about | ANYTHING
        if arms is not None:
            return self._union(arms, about, inside)
        if node.get("type") == "object":
            return self._object(node, about, inside)
        return self._simple(node, about, inside)

    def _simple(self, node: Schema, about: Schema, inside: tuple[str, ...]) -> Schema:
        kind = node.get("type")
        if kind == "array":
            items = self.rewrite(node.get("items", {}), inside)
            items.pop(_WORDS, None)
            bounds = {k: v for k, v in node.items() if k in {"minItems", "maxItems"}}
            return about | {"type": "array", "items": items, "nullable": True} | bounds
        if node.get(_STRICT) and "const" not in node:
            of = {"type": "boolean"} if kind == "boolean" else _integer(node)
            return about | of | {"nullable": True}
        if kind == "integer":
            return about | INT_OR_STRING | {"nullable": True}  # pydantic reads "3" as 3
        if kind == "string" and "const" not in node:
            kept = _one_of(node) if "enum" in node else _kept(node)
            return kept | {"type": "string", "nullable": True}
        return about | ANYTHING  # booleans and numbers may stand as texts, too

    def _object(self, node: Schema, about: Schema, inside: tuple[str, ...]) -> Schema:
        out = about | {"type": "object", "nullable": True}
        if "properties" in node:
            fields = {k: _listed(self.rewrite(v, inside)) for k, v in node["properties"].items()}
            return out | {"properties": fields, _MODEL: node.get(_MODEL, "")} | OPEN
        values = node.get("additionalProperties")
        if isinstance(values, dict):
            inner = self.rewrite(values, inside)
            inner.pop(_WORDS, None)
            return out | {"additionalProperties": inner}
        return out | OPEN

    def _follow(self, node: Schema, inside: tuple[str, ...]) -> Schema:
        name = node["$ref"].rsplit("/", 1)[-1]
        about = {k: v for k, v in node.items() if k == "description"}
        if node.get(_LOOSE):
            return about | ANYTHING
        if name in inside:  # a model that contains itself: a CRD cannot say it
            return about | {"type": "object", "nullable": True} | OPEN
        return self.rewrite(self._definitions[name], (*inside, name)) | about

    def _union(self, arms: list[Schema], about: Schema, inside: tuple[str, ...]) -> Schema:
        real = [arm for arm in arms if arm.get("type") != "null"]
        if len(real) == 1:
            return self.rewrite(real[0] | about, inside)
        if {arm.get("type") for arm in real} <= {"integer", "string"}:
            return about | INT_OR_STRING | {"nullable": True}
        return about | ANYTHING


def _kept(node: Schema) -> Schema:
    return {key: value for key, value in node.items() if key in _KEPT}


def _one_of(node: Schema) -> Schema:
    """Return a text of which few are taken; with `enum`, the API server refuses a null."""
    shown = ", ".join(value or '""' for value in node["enum"])
    about = f"{node.get('description', '')} One of: {shown}.".lstrip()
    words = "|".join(map(re.escape, node["enum"])).replace(r"\-", "-")
    return {"description": about, "pattern": f"^({words})$", _WORDS: node["enum"]}


def _listed(field: Schema) -> Schema:
    """Return a field of a model, with the texts that are taken as a list where there are few.

    So the API server tells them to whoever writes another. A null it drops then, as it does in a
    field that is not nullable; to a model that is the same.
    """
    words = field.pop(_WORDS, None)
    if words is None:
        return field
    kept = {k: v for k, v in field.items() if k not in {"pattern", "nullable"}}
    return kept | {"enum": list(words)}


def _integer(node: Schema) -> Schema:
    """Return an integer with its bounds, as far as the API can keep them."""
    low, high = node.get("minimum"), node.get("maximum")
    if "exclusiveMinimum" in node:
        low = node["exclusiveMinimum"] + 1
    if "exclusiveMaximum" in node:
        high = node["exclusiveMaximum"] - 1
    small = low is not None and high is not None and low >= -_INT32 and high < _INT32
    out: Schema = {"type": "integer", "format": "int32" if small else "int64"}
    for name, bound in (("minimum", low), ("maximum", high)):
        if bound is not None and abs(bound) < _EXACT:
            out[name] = bound
    return out


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
