"""How a process stands: what of its object works, and why the rest does not, as JSON at `/status`.

Probes tell a pod's readiness in one bit. Who runs many events or triggers in one process wants to
know which of them is the matter; the controller asks for this and writes it into the status.
"""

from typing import Final

import msgspec

STARTING: Final = "Starting"
"""Reason of a part that has not been up yet."""
STANDING_BY: Final = "StandingBy"
"""Reason of a part that another replica sees to, so that this one only takes over if need be."""
FAILING: Final = "Failing"
"""Reason of a trigger that is bound, and whose last attempt failed."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One event, trigger or watch, as one process has it."""

    name: str
    ready: bool
    reason: str
    """One word in CamelCase."""
    message: str = ""
    """Why, in a sentence; never a secret."""
    fired: float = 0.0
    """When the trigger last acted, in unix seconds; 0 where it has not."""


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """All that a process tells of itself."""

    kind: str
    namespace: str
    name: str
    generation: int = 0
    """Generation of what it was handed; 0 where nobody counts."""
    checks: dict[str, str] = {}
    """Why the process is not ready, by what was looked at; an empty text where nothing is amiss."""
    parts: list[Part] = []
    notes: list[str] = []
    """What else is worth knowing, such as what is wrong with a configuration."""
    dead_letters: dict[str, int] = {}
    """What this process has set aside since it began, by reason."""


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Standing).decode
"""Raises msgspec.DecodeError, also for what is of another shape."""
