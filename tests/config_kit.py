"""Configurations of sources for tests: how they are read, and what is refused of them.

`read = reader(Redis, PLAIN)`: `read(channels=["b"])` reads what PLAIN says but for the channels,
and tells what was warned of; None leaves a field away.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from spine.model import Model, load

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Wrong:
    """A configuration that is refused."""

    name: str
    raw: dict[str, Any]
    """What makes it wrong."""
    why: str
    """What is said of it."""

    def __str__(self) -> str:
        return self.name


def reader(model: type[M], whole: Mapping[str, Any]) -> Callable[..., tuple[M, list[str]]]:
    """Return what reads a model; what it is given goes before `whole`."""

    def read(**more: Any) -> tuple[M, list[str]]:
        warnings: list[str] = []
        raw = {name: value for name, value in {**whole, **more}.items() if value is not None}
        return load(model, raw, on_warning=warnings.append), warnings

    return read
