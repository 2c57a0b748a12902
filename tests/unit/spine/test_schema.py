"""Schemas: the API server never refuses what the process accepts; editors mark what is unknown."""

import copy
from typing import Annotated, Any, Literal

import pytest
from crd_kit import accepts
from pydantic import BeforeValidator, Field, field_validator, model_validator

from spine.fields import Flag, Int32, Integer
from spine.model import Model, OneOf, load
from spine.schema import _MARKS, ANYTHING, MOST, OPEN, Rules, editor, structural


class Inner(Model):
    """A part."""

    name: str
    """Its name."""
    again: "Outer | None" = None


class Either(OneOf):
    a_b: Inner | None = None
    c: Inner | None = None


class Lenient(Model):
    """Made of a text, too."""

    x: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, raw: Any) -> Any:
        return {"x": raw} if isinstance(raw, str) else raw


class Outer(Model):
    """Everything that a model can have."""

    text: str = "default"
    """With a docstring."""
    size: Annotated[int, Field(ge=1, le=5)] = 1
    share: float = 0.5
    flag: bool = False
    choice: Literal["", "a", "b"] = ""
    one: Literal["only"] | None = None
    texts: list[str] = []
    parts: dict[str, Inner] = {}
    plain: dict[str, str] = {}
    anything: dict[str, Any] = {}
    either: Either | None = None
    lenient: Lenient | None = None
    mixed: int | str = 0
    odd: int | list[str] = 0
    port: str = "80"
    pattern: Annotated[str, Field(pattern="^[a-z]+$")] = "x"
    shouted: Annotated[str, BeforeValidator(str)] = ""
    number_or_text: str = ""
    strict: Flag = False
    """A boolean and nothing else."""
    small: Int32 = 0
    large: Integer | None = None
    some: Annotated[int, Field(strict=True, gt=0, lt=100)] = 1
    filled: Annotated[list[str], Field(min_length=1, max_length=9)] = ["x"]
    flag_or_text: Flag = False

    @field_validator("port", mode="before")
    @classmethod
    def _port(cls, raw: Any) -> Any:
        return str(raw)

    @model_validator(mode="before")
    @classmethod
    def _rewrite(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and isinstance(raw.get("numberOrText"), int):
            return {**raw, "numberOrText": str(raw["numberOrText"])}
        if isinstance(raw, dict) and raw.get("flagOrText") == "true":
            return {**raw, "flagOrText": True}
        return raw


Inner.model_rebuild()


class Several(Model):
    of: list[Literal["a", "b"]] = []
    named: dict[str, Literal["a", "b"]] = {}


NAMED = {"rule": "has(self.name)", "message": "set name"}
OLD = {"description": "Write c.", "type": "string", "nullable": True}
RULES = {
    Inner: Rules((("has(self.name)", "set name"),)),
    Either: Rules((("has(self.c) || has(self.old)", "set c"),), seen={"old": OLD}),
}

GOOD: list[dict[str, Any]] = [
    {},
    {"text": "x", "size": 3, "share": 1.5, "flag": True},
    {"size": "3", "flag": "yes", "share": "0.1"},
    {"TEXT": "another case"},
    {"choice": "a", "one": "only"},
    {"parts": {"p": {"name": "x", "again": {"text": "deep", "parts": {}}}}},
    {"either": {"aB": {"name": "x"}}},
    {"lenient": "text"},
    {"lenient": {"x": "y"}},
    {"mixed": "x", "odd": ["y"]},
    {"port": 8080},
    {"shouted": 1},
    {"numberOrText": 7},
    {"strict": True, "small": 7, "large": 2**62, "some": 99, "filled": ["x"]},
    {"flagOrText": "true"},
    {"anything": {"deep": [1, {"x": None}]}},
]


@pytest.mark.parametrize("value", GOOD, ids=repr)
def test_what_the_model_takes_the_crd_takes_and_keeps(value):
    load(Outer, copy.deepcopy(value))

    assert accepts(structural(Outer), value)


def test_few_texts_are_listed_and_a_null_is_dropped():
    choice = structural(Outer)["properties"]["choice"]
    assert choice == {"description": 'One of: "", a, b.', "type": "string", "enum": ["", "a", "b"]}
    some = structural(Several)["properties"]
    assert some["of"]["items"]["pattern"] == "^(a|b)$"  # a null in a list is not dropped
    assert some["named"]["additionalProperties"]["nullable"]
    assert "x-words" not in str(some)


@pytest.mark.parametrize(
    "value",
    [
        {"text": 3},
        {"texts": "x"},
        {"choice": "c"},
        {"parts": {"p": 1}},
        {"plain": {"x": 1}},
        {"strict": "true"},
        {"small": "7"},
        {"some": 0},
        {"some": 100},
        {"filled": []},
    ],
    ids=repr,
)
def test_what_is_plainly_wrong_is_refused_by_the_api_server_too(value):
    assert not accepts(structural(Outer), value)


def test_strict_numbers_keep_what_the_api_can_say_of_them():
    fields = structural(Outer)["properties"]

    integer = {"type": "integer", "nullable": True}
    bounds = {"minimum": -(2**31), "maximum": 2**31 - 1}
    assert fields["small"] == integer | {"format": "int32", **bounds}
    assert fields["large"] == integer | {"format": "int64"}
    assert fields["some"] == integer | {"format": "int32", "minimum": 1, "maximum": 99}


def test_a_crd_has_no_references_defaults_or_required_fields():
    text = repr(structural(Outer, rules=RULES))

    for word in ("$ref", "$defs", "'default':", "required", "anyOf", *_MARKS):
        assert word not in text


def test_docstrings_become_descriptions():
    assert structural(Outer)["properties"]["text"]["description"] == "With a docstring."
    inner = structural(Outer)["properties"]["parts"]["additionalProperties"]
    assert inner["properties"]["name"]["description"] == "Its name."


def test_a_model_inside_of_itself_is_left_open():
    inner = structural(Outer)["properties"]["parts"]["additionalProperties"]

    assert inner["properties"]["again"] == {"type": "object", "nullable": True, **OPEN}


def test_paths_of_old_shapes_are_left_open():
    schema = structural(Outer, ["plain", "parts.*.name", "no.such.path"])

    assert schema["properties"]["plain"] == ANYTHING
    assert accepts(schema, {"plain": {"x": ["y"]}, "parts": {"p": {"name": 3}}})


def test_a_null_is_taken_wherever_a_value_can_stand():
    assert accepts(structural(Outer), dict.fromkeys(f.alias for f in Outer.model_fields.values()))


def test_rules_stand_where_their_model_does():
    schema = structural(Outer, rules=RULES)

    rule = {"rule": "has(self.c) || has(self.old)", "message": "set c"}
    either = schema["properties"]["either"]
    assert either["x-kubernetes-validations"] == [rule]
    assert either["properties"]["old"] == OLD
    part = schema["properties"]["parts"]
    assert part["additionalProperties"]["x-kubernetes-validations"] == [NAMED]
    assert part["maxProperties"] == MOST
    assert "maxProperties" not in schema["properties"]["plain"]


def test_rules_hold_for_what_is_made_from_their_model():
    class More(Inner):
        """More of it."""

    assert structural(More, rules=RULES)["x-kubernetes-validations"] == [NAMED]


def test_where_no_rule_fits_one_of_several_can_be_asked_for():
    schema = structural(Either, rules={Either: Rules(some=("aB", "c"))})

    assert schema["anyOf"] == [{"required": ["aB"]}, {"required": ["c"]}]


def test_editors_refuse_unknown_fields_and_take_what_is_converted():
    schema = editor(Outer)
    outer = schema["$defs"]["Outer"] if "$ref" in schema else schema

    assert outer["additionalProperties"] is False
    assert "type" not in outer["properties"]["port"]
    assert outer["properties"]["text"]["default"] == "default"
    assert "x-loose" not in repr(schema)
