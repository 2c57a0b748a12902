"""Query strings and form bodies, as Go's `url.Values` has them.

A pair with a semicolon or a bad escape is dropped from a query and spoils a form.
"""

import re
from urllib.parse import unquote_to_bytes

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def query(text: bytes) -> dict[str, list[str]]:
    """Return the values of each name; pairs that cannot be read are left out."""
    return _values(text)[0]


def form(text: bytes) -> dict[str, list[str]]:
    """Return the values of each name. Raises ValueError with the first pair that is wrong."""
    values, wrong = _values(text)
    if wrong:
        shown = wrong[0][:60].decode(errors="replace")
        msg = f"cannot read {shown!r}: pairs are joined by & and escaped as %XX"
        raise ValueError(msg)
    return values


def _values(text: bytes) -> tuple[dict[str, list[str]], list[bytes]]:
    values: dict[str, list[str]] = {}
    wrong = []
    for pair in filter(None, text.split(b"&")):
        if b";" in pair or _BAD_ESCAPE.search(pair):
            wrong.append(pair)
            continue
        name, _, value = pair.partition(b"=")
        values.setdefault(_plain(name), []).append(_plain(value))
    return values, wrong


def _plain(text: bytes) -> str:
    return unquote_to_bytes(text.replace(b"+", b" ")).decode(errors="replace")
