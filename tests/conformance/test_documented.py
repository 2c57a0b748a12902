"""Every field that a user can write says what it is: the reference page is made of that."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from eventbus.spec import EventBusSpec
from eventsource.spec import EventSourceSpec
from sensor.spec import SensorSpec
from spine.described import descriptions


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models(argument)


def reachable(*roots: type[BaseModel]) -> list[type[BaseModel]]:
    found: dict[type[BaseModel], None] = {}
    waiting = list(roots)
    while waiting:
        model = waiting.pop()
        if model not in found:
            found[model] = None
            waiting += [m for f in model.model_fields.values() for m in models(f.annotation)]
    return list(found)


@pytest.mark.parametrize(
    "model", reachable(EventBusSpec, EventSourceSpec, SensorSpec), ids=lambda m: m.__qualname__
)
def test_every_field_is_documented(model: type[BaseModel]):
    silent = [name for name in model.model_fields if name not in descriptions(model)]
    assert not silent, f"{model.__name__}: add a docstring below {silent}"
    assert model.__doc__
