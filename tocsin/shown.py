"""What came from outside, as it is shown: valid as JSON, and harmless to a terminal."""

import json
from typing import Any


def value_of(data: bytes) -> Any:
    """Return the value that bytes hold as JSON; as text where they hold none.

    What Python takes for JSON and others do not (NaN, numbers beyond a double, nesting without
    end) is text too.
    """
    try:
        value = json.loads(data, parse_constant=_refuse)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return data.decode(errors="replace")
    return value


def _refuse(word: str) -> Any:
    raise ValueError(word)


def one_line(text: str) -> str:
    """Return a text with whatever could end its line or move a cursor escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
