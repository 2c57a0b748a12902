"""Merging: a manifest laid over an object that exists."""

from collections.abc import Mapping
from typing import Any


def merged(live: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the values of a manifest: maps are merged, all else is replaced."""
    out = dict(live)
    for key, value in manifest.items():
        there = out.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            out[key] = merged(there, value)
        else:
            out[key] = value
    return out
