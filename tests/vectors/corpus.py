"""Folders of vectors: what Argo Events answered, in `../shared/vectors`, and our own slice.

The format is that of `../shared/vectors/sensor/README.md`: a file `<family>.json` holds the
vectors of a family. A folder with an `env.json` and `.jsonl` files holds vectors of languages,
which are given the same form here.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from vectors.outcome import Vector

from spine.event import Event

SHARED = Path(__file__).parents[3] / "shared" / "vectors"
FOLDERS = [SHARED / "sensor", SHARED / "languages"]
OWN = Path(__file__).parent / "own"


class Unreadable(Exception):
    """A folder that holds no vectors, or a file that is none."""


def read(folder: Path) -> Iterator[Vector]:
    """Yield the vectors of a folder. Raises Unreadable."""
    if not folder.is_dir():
        raise Unreadable(f"reading vectors of {folder}: there is no such folder")
    files = sorted(folder.glob("*.json")) + sorted(folder.glob("*.jsonl"))
    if not files:
        raise Unreadable(f"reading vectors of {folder}: no .json or .jsonl is in it")
    for file in files:
        try:
            yield from _languages(file) if file.suffix == ".jsonl" else _family(file)
        except (ValueError, KeyError, TypeError) as exc:
            raise Unreadable(f"reading {file}: {exc!r}") from exc


def _family(file: Path) -> Iterator[Vector]:
    content = json.loads(file.read_text())
    if isinstance(content, list):
        yield from (one for one in content if isinstance(one, dict))  # else a list of ids


_LANGUAGES = {"expr": "expr", "template": "template"}
_INPUTS = frozenset({"expr", "template"})


def _languages(file: Path) -> Iterator[Vector]:
    """Yield lines such as `{"expr": ..., "percent_v": ...}` as vectors."""
    env = json.loads((file.parent / "env.json").read_text())
    family = "language_" + next(k for k in _LANGUAGES if file.name.startswith(k))
    for line in file.read_text().splitlines():
        raw = json.loads(line)
        text = next(raw[k] for k in raw if k in _INPUTS)
        expect = {k: v for k, v in raw.items() if k not in _INPUTS}
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        group = file.name.removesuffix(".jsonl")
        yield {
            "id": f"{family}.{group}.{digest}",
            "family": family,
            "input": {"text": text, "env": env},
            "expect": expect,
        }


# ---------------------------------------------------------------------------- events


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


# ---------------------------------------------------------------------------- single families


class Rule(NamedTuple):
    """Why some vectors are left out."""

    reason: str
    matches: Callable[[Vector], bool]


def family(name: str, *rules: Rule) -> list[Any]:
    """Return the shared vectors of a family as parameters; skipped where a rule matches."""
    path = SHARED / "sensor" / f"{name}.json"
    vectors = json.loads(path.read_text()) if path.exists() else []
    return [_parameter(vector, rules) for vector in vectors]


def _parameter(vector: Vector, rules: Sequence[Rule]) -> Any:
    marks = [pytest.mark.skip(reason=r.reason) for r in rules if r.matches(vector)][:1]
    return pytest.param(vector, id=vector["id"], marks=marks)


def differs(reason: str) -> None:
    """Leave the running vector out: what we do there is another thing on purpose."""
    pytest.skip(f"differs on purpose: {reason}")
