"""The pages of the event sources: what they are, an example, their fields, and a sample event."""

import inspect
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from eventsource.source import Source
from tocsin.reference import about, models, section

_FOOT = "This page is generated from the code (`make generate`)."
_LONGEST = 4_000
"""Characters of a sample that are shown."""


def source_page(key: str, source: type[Source], example: Path) -> str:
    """Return the page of a kind of event source; `example` is its manifest."""
    said = inspect.cleandoc(sys.modules[source.__module__].__doc__ or "")
    first, _, rest = said.partition("\n\n")
    parts = [f"# {key}\n\n{first}\n"]
    if rest:
        parts.append(f"{rest}\n")
    parts.append(f"```yaml\n{example.read_text().strip()}\n```\n")
    parts.append("## Fields\n")
    for path, model in models(source, f"spec.{key}.NAME", set()):
        text = section(path, model)
        parts.append(text.replace(f"{about(model)}\n\n", "", 1) if model is source else text)
    parts.append(f"## An event\n\nIts data:\n\n```json\n{_sample(source)}\n```\n")
    parts.append(_FOOT + "\n")
    return "\n".join(parts)


def source_index(sources: Mapping[str, type[Source]]) -> str:
    """Return the page that lists all kinds."""
    rows = [f"| [{key}]({key}.md) | {_first(source)} |" for key, source in sorted(sources.items())]
    table = "\n".join(["| kind | |", "|---|---|", *rows])
    return f"""# Event sources

What an EventSource can hear of. Kinds of Argo Events that are not listed here are known:
`tocsin lint` checks their fields, and says that they are not built yet.

{table}

{_FOOT}
"""


def _first(source: type[Source]) -> str:
    said = inspect.cleandoc(sys.modules[source.__module__].__doc__ or "")
    text = " ".join(said.partition("\n\n")[0].split())
    return (text.partition(": ")[2] or text).partition(". ")[0].rstrip(".")


def _sample(source: type[Source]) -> str:
    """Return the sample of a kind, laid out; each has one."""
    text = source.example.encode()
    try:
        laid_out = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        laid_out = text.decode(errors="replace")
    return laid_out if len(laid_out) <= _LONGEST else f"{laid_out[:_LONGEST]}\n…"
