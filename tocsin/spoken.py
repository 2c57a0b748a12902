"""Which field of a manifest speaks which language, for `tocsin eval --fields`.

A model's field is named once here; where it stands in manifests is read off the models, so a
new kind of source or trigger is listed by itself. What notifications speak has functions of its
own, and is tried with `tocsin notify`.
"""

import inspect
import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from spine.model import Model


class Field(NamedTuple):
    """A field of a manifest that speaks a language."""

    kind: str
    path: str
    """Such as `spec.dependencies[].transform.jq`; `*` is any name."""
    language: str


SPOKEN = {
    "Transform.jq": "jq",
    "Transform.script": "lua",
    "Filters.script": "lua",
    "DataFilter.path": "gjson",
    "DataFilter.value": "regex",
    "DataFilter.template": "template",
    "ExprFilter.expr": "govaluate",
    "ExprField.path": "gjson",
    "TriggerTemplate.conditions": "conditions",
    "ByTime.cron": "cron",
    "ParameterSource.data_key": "gjson",
    "ParameterSource.data_template": "template",
    "ParameterSource.context_key": "gjson",
    "ParameterSource.context_template": "template",
    "PayloadEntry.dest": "sjson",
    "Parameter.dest": "sjson",
    "SensorTrigger.if_": "expr",
    "SensorSpec.start_from": "duration",
    "IdempotencyKey.duration": "duration",
    "Debounce.duration": "duration",
    "Debounce.max_wait": "duration",
    "Batch.duration": "duration",
    "RetryBackoff.duration": "duration",
    "EventSourceFilter.expression": "expr-1.15",
    "Calendar.schedule": "cron",
    "Calendar.interval": "duration",
    "Catchup.max_duration": "duration",
    "JetStream.ack_wait": "duration",
    "Sftp.poll_interval_duration": "duration",
    "WatchPathConfig.path_regexp": "regex",
    "FieldSelector.key": "gjson",
    "FieldSelector.value": "regex",
    "Resource.on_change": "gjson",
    "NatsNative.max_age": "duration",
}
"""Model and field -> language. What takes a path of gjson takes a JSONPath too."""


def fields() -> list[Field]:
    """Return all fields that speak a language, in the order of the languages' names."""
    from eventbus.spec import EventBusSpec
    from eventsource.spec import EventSourceSpec
    from sensor.spec import SensorSpec

    roots: dict[str, type[Model]] = {
        "EventBus": EventBusSpec,
        "EventSource": EventSourceSpec,
        "Sensor": SensorSpec,
    }
    return [
        Field(kind, one.path, SPOKEN[one.spoken])
        for kind, model in roots.items()
        for one in walk(model, "spec")
        if one.spoken in SPOKEN
    ]


class Place(NamedTuple):
    """A field of a model, and where it stands in a manifest."""

    model: type[Model]
    name: str
    path: str

    @property
    def spoken(self) -> str:
        """How SPOKEN calls it: by the model that declares it."""
        owner = next(c for c in self.model.__mro__ if self.name in inspect.get_annotations(c))
        return f"{owner.__name__}.{self.name}"


def walk(
    model: type[Model], path: str, above: frozenset[type[Model]] = frozenset()
) -> Iterator[Place]:
    """Yield each field of a model and of those inside.

    What holds itself, as `dlqTrigger` does, is shown once; what is not built yet is left out.
    """
    above |= {model}
    for name, info in model.model_fields.items():
        here = f"{path}.{info.alias or name}"
        yield Place(model, name, here + ("[]" if get_origin(info.annotation) is list else ""))
        for inner, steps in _models(info.annotation):
            if inner not in above and "Unbuilt" not in {c.__name__ for c in inner.__mro__}:
                yield from walk(inner, here + steps, above)


def _models(annotation: Any, steps: str = "") -> Iterator[tuple[type[Model], str]]:
    """Yield the models in a type, with what leads to them: `[]` in lists, `.*` in maps."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation, steps
    elif origin is Annotated:
        yield from _models(inside[0], steps)
    elif origin in {Union, types.UnionType}:
        for one in inside:
            yield from _models(one, steps)
    elif origin is dict:
        yield from _models(inside[1], f"{steps}.*")
    elif origin is list:
        yield from _models(inside[0], f"{steps}[]")


# ---------------------------------------------------------------------------- showing


def short(paths: Sequence[str]) -> list[str]:
    """Return paths with those in one that differ in one step: `spec.{a,b}.c`."""
    found: list[tuple[tuple[str, ...], ...]]
    found = [tuple((step,) for step in path.split(".")) for path in dict.fromkeys(paths)]
    for at in range(max(map(len, found), default=0)):
        alike: dict[Any, list[str]] = {}
        for one in found:
            steps = alike.setdefault((one[:at], one[at + 1 :], len(one)), [])
            steps += one[at] if at < len(one) else ()
        found = [
            (*head, tuple(steps), *tail) if steps else head
            for (head, tail, _), steps in alike.items()
        ]
    return [".".join(map(_braced, steps)) for steps in found]


def _braced(steps: tuple[str, ...]) -> str:
    if len(steps) == 1:
        return steps[0]
    ends = "[]" if all(step.endswith("[]") for step in steps) else ""
    return f"{{{','.join(step.removesuffix(ends) for step in steps)}}}{ends}"
