"""Keys taken from events: what `orderBy` orders by and what `idempotencyKey` compares.

A key is the value of the first source that has one. An event without any is a dead letter, not
an exception in silence: who orders by a misspelt path would else find out by the damage. Both
fields are ours; Argo Events has neither.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Tag, field_validator

from sensor.sources import ParameterSource, compile_source
from sensor.trigger import Events
from spine.errors import ConfigError, ParameterError
from spine.lang.gjson import Kind
from spine.model import Model
from spine.runtime import seconds

SHOWN = 200
"""Characters of a key that are kept as they are; of a longer one a hash is."""

Key = Callable[[Events], str]
"""Gives the key of a firing. Raises ParameterError where there is none."""


def _shape(raw: Any) -> str:
    return "one" if isinstance(raw, dict | ParameterSource) else "list"


Sources = Annotated[
    Annotated[ParameterSource, Tag("one")] | Annotated[list[ParameterSource], Tag("list")],
    Discriminator(_shape),
]
"""One source, or several of which the first that has a value counts."""


class IdempotencyKey(Model):
    """What makes two firings the same: the action is done for the first of them only.

    Later ones with an equal value end as duplicates. A first one that became a dead letter counts
    too: `tocsin dlq retry` does it, not the next event that happens to come.
    """

    src: Sources
    """Where the value comes from: one source, or a list of which the first with a value counts."""
    duration: str = "24h"
    """For how long a value is remembered, as a Go duration; a day covers what senders repeat."""

    @field_validator("duration")
    @classmethod
    def _above_zero(cls, text: str) -> str:
        try:
            length = seconds(text)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        if length <= 0:
            raise ValueError("nothing would be remembered: write a duration such as 24h")
        return text


def listed(sources: Sources) -> list[ParameterSource]:
    """Return what is written as one source or as several."""
    return [sources] if isinstance(sources, ParameterSource) else sources


def compile_key(sources: Sequence[ParameterSource], what: str) -> Key:
    """Compile sources to what gives their key. Raises ConfigError for a bad path."""
    if not sources:
        raise ConfigError(f"reading {what}: it names no source", hint="give a dependencyName")
    resolves = [compile_source(source) for source in sources]

    def key(events: Events) -> str:
        missing: ParameterError | None = None
        for resolve in resolves:
            try:
                value = resolve(events)
            except ParameterError as exc:
                missing = missing or exc
                continue
            if value is not None and value.kind is not Kind.NULL:
                return _short(value.text)
        if missing is not None:
            raise missing
        raise ParameterError(f"taking {what}: no source has a value", hint="give one in value")

    return key


def claim_of(key: str) -> str:
    """Return what is remembered of an idempotency key: it may hold what is nobody's business."""
    return hashlib.blake2b(key.encode(errors="replace"), digest_size=16).hexdigest()


def _short(text: str) -> str:
    if len(text) > SHOWN:
        return hashlib.blake2b(text.encode(errors="replace"), digest_size=16).hexdigest()
    return text or '""'  # an empty text would be no key at all
