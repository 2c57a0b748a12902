"""Where we deviate from the recorded systems on purpose, and why.

A deviation covers a vector that does not come out as recorded, by family and group (the id up to
its last dot) and, where a group holds more, by what the vector asks for. Never a single vector:
more of the same kinds are kept aside. One that covers nothing any more is an unneeded waiver,
and a failure of `test_vectors.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vectors.outcome import Outcome, Vector


def _any(_vector: Vector, _outcome: Outcome) -> bool:
    return True


@dataclass(frozen=True)
class Deviation:
    """A set of vectors whose recorded answer is not ours, with the reason."""

    name: str
    reason: str
    groups: tuple[str, ...]
    """Beginnings of ids: a family, or a family and group."""
    when: Callable[[Vector, Outcome], bool] = _any
    """Which of them."""

    def covers(self, vector: Vector, outcome: Outcome) -> bool:
        group = str(vector.get("id", "")).rpartition(".")[0] + "."
        found = any(group.startswith(f"{wanted}.") for wanted in self.groups)
        return found and self.when(vector, outcome)


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


DEVIATIONS: tuple[Deviation, ...] = ()
