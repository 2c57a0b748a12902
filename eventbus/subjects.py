"""Subjects and their wildcards: `*` is one token, `>` at the end is one or more.

A JetStream consumer refuses filters that overlap, and a Sensor's dependencies may well do so;
`collapse` turns any list into filters that cover it and do not overlap.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations, zip_longest

from eventbus.bus import EVENTS
from spine.errors import ConfigError, EventError

_SUBJECT = re.compile(r"[^\s.*>\x00-\x20\x7f]+(\.[^\s.*>\x00-\x20\x7f]+)*")
_DURABLE = re.compile(r"[^\s.*>/\\\x00-\x20\x7f]+")
_TOKEN = re.compile(r"[^\s.*>\x00-\x20\x7f]+")


@lru_cache(maxsize=1024)
def event_subject(source: str, name: str) -> str:
    """Return the subject of an event. Raises EventError for names that no subject can have."""
    for what, text in (("EventSource", source), ("event", name)):
        if not _TOKEN.fullmatch(text):
            raise EventError(
                f"publishing an event of {source!r}/{name!r}: {text!r} cannot be in a subject",
                hint=f"the name of an {what} has no dot, space, * or >",
            )
    return f"{EVENTS}.{source}.{name}"


def check_subject(subject: str) -> None:
    """Raise EventError for what cannot be the subject of a message."""
    if not _SUBJECT.fullmatch(subject):
        raise EventError(
            f"publishing to {subject!r}: it is no subject",
            hint="a subject is words with dots between, without spaces, * and >",
        )


def check_durable(name: str) -> None:
    """Raise ConfigError for what cannot be the name of a durable."""
    if not _DURABLE.fullmatch(name):
        raise ConfigError(
            f"creating durable {name!r}: it is no name",
            hint="it has no space and none of . * > / \\",
        )


def matches(pattern: str, subject: str) -> bool:
    """Whether a subject without wildcards is one of a pattern."""
    return covers(pattern, subject)


def covers(pattern: str, other: str) -> bool:
    """Whether every subject of `other` is one of `pattern`."""
    if pattern == other:
        return True
    for want, got in zip_longest(pattern.split("."), other.split(".")):
        if want == ">":
            return got is not None
        if want is None or got is None or got == ">" or want not in {"*", got}:
            return False
    return True


def overlap(a: str, b: str) -> bool:
    """Whether a subject exists that is one of both patterns."""
    for left, right in zip_longest(a.split("."), b.split(".")):
        if left is None or right is None:
            return False
        if ">" in (left, right):
            return True
        if "*" not in (left, right) and left != right:
            return False
    return True


def collapse(subjects: Iterable[str]) -> tuple[str, ...]:
    """Return patterns that cover all subjects, and of which no two overlap."""
    found = sorted(set(subjects))
    while True:
        pair = next(((a, b) for a, b in combinations(found, 2) if overlap(a, b)), None)
        if pair is None:
            return tuple(found)
        found = sorted({*found, _union(*pair)} - {p for p in pair if p != _union(*pair)})


def _union(a: str, b: str) -> str:
    """Return the narrowest pattern that covers both."""
    if covers(a, b):
        return a
    if covers(b, a):
        return b
    tokens: list[str] = []
    for left, right in zip_longest(a.split("."), b.split(".")):
        if left is None or right is None or ">" in (left, right):
            return ".".join([*tokens, ">"])
        tokens.append(left if left == right else "*")
    return ".".join(tokens)


def matches_any(patterns: Sequence[str], subject: str) -> bool:
    """Whether a subject is one of any pattern; no patterns stand for everything."""
    return not patterns or any(covers(p, subject) for p in patterns)
