"""Which kinds of sources are imported: all of them, or in a process of one object its own.

An EventSource has one or two of 17 kinds. The others would cost each webhook 4 MiB, and a tenth
of its start.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

_only: frozenset[str] | None = None


def narrow_to(spec: Mapping[str, Any]) -> None:
    """Import no kind but those that a rewritten specification has, for good.

    For a process that reads this one object. It comes too late, and changes nothing, where
    `eventsource.spec` is imported already.
    """
    global _only  # noqa: PLW0603 -- what a process imports is of the process
    if "eventsource.spec" not in sys.modules:
        _only = frozenset(map(_folded, spec))


def imported(kind: str, name: str) -> Any:
    """Return the class of a kind, Any where this process has none of it."""
    if _only is not None and _folded(kind) not in _only:
        return Any
    return getattr(import_module(f"eventsource.sources.{kind}"), name)


def _folded(key: str) -> str:
    """Return what `pubSub`, `pubsub` and `pub_sub` have in common: all are taken."""
    return key.replace("_", "").lower()
