"""Paths of endpoints, as they are checked and matched: `{name}` stands for one segment."""

import re

Pattern = re.Pattern[str]

_SEGMENT = re.compile(r"\{([A-Za-z_]\w*)\}")


def check_endpoint(endpoint: str) -> str:
    """Return a path as it is matched. Raises ValueError."""
    if not endpoint.startswith("/"):
        msg = f"must start with a slash, or no request ever matches (write /{endpoint})"
        raise ValueError(msg)
    if wrong := re.search(r"[?#\s]", endpoint):
        msg = f"{wrong[0]!r} never stands in the path of a request"
        raise ValueError(msg)
    if re.search(r"[{}]", _SEGMENT.sub("", endpoint)):
        msg = "curly brackets stand for one segment only, as in /build/{name}"
        raise ValueError(msg)
    return endpoint


def pattern(endpoint: str) -> Pattern:
    """Compile a path with `{name}` segments; linear in time, as it has no nested repetition."""
    literals = _SEGMENT.split(endpoint)[::2]
    return re.compile("[^/]+".join(re.escape(part) for part in literals))
