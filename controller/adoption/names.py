"""What Argo Events calls its things on a JetStream bus.

One durable for each trigger and event, called after a hash of three names; one bucket for each
Sensor, in which half-met conditions and what was last known of the Sensor are kept.
"""

import re
from collections.abc import Iterator

from sensor.plan import Plan

BUCKET_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""Names of Sensors that can have a bucket; others never start there."""
TRIGGERS, DEPENDENCIES, EXPRESSION = "Triggers", "Deps", "Expression"
"""Keys of a bucket: names of triggers, hashes of dependencies, and TRIGGER/Expression."""

_OFFSET, _PRIME = 2_166_136_261, 16_777_619


def durable_name(sensor: str, trigger: str, dependency: str) -> str:
    """Return the durable of a trigger for a dependency: an FNV-1a hash of 32 bits, in decimal."""
    digest = _OFFSET
    for byte in f"{sensor}-{trigger}-{dependency}".encode():
        digest = (digest ^ byte) * _PRIME & 0xFFFFFFFF
    return f"group-{digest}"


def places(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield trigger and dependency wherever a Sensor waits for something."""
    for trigger in plan.triggers.values():
        for dependency in trigger.conditions.names:
            yield trigger.name, dependency


def candidates(plan: Plan, trigger: str, dependency: str) -> list[str]:
    """Return the durables that may hold the position of a place, the likeliest first.

    Dependencies of one trigger on the same event share a durable, called after the last of them.
    """
    topic = plan.dependencies[dependency].topic
    names = plan.triggers[trigger].conditions.names
    sharing = [name for name in names if plan.dependencies[name].topic == topic]
    return [durable_name(plan.name, trigger, name) for name in reversed(sharing)]


def stream_of(sensor: str) -> str:
    """Return the stream under the bucket of a Sensor."""
    return f"KV_{sensor}"


def subject_of(sensor: str, key: str) -> str:
    """Return the subject of a key."""
    return f"$KV.{sensor}.{key}"
