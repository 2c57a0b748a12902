"""What the author of a filter may have meant: guesses for those who ask why.

A path that finds nothing is most often right but for its start: the data of a webhook is
`{header, body}`. A value that is not the wanted one is most often compared as the wrong type, in
the wrong case, or by a regular expression that its author took for a text. Nothing of this is
looked at while events run.
"""

import base64
import binascii
import difflib
import re
from collections.abc import Sequence
from typing import Protocol

from spine.event import Event
from spine.lang import EvaluationError, gojson, paths
from spine.lang.gjson import Document, Kind, Result
from spine.lang.gonumber import parse_float

LONGEST = 80
"""Characters of a value that are shown."""
_PLAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
"""Paths of members and indices alone."""
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
_WRAPPERS = ("body", "data", "payload", "detail", "event")
"""Members in which the data of many senders is wrapped."""


class Comparison(Protocol):
    """What of a data filter is looked at."""

    @property
    def path(self) -> str: ...  # noqa: D102 -- as in DataFilter
    @property
    def type(self) -> str: ...  # noqa: D102
    @property
    def value(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def comparator(self) -> str: ...  # noqa: D102


def shortened(text: str) -> str:
    """Return a text that fits a line."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


# ---------------------------------------------------------------------------- data


def hints_of_body(event: Event) -> tuple[str, ...]:
    """Guess what data is that is not JSON."""
    data = (event.data or b"").strip()
    if not data:
        return ("the data is empty",)
    start = shortened(data[:LONGEST].decode(errors="replace"))
    try:
        plain = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        plain = b""
    if plain and gojson.valid(plain):
        return (f"the data is base64 of {shortened(plain.decode(errors='replace'))}",)
    return (f"the data begins with {start!r}",)


# ---------------------------------------------------------------------------- paths


def hints_of_path(path: str, document: Document) -> tuple[str, ...]:
    """Guess where a value is that is not at its path."""
    if not document.valid or not _PLAIN.fullmatch(path):
        return ()
    for other in _moved(path):
        if _at(other, document) is not None:
            return (f"it has {other}",)
    return _walked(path, document)


def is_there(path: str, document: Document) -> bool:
    """Return whether something stands at a plain path."""
    return bool(_PLAIN.fullmatch(path)) and document.valid and _at(path, document) is not None


def _moved(path: str) -> list[str]:
    first, _, rest = path.partition(".")
    inner = [rest] if rest and first in _WRAPPERS else []
    return [f"{wrapper}.{path}" for wrapper in _WRAPPERS] + inner


def _at(path: str, document: Document) -> Result | None:
    try:
        return paths.compile(path).get(document)
    except EvaluationError:
        return None


def _walked(path: str, document: Document) -> tuple[str, ...]:
    """Say where on its way a path ends, and what is there instead."""
    steps, here, gone = path.split("."), document.root, ""
    for number, step in enumerate(steps):
        found = _step(here, step)
        if found is None:
            return _ended(here, gone, steps[number:])
        here, gone = found, f"{gone}.{step}" if gone else step
    return ()


def _step(here: Result, step: str) -> Result | None:
    if here.is_object:
        return here.member(step)
    if here.is_array and step.isdigit():
        elements = here.elements()
        return elements[int(step)] if int(step) < len(elements) else None
    return None


def _ended(here: Result, gone: str, left: list[str]) -> tuple[str, ...]:
    where, step = gone or "data", left[0]
    if here.is_object:
        return (_member_missing(here, gone, left),)
    if here.is_array:
        many = len(here.elements())
        if step.isdigit():
            return (f"{where} is an array of {many}: the first is {gone or '@this'}.0",)
        inner = ".".join(["#", *left])
        return (f"{where} is an array: write {f'{gone}.' if gone else ''}{inner} for all of it",)
    if here.kind is Kind.STRING and gojson.valid(here.text.encode()):
        return (
            f"{where} is a text that holds JSON: first transform it by jq: .{gone} |= fromjson",
        )
    return (f"{where} is {shortened(here.raw)}, which has no members",)


def _member_missing(here: Result, gone: str, left: list[str]) -> str:
    step, rest = left[0], left[1:]
    keys = [key for key, _ in here.pairs()]
    folded = {key.lower(): key for key in keys}
    near = folded.get(step.lower()) or next(iter(difflib.get_close_matches(step, keys, n=1)), "")
    if near:
        guess = ".".join([*([gone] if gone else []), near, *rest])
        return f"did you mean {guess}"
    has = shortened(", ".join(keys)) or "nothing in it"
    return f"{gone or 'it'} has {has}"


# ---------------------------------------------------------------------------- values


def hints_of_value(one: Comparison, found: Result, passed: bool) -> tuple[str, ...]:
    """Guess why a value is, or is not, what a filter wants."""
    if one.type == "string":
        return _of_text(one, found, passed)
    if one.type == "number":
        return _of_number(one, found)
    if one.comparator not in {"", "=", "notIn"}:
        return (f"comparator {one.comparator} has no effect on bool: it is compared as =",)
    return ()


def _of_text(one: Comparison, found: Result, passed: bool) -> tuple[str, ...]:
    if one.comparator[:1] in {"<", ">"}:
        return (f"texts are not ordered, so {one.comparator} never passes: write type: number",)
    text = found.text
    hints = [hint for wanted in one.value if (hint := _pair(one.comparator, wanted, text, passed))]
    return tuple(hints[:1])


def _pair(comparator: str, wanted: str, text: str, passed: bool) -> str:
    """Say what is odd about a wanted text and the one that was found."""
    if passed is (comparator in {"", "="}):  # the pattern was found
        literal = not _META.search(wanted)
        if literal and wanted != text and wanted in text:
            return f"{wanted} is found anywhere in a text: for nothing else write ^{wanted}$"
        return ""
    plain = wanted.removeprefix("^").removesuffix("$")
    if plain in text and _META.search(plain):
        escaped = _META.sub(lambda m: "\\" + m[0], plain)
        return f"values are regular expressions: for this text write {escaped}"
    if plain.lower() == text.strip().lower():
        spaces = plain == text.strip()
        return (
            "the value has spaces around it"
            if spaces
            else f"only upper and lower case differ: write (?i){wanted}"
        )
    numbers = parse_float(plain), parse_float(text)
    same = None not in numbers and numbers[0] == numbers[1]
    return f"compared as texts, {plain} is not {text}: write type: number" if same else ""


def _of_number(one: Comparison, found: Result) -> tuple[str, ...]:
    if found.kind is Kind.STRING and parse_float(found.text) is None:
        hint = f"{shortened(found.raw)} is no number, so it counts as 0"
        if re.search(r"\d", found.text):
            hint += ": take the number out with a transform"
        return (hint,)
    if found.kind is Kind.JSON:
        what = "an array" if found.is_array else "an object"
        return (f"{one.path} is {what}, which counts as 0",)
    return ()
