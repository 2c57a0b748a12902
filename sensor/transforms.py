"""Transforms: a program turns the data of an event into other data.

It sees the data only, which must be an object (or null), and gives an object. The attributes of
the event stay; its content type becomes JSON. An event without data passes as it is.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from sensor.spec import Transform
from spine.errors import TransformError
from spine.event import JSON, Event
from spine.lang import EvaluationError

_OBJECT = re.compile(rb"[ \t\r\n]*(?:\{|null[ \t\r\n]*$)")


class Compiled(NamedTuple):
    """A transform that is ready."""

    apply: Callable[[Event], Event]
    """Raises TransformError."""
    safe: bool
    """Whether the program is known to end, without a guard."""


def compile_transform(transform: Transform | None) -> Compiled | None:
    """Compile a transform; None where there is nothing to do. Raises ConfigError."""
    if transform is None or not transform.jq:
        return None
    from spine.lang import jq

    program = jq.compile(transform.jq)
    text = transform.jq

    def apply(event: Event) -> Event:
        data = event.data
        if data is None:
            return event
        if _OBJECT.match(data) is None:
            raise TransformError(
                f"running jq program {text!r} on event {event.id!r}: its data is no JSON object"
            )
        try:
            made = program.run(data)
        except EvaluationError as exc:
            raise TransformError(
                f"running jq program {text!r} on event {event.id!r}: {exc}"
            ) from exc
        return msgspec.structs.replace(event, data=made, datacontenttype=JSON)

    return Compiled(apply, program.safe)
