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
    """The fields of a block that hold JSON; collects what is wrong with them.

    With `yaml` they may be YAML as text, too.
    """

    def __init__(self, block: Mapping[str, Any], *, yaml: bool = False) -> None:
        self._block, self._yaml = block, yaml
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
            value = None if broken else orjson.loads(value)
            if broken and self._yaml:
                value, broken = _yaml(self._block[field])
            if broken:
                self.problems.append(f"{field} was left out: {broken}")
                return None
        if value is None or value in ([], {}):
            return None
        if not isinstance(value, kind):
            named = "a list" if kind is list else "a map"
            self.problems.append(f"{field} was left out: it is not {named}")
            return None
        return value


def _yaml(text: str) -> tuple[Any, str]:
    """Return a text as YAML, or why it is none."""
    import yaml

    from spine import safe_yaml

    try:
        return safe_yaml.load(text), ""
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        place = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        return None, f"no YAML{place}: {getattr(exc, 'problem', None) or 'it cannot be read'}"
