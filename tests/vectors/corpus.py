"""Folders of vectors: what Argo Events answered, in `../shared/vectors`, and our own slice.

The format is that of `../shared/vectors/sensor/README.md`: a file `<family>.json` holds the
vectors of a family. A folder with an `env.json` and `.jsonl` files holds vectors of languages,
which are given the same form here.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

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
_WORDING = frozenset({"detail", "output_before"})
"""What need not be as recorded where there is an error."""


def go_kind(go_type: str) -> str:
    """Return what a type of Go is here: all lists are one, and so are int and int64."""
    if go_type.startswith("[]") and go_type != "[]uint8":
        return "list"
    return "int" if go_type == "int64" else go_type


def _languages(file: Path) -> Iterator[Vector]:
    """Yield lines such as `{"expr": ..., "percent_v": ...}` as vectors."""
    env = json.loads((file.parent / "env.json").read_text())
    family = "language_" + next(k for k in _LANGUAGES if file.name.startswith(k))
    for line in file.read_text().splitlines():
        raw = json.loads(line)
        text = next(raw[k] for k in raw if k in _INPUTS)
        expect = {k: v for k, v in raw.items() if k not in _INPUTS | _WORDING}
        if "go_type" in expect:
            expect["go_type"] = go_kind(expect["go_type"])
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
