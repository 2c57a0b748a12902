"""Warnings of models, and where in a document each stands.

Pydantic tells a validator no place. But whoever is validated was met by the keys of its part of
the document, and a warning begins with the key that it is about: the part that was met last for
the model that warns, and has that key, is meant.
"""

import inspect
from collections.abc import Iterator
from typing import Any


class Warned(str):
    """A warning, which begins with a key and a colon."""

    __slots__ = ("path",)

    path: tuple[str | int, ...] | None
    """Where its key stands in the document; None where that is not known."""


class Met:
    """The parts of a document that were validated so far, each with its model."""

    def __init__(self) -> None:
        self._parts: list[tuple[type, dict[Any, Any]]] = []
        self._told: list[tuple[str, dict[Any, Any] | None]] = []

    def meet(self, model: type, part: dict[Any, Any]) -> None:
        """Remember that a part is about to be validated."""
        self._parts.append((model, part))

    def warn(self, message: str, part: dict[Any, Any] | None = None) -> None:
        """Keep a warning about a part; without one, that of the validator that is running."""
        self._told.append((message, part or self._part(message)))

    def _part(self, message: str) -> dict[Any, Any] | None:
        models, first = {model for model, _ in self._parts}, _keys(message)[0]
        asking = next((one for one in _validating() if one in models), None)
        parts = (part for model, part in reversed(self._parts) if model is asking)
        return next((part for part in parts if first in part), None)

    def warnings(self, document: Any) -> Iterator[Warned]:
        """Yield the warnings, with where they stand in the document that was read."""
        paths = dict(_paths(document, ())) if self._told else {}
        for message, part in self._told:
            warned = Warned(message)
            above = paths.get(id(part))
            warned.path = None if above is None else (*above, *_within(part, _keys(message)))
            yield warned


def _keys(message: str) -> list[str]:
    """Return the keys with which a warning begins: `a.b`, or the first of `a, b`."""
    return message.partition(":")[0].partition(",")[0].split(".")


def _within(part: Any, keys: list[str]) -> Iterator[str]:
    for key in keys:
        if not isinstance(part, dict) or key not in part:
            return
        yield key
        part = part[key]


def _validating() -> Iterator[type]:
    """Yield the classes whose methods are under way, innermost first."""
    frame = inspect.currentframe()
    while frame is not None:
        held = frame.f_locals
        one = held.get("cls") or held.get("self")
        if one is not None:
            yield one if isinstance(one, type) else type(one)
        frame = frame.f_back


def _paths(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[int, tuple[str | int, ...]]]:
    """Yield the identity of each map of a document with where it stands."""
    if isinstance(value, dict):
        yield id(value), path
        for key, one in value.items():
            yield from _paths(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _paths(one, (*path, index))
