"""Credentials kept out of what is shown: errors and receipts.

A server that refuses a request likes to repeat it, with the token that came along. What a field
of a model marks as HIDDEN is therefore taken out of every answer before it is told, in all the
forms that a request has it in.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote, quote_plus, urlsplit

import orjson
from pydantic import BaseModel, StringConstraints

HIDDEN = "hidden"
"""Marks a field as a credential: `token: Annotated[str, HIDDEN]`. Every text in it is one, also
in a map or a list; of a URL, what follows the host is."""
Token = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), HIDDEN]
"""A credential that must be there. Blanks around it are dropped: many Secrets end with a newline
that nobody meant."""
SHORTEST = 4
"""Characters from which on a text is hidden; shorter ones would blank out half of a sentence."""
PART = 12
"""Characters from which on a piece of a URL's path or query is hidden by itself."""
STARS = "***"


class Hiding:
    """Replaces certain texts by `***`."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        forms = {form for text in texts for form in _forms(text)}
        self._forms = sorted(forms, key=len, reverse=True)  # the longest first: it may hold others

    def __call__(self, text: str) -> str:
        """Return a text without them."""
        for form in self._forms:
            text = text.replace(form, STARS)
        return text


def credentials(model: BaseModel) -> Iterator[str]:
    """Yield the texts in the fields of a model that are marked as HIDDEN, nested models too."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if HIDDEN in field.metadata:
            yield from _leaves(value)
        else:
            yield from _nested(value)


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case BaseModel():
            yield from _leaves({name: getattr(value, name) for name in type(value).model_fields})
        case Mapping():
            for one in value.values():
                yield from _leaves(one)
        case list() | tuple():
            for one in value:
                yield from _leaves(one)


def _nested(value: Any) -> Iterator[str]:
    match value:
        case BaseModel():
            yield from credentials(value)
        case list() | tuple():
            for one in value:
                yield from _nested(one)
        case Mapping():
            for one in value.values():
                yield from _nested(one)


def _forms(text: str) -> Iterator[str]:
    """Yield a text as it may stand in a form, a URL, JSON, or a header."""
    stripped = text.strip()
    if len(stripped) < SHORTEST:
        return
    yield stripped
    yield quote(stripped, safe="")
    yield quote_plus(stripped)
    yield orjson.dumps(stripped).decode()[1:-1]
    yield from (line.strip() for line in stripped.splitlines() if len(line.strip()) >= PART)
    if stripped.startswith(("http://", "https://")):
        yield from _url_forms(stripped)


def _url_forms(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    if len(target) >= SHORTEST:
        yield target
    query = (pair.partition("=")[2] for pair in parts.query.split("&"))
    user = (parts.username or "", parts.password or "")
    pieces = (*parts.path.split("/"), *query, *user)
    yield from (piece for piece in pieces if len(piece) >= PART)
