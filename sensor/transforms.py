"""Transforms: a program turns the data of an event into other data.

It sees the data only, which must be an object (or null), and gives an object; a Lua program may
give a list as well. The attributes of the event stay; its content type becomes JSON. An event
without data passes as it is.
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
_SHOWN = 80


class Compiled(NamedTuple):
    """A transform that is ready."""

    apply: Callable[[Event], Event]
    """Raises TransformError."""
    safe: bool
    """Whether the program is known to end, without a guard."""


def compile_transform(transform: Transform | None) -> Compiled | None:
    """Compile a transform; None where there is nothing to do. Raises ConfigError."""
    if transform is None or not (transform.jq or transform.script):
        return None
    if transform.jq:
        from spine.lang import jq

        program = jq.compile(transform.jq)
        return Compiled(_applied("jq", transform.jq, program.run), program.safe)
    from spine.lang import lua

    script = lua.compile(transform.script)
    return Compiled(_applied("Lua", transform.script, script.run), script.safe)


def _applied(language: str, text: str, run: Callable[[bytes], bytes]) -> Callable[[Event], Event]:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

    def failed(event: Event, why: object) -> TransformError:
        return TransformError(f"running {language} program {shown!r} on event {event.id!r}: {why}")

    def apply(event: Event) -> Event:
        data = event.data
        if data is None:
            return event
        if _OBJECT.match(data) is None:
            raise failed(event, "its data is no JSON object")
        try:
            made = run(data)
        except EvaluationError as exc:
            raise failed(event, exc) from exc
        return msgspec.structs.replace(event, data=made, datacontenttype=JSON)

    return apply
