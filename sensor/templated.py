"""A configuration that events change before it is used.

Parameters are put into the JSON of a configuration, which is then read and compiled as if it
had been written so. What comes out equal again is not compiled again.
"""

from collections.abc import Callable, Mapping, Sequence

import orjson

from sensor.parameters import Apply, Parameter
from sensor.trigger import Events, Render, Trigger
from spine.errors import ConfigError, ParameterError
from spine.model import Model

_KEPT = 64
"""Compiled configurations kept for each trigger: there are few URLs and many events."""


def json_of(model: Model, *, without: frozenset[str] = frozenset()) -> bytes:
    """Return what was written in a manifest, as JSON."""
    raw = model.model_dump(
        by_alias=True, exclude_unset=True, exclude_none=True, exclude=set(without)
    )
    return orjson.dumps(raw)


def compile_changing(document: bytes, apply: Apply, build: Callable[[bytes], Render]) -> Render:
    """Return a rendering that changes a document by the events and builds what it says then.

    `build` raises ConfigError for a document that is no longer valid.
    """
    built: dict[bytes, Render] = {}

    def render(events: Events) -> dict[str, object]:
        changed = apply(document, events)
        ready = built.get(changed)
        if ready is None:
            if len(built) >= _KEPT:
                del built[next(iter(built))]
            ready = built[changed] = _built(changed, build)
        return ready(events)

    return render


def _built(document: bytes, build: Callable[[bytes], Render]) -> Render:
    try:
        return build(document)
    except ConfigError as exc:
        raise ParameterError(f"changing the trigger by its parameters: {exc}") from exc


def changed_fields(trigger: Trigger, parameters: Sequence[Parameter]) -> set[str]:
    """Return the fields of a trigger that parameters change, its own ones and those beside it."""
    names = {info.alias or name: name for name, info in type(trigger).model_fields.items()}
    own: Sequence[Parameter] = getattr(trigger, "parameters", ())
    dests = [parameter.dest for parameter in own]
    for parameter in parameters:
        kind, _, rest = parameter.dest.partition(".")
        if kind == trigger.kind:
            dests.append(rest)
    fields = {dest.partition(".")[0] for dest in dests}
    return set(names.values()) if "" in fields else {names[f] for f in fields if f in names}


def refuse_fixed(parameters: Sequence[Parameter], trigger: Trigger, prefix: str = "") -> None:
    """Raise ConfigError for a parameter that goes to what is fixed in a trigger.

    `prefix` is what stands before the fields of the trigger in a destination, such as `notify.`.
    """
    for parameter in parameters:
        dest = parameter.dest
        field = dest.removeprefix(prefix).partition(".")[0]
        if dest.startswith(prefix) and field in trigger.fixed:
            raise ConfigError(f"{dest!r}: {_fixed(field)}")


def keep_fixed(written: Trigger, changed: Trigger) -> None:
    """Raise ConfigError where parameters have changed what is fixed, by whatever path."""
    for field in sorted(written.fixed):
        if getattr(written, field) != getattr(changed, field):
            raise ConfigError(_fixed(field))


def _fixed(field: str) -> str:
    return f"parameters cannot change {field}: an event must not choose it"


def members(document: bytes) -> Mapping[str, object]:
    """Return the members of a changed document. Raises ConfigError where it is no object."""
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError as exc:
        raise ConfigError(f"reading what the parameters made: {exc}") from exc
    if not isinstance(value, dict):
        raise ConfigError("reading what the parameters made: it is no object")
    return value
