"""The object that a trigger makes: its source, changed by parameters.

What stands in the Sensor is changed when an action is rendered. What is fetched only when the
action is done (a ConfigMap, a file, the live object) is changed then, by parameters that were
settled before: the action holds `source` and `changes` in place of `object`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from sensor.artifact import ArtifactLocation
from sensor.changes import compile_changes
from sensor.parameters import Parameter, compile_parameters
from sensor.trigger import Events, Render
from spine.errors import ConfigError, ParameterError
from spine.lang import gojson

Object = dict[str, Any]
Check = Callable[[Object], str]
"""Says why an object cannot be used; empty where it can."""


def compile_object(
    source: ArtifactLocation, parameters: Sequence[Parameter], check: Check, *, live: bool = False
) -> Render:
    """Return what makes `object`, or `source` and `changes`, of a firing.

    With `live` the parameters are for the object in the cluster; what the source says is only
    where it is. Raises ConfigError for a source of which nothing can ever come.
    """
    source.check()
    document = source.document()
    if document is None or live:
        return _later(source, document, parameters, check)
    if not parameters:
        return _fixed(document, check)
    apply = compile_parameters(parameters)

    def render(events: Events) -> dict[str, Any]:
        made = object_of(apply(document, events), check)
        return {"object": made}

    return render


def _fixed(document: bytes, check: Check) -> Render:
    try:
        made = object_of(document, check)
    except ParameterError as exc:
        raise ConfigError(str(exc)) from exc
    return lambda _: {"object": made}


def _later(
    source: ArtifactLocation,
    document: bytes | None,
    parameters: Sequence[Parameter],
    check: Check,
) -> Render:
    place: dict[str, Any]
    if document is None:
        place = {"source": source.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
    else:
        place = _fixed(document, check)({})
    settle = compile_changes(parameters)

    def render(events: Events) -> dict[str, Any]:
        changes = settle(events)
        return {**place, "changes": changes} if changes else place.copy()

    return render


_INT64 = range(-(2**63), 2**63)
_LARGE = re.compile(rb"\d{19}")


def object_of(document: bytes, check: Check) -> Object:
    """Read an object of Kubernetes. Raises ParameterError for what is none."""
    try:
        value = orjson.loads(gojson.without_lone_surrogates(document) or document)
        if _LARGE.search(document):
            value = _numbers(value)
    except (ValueError, RecursionError) as exc:
        raise ParameterError(f"reading the object: no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise ParameterError("reading the object: it is no map")
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind:
        raise ParameterError("reading the object: it has no kind", hint="write apiVersion and kind")
    if why := check(value):
        raise ParameterError(f"reading the object of kind {kind}: {why}")
    return value


def _numbers(value: Any) -> Any:
    """Give integers beyond 64 bits as doubles, the only form in which Kubernetes has them."""
    if isinstance(value, dict):
        return {key: _numbers(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and value not in _INT64:
        return float(value)
    return value


def name_of(made: Mapping[str, Any], key: str = "name") -> str:
    """Return `metadata.name`, or another text of the metadata; empty where there is none."""
    metadata = made.get("metadata")
    found = metadata.get(key) if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else ""
