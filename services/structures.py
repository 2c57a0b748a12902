"""JSON in templates: blocks, attachments and cards, as text or as structures of YAML.

A text comes from a template, so it may turn out to be no JSON: a quote in a commit message is
enough. What is told then goes out without it, and the receipt says what was left out and where
it is broken.
"""

from collections.abc import Mapping
from typing import Any

import orjson

_NEAR = 20
"""Characters shown on each side of where JSON is broken."""


def not_json(text: str | bytes) -> str:
    """Return why a text is no JSON, with the place; empty where it is."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        near = exc.doc[max(0, exc.pos - _NEAR) : exc.pos + _NEAR].replace("\n", " ")
        return (
            f"no JSON at line {exc.lineno} column {exc.colno}, near {near!r}: "
            f"{exc.msg.partition(':')[0]}; write {{{{ .value | toJson }}}} for texts from outside"
        )
    return ""


class Structures:
    """The fields of a block that hold JSON; collects what is wrong with them."""

    def __init__(self, block: Mapping[str, Any]) -> None:
        self._block = block
        self.problems: list[str] = []

    def get(self, field: str, kind: type[Any] = list) -> Any:
        """Return the value of a field, None where it is empty or cannot be used.

        `kind` is what it must be, `list` or `dict`; as text it is JSON.
        """
        value = self._block.get(field)
        if isinstance(value, str):
            if not value.strip():
                return None
            broken = not_json(value)
            if broken:
                self.problems.append(f"{field} was left out: {broken}")
                return None
            value = orjson.loads(value)
        if value is None or value in ([], {}):
            return None
        if not isinstance(value, kind):
            named = "a list" if kind is list else "a map"
            self.problems.append(f"{field} was left out: it is not {named}")
            return None
        return value
