"""The recorded answers of Argo Events in `../shared/vectors/sensor`, and how they are used.

A family is an empty list where the folder is absent. A vector that cannot be run is left out by
a rule with a name and a reason, never by its id, so that more vectors of the same kinds can be
dropped in; pytest counts what each rule leaves out.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spine.event import Event

FOLDER = Path(__file__).parents[3] / "shared" / "vectors" / "sensor"

Vector = dict[str, Any]


class Rule(NamedTuple):
    """Why some vectors are left out."""

    reason: str
    matches: Callable[[Vector], bool]


def family(name: str, *rules: Rule) -> list[Any]:
    """Return the vectors of a family as parameters of a test; skipped where a rule matches."""
    path = FOLDER / f"{name}.json"
    vectors = json.loads(path.read_text()) if path.exists() else []
    return [_parameter(vector, rules) for vector in vectors]


def _parameter(vector: Vector, rules: Sequence[Rule]) -> Any:
    marks = [pytest.mark.skip(reason=r.reason) for r in rules if r.matches(vector)][:1]
    return pytest.param(vector, id=vector["id"], marks=marks)


def differs(reason: str) -> None:
    """Leave the running vector out: what we do there is another thing on purpose."""
    pytest.skip(f"differs on purpose: {reason}")


def event(given: Vector) -> Event:
    """Return an event of a vector."""
    context = given["context"]
    time = context.get("time")
    return Event(
        id=context.get("id", ""),
        source=context.get("source", ""),
        type=context.get("type", ""),
        subject=context.get("subject", ""),
        specversion=context.get("specversion", ""),
        datacontenttype=context.get("datacontenttype", ""),
        time=None if time is None else datetime.fromisoformat(time),
        data=given["data"].encode(errors="surrogatepass") if "data" in given else None,
    )


def events(given: dict[str, Vector]) -> dict[str, Event]:
    """Return the events of a vector by dependency."""
    return {name: event(one) for name, one in given.items()}


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def uses(*keys: str) -> Callable[[Vector], bool]:
    """Return whether a key with a value stands anywhere in the input."""
    return lambda vector: any(key in keys and value for key, value in walk(vector["input"]))


TEMPLATES = Rule(
    "uses dataTemplate, contextTemplate or template: Go templates come with a later release",
    uses("dataTemplate", "contextTemplate", "template"),
)
SOURCE_TEMPLATES = Rule(
    "uses dataTemplate or contextTemplate: Go templates come with a later release",
    uses("dataTemplate", "contextTemplate"),
)
DATA_TEMPLATES = Rule(
    "uses template of a data filter: Go templates come with a later release",
    lambda v: any(k == "template" and isinstance(x, str) and x for k, x in walk(v["input"])),
)
SCRIPTS = Rule("uses script: Lua comes with a later release", uses("script"))
EXPRS = Rule("uses exprs: govaluate comes with a later release", uses("exprs"))
