"""References to a Secret in services: `$key`, `${key}`, and `$$` for a dollar.

They are replaced in one pass in every text of a service, keys of maps too, also inside of longer
texts. A key that is not there leaves the text as it is, and is told without what it stands in.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from spine.model import Path

_REFERENCE = re.compile(
    r"\$\$(?=[A-Za-z0-9_{-])"
    r"|\$\{(?P<braced>[^{}\s]+)\}"
    r"|\$(?P<bare>[A-Za-z0-9_-]+)"
    r"|\{\{-?\s*\.secrets\.(?P<template>[A-Za-z0-9_]+)\s*-?\}\}"
)
"""`$$` counts only before what would be a reference, so that passwords with dollars last."""


class Replaced(NamedTuple):
    """A value with its secrets."""

    value: Any
    paths: frozenset[Path]
    """Texts that hold a secret; paths of the value as it was."""
    warnings: tuple[tuple[Path, str], ...]
    notes: tuple[tuple[Path, str], ...]


class _Replacing:
    def __init__(self, secret: Mapping[str, str] | None, *, own_only: bool) -> None:
        self._secret, self._own_only = secret, own_only
        self.paths: set[Path] = set()
        self.warnings: list[tuple[Path, str]] = []
        self.notes: list[tuple[Path, str]] = []

    def walk(self, value: Any, path: Path) -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            return [self.walk(one, (*path, i)) for i, one in enumerate(value)]
        if isinstance(value, dict):
            return {self._text(k, (*path, k)): self.walk(v, (*path, k)) for k, v in value.items()}
        return value

    def _text(self, text: str, path: Path) -> str:
        return _REFERENCE.sub(lambda match: self._one(match, path), text) if _marked(text) else text

    def _one(self, match: re.Match[str], path: Path) -> str:
        key = match["braced"] or match["bare"] or match["template"]
        if key is None:
            self.notes.append((path, "$$ stands for one dollar here; Argo's engine keeps both"))
            return "$"
        if "/" in key and self._own_only:
            why = "another Secret than its own cannot be named here"
            self.warnings.append((path, f"${{{key}}} stays as it is: {why}"))
            return match[0]
        if self._secret is None:
            self.paths.add(path)
            return match[0]
        if key in self._secret:
            self.paths.add(path)
            return self._secret[key]
        why = _unknown(self._secret, key, match.string[match.end() :])
        before = match.string[: match.start()]
        alone = not before or before[-1].isspace()  # else it may be a password with a dollar
        self.warnings.append((path, f"{match[0] if alone else '$…'} stays as it is: {why}"))
        return match[0]


def _unknown(secret: Mapping[str, str], key: str, rest: str) -> str:
    """Return why a key cannot be found; `rest` is what follows it."""
    if not secret:
        why = "there is no Secret, or it is empty"
    else:
        near = difflib.get_close_matches(key, secret, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}" if near else f"it has {_some(secret)}"
        why = f"the Secret has no such key ({hint})"
    if rest[:1] == "." and any(name.startswith(f"{key}.") for name in secret):
        why += "; a key with dots is written ${key}"
    elif rest[:1] == ":" and rest[1:2].isalnum():
        why += "; the form $secret:key is not known here, write $key"
    return why


def _marked(text: str) -> bool:
    return "$" in text or ".secrets." in text


def _some(keys: Mapping[str, str]) -> str:
    names = sorted(keys)
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")  # noqa: PLR2004 -- a line


def replaced(value: Any, secret: Mapping[str, str] | None, *, own_only: bool = False) -> Replaced:
    """Replace references in every text of a value; None is a Secret that nobody has seen.

    Keys of other Secrets that may be used are given as `NAME/KEY` and referred to as
    `${NAME/KEY}`; `own_only` refuses those.
    """
    replacing = _Replacing(secret, own_only=own_only)
    out = replacing.walk(value, ())
    notes, warnings = (tuple(dict.fromkeys(n)) for n in (replacing.notes, replacing.warnings))
    return Replaced(out, frozenset(replacing.paths), warnings, notes)


def is_reference(text: str) -> bool:
    """Return whether a text is nothing but a reference, to a key that is not there."""
    return _REFERENCE.fullmatch(text) is not None
