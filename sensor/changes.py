"""Parameters for an object that is fetched only when the action is done.

What they are worth follows from the events and is settled when the action is rendered; into the
object they are put by the sender, who has it then.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sensor.parameters import Parameter, Put, compile_put
from sensor.sources import compile_source
from sensor.trigger import Events
from spine.lang.gjson import Kind

Changes = list[dict[str, Any]]
"""What to put where: `dest`, `operation`, `text`, and `json` where the text is a value itself."""


def compile_changes(parameters: Sequence[Parameter]) -> Callable[[Events], Changes]:
    """Compile parameters to what settles them. Raises ConfigError for a bad path."""
    for parameter in parameters:
        compile_put(parameter.dest, parameter.operation)
    steps = [(one, compile_source(one.src)) for one in parameters]

    def settle(events: Events) -> Changes:
        out: Changes = []
        for parameter, resolve in steps:
            value = resolve(events)
            if value is None:
                continue
            change: dict[str, Any] = {"dest": parameter.dest, "text": value.text}
            if parameter.operation:
                change["operation"] = parameter.operation
            if parameter.src.use_raw_data and value.kind is not Kind.STRING:
                change["json"] = True
            out.append(change)
        return out

    return settle


def put_changes(document: bytes, changes: Sequence[Mapping[str, Any]]) -> bytes:
    """Put settled changes into a JSON document. Raises ParameterError."""
    for change in changes:
        put = _put(change["dest"], change.get("operation", ""))
        document = put(document, change["text"], change.get("json", False))
    return document


@lru_cache(maxsize=256)
def _put(dest: str, operation: str) -> Put:
    return compile_put(dest, operation)
