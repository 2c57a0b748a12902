"""References to keys of a Secret in the settings of a service: `$key`, `${key}`; `$$` is a dollar.

They may stand in every text, keys of maps too, also inside of a longer text. What holds references
is stored and shown as it is; secrets are put in when a message is sent.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from spine.model import Path

REFERENCE = re.compile(
    r"\$\$(?=[A-Za-z0-9_{-])|\$\{(?P<braced>[^{}\s]+)\}|\$(?P<bare>[A-Za-z0-9_-]+)"
)
"""`$$` counts only before what would be a reference, so that passwords with dollars last."""


def texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the texts in a value of JSON and where they stand; keys of maps, too."""
    match value:
        case str():
            yield path, value
        case dict():
            for key, one in value.items():
                yield (*path, key), key
                yield from texts(one, (*path, key))
        case list():
            for number, one in enumerate(value):
                yield from texts(one, (*path, number))


def keys(text: str) -> list[str]:
    """Return the keys that a text refers to."""
    found = (match["braced"] or match["bare"] for match in REFERENCE.finditer(text))
    return [key for key in found if key]


def replaced(value: Any, look: Callable[[str], str]) -> Any:
    """Return a value of JSON with what `look` gives for the key in place of each reference.

    One pass: what looks like a reference in a secret is none. Raises what `look` raises.
    """
    match value:
        case str():
            return REFERENCE.sub(lambda found: _one(found, look), value)
        case dict():
            return {replaced(key, look): replaced(one, look) for key, one in value.items()}
        case list():
            return [replaced(one, look) for one in value]
    return value


def _one(found: re.Match[str], look: Callable[[str], str]) -> str:
    key = found["braced"] or found["bare"]
    return "$" if key is None else look(key)
