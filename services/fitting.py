"""Messages made to fit what a service takes: fields of blocks as texts, cut where they are long."""

from collections.abc import Mapping
from typing import Any

NO_VALUE = "<no value>"
"""What a Go template prints for what an object does not have."""
_ABSENT: tuple[Any, ...] = (None, "", NO_VALUE, [], {})


def word(block: Mapping[str, Any], key: str) -> str:
    """Return a field of a block as a text; empty where it is absent or printed no value."""
    value = block.get(key)
    text = "" if value is None else str(value).strip()
    return "" if text == NO_VALUE else text


def words(block: Mapping[str, Any], key: str) -> list[str]:
    """Return the texts of a list in a block, less empty ones."""
    value = block.get(key)
    items = value if isinstance(value, list) else [] if value is None else [value]
    return [text for item in items if (text := str(item).strip()) and text != NO_VALUE]


def filled(**fields: Any) -> dict[str, Any]:
    """Return the fields that say something."""
    return {key: value for key, value in fields.items() if value not in _ABSENT}


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters; three dots end one that was longer."""
    return text if len(text) <= most else text[: most - 3] + "..."


def cut_to(text: str, most: int, encoding: str) -> str:
    """Return a text of at most so many bytes in an encoding; three dots end one that was longer."""
    data = text.encode(encoding)
    if len(data) <= most:
        return text
    dots = "..."
    kept = data[: most - len(dots.encode(encoding))]
    return kept.decode(encoding, errors="ignore") + dots


def first_line(text: str) -> str:
    """Return the first line that is not empty."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
