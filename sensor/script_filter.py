"""Script filters: a Lua program looks at the data of an event and returns whether it passes.

The data must be an object (or null). The event passes where the last value that the program
returns is true, and nothing but true; an event without data passes. What the program does to
`event` is forgotten afterwards.
"""

from typing import NamedTuple

from sensor.reason import Check, Reason
from spine.errors import FilterError
from spine.event import Event
from spine.lang import EvaluationError
from spine.lang.gjson import Document


class CompiledScript(NamedTuple):
    """A script that is ready."""

    check: Check
    safe: bool
    """Whether it is known to end, without a guard."""


def compile_script(script: str) -> CompiledScript:
    """Compile a script. Raises ConfigError for what can never work."""
    from spine.lang import lua

    program = lua.compile(script)
    shown = lua.shorten(script)
    reason = Reason("Script", f"what Lua program {shown!r} returns", "true", "something else")

    def check(event: Event, _document: Document) -> Reason | None:
        if event.data is None:
            return None
        try:
            return None if program.test(event.data) else reason
        except EvaluationError as exc:
            raise FilterError(
                f"running Lua program {shown!r} on event {event.id!r}: {exc}"
            ) from exc

    return CompiledScript(check, program.safe)
