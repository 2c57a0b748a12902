"""Texts as the vectors show them."""

import json
from typing import Any


def as_json(text: str) -> Any:
    """Return a text read as JSON, None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
