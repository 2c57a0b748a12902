"""Writes `crds/` and the reference page from the models: `python -m tocsin.generate [--check]`.

With --check nothing is written; it exits with 1 if anything on the disk is not what would be
written, and names it.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from controller.objects import model_of
from eventsource.spec import EventSourceSpec
from eventsource.spec import kinds as source_kinds
from services.catalogue import SERVICES
from spine.manifest import CHECKED_KINDS
from spine.model import Model
from spine.schema import Schema, editor
from tocsin.crd import NAMES, api_version, crd
from tocsin.installing.generated import CHART, readme, schema, values_yaml
from tocsin.reference import page
from tocsin.service_pages import service_index, service_page
from tocsin.source_pages import source_index, source_page

ROOT = Path(__file__).resolve().parent.parent
STALE = 1


def files() -> Iterator[tuple[str, str]]:
    """Yield path and content of everything that is generated."""
    kinds = {kind: model_of(kind) for kind in CHECKED_KINDS}
    for kind, model in kinds.items():
        group = api_version(kind).partition("/")[0]
        definition = _yaml(crd(kind, model))
        for folder in ("crds", f"{CHART}/files/crds"):  # Helm reads nothing outside of a chart
            yield f"{folder}/{group}_{NAMES[kind][0]}.yaml", definition
        yield f"crds/editor/{kind.lower()}.schema.json", _json(editor_schema(kind, model))
    yield "crds/editor/manifest.schema.json", _json(_any_kind())
    yield f"{CHART}/values.yaml", values_yaml()
    yield f"{CHART}/values.schema.json", _json(schema())
    yield f"{CHART}/README.md", readme()
    yield "docs/reference.md", page(kinds)
    for name, service in SERVICES.items():
        yield f"docs/services/{name}.md", service_page(service)
    yield "docs/services/README.md", service_index(SERVICES)
    sources = {_key(name): (name, source) for name, source in source_kinds().items()}
    for key, (name, source) in sources.items():
        example = ROOT / "examples" / "event-sources" / f"{name}.yaml"
        yield f"docs/event-sources/{key}.md", source_page(key, source, example)
    index = source_index({key: source for key, (_, source) in sources.items()})
    yield "docs/event-sources/README.md", index


def _key(name: str) -> str:
    """Return how a field of an EventSource is written in YAML."""
    return EventSourceSpec.model_fields[name].alias or name


def editor_schema(kind: str, model: type[Model]) -> Schema:
    """Return the JSON schema of a whole object, for an editor."""
    spec = editor(model)
    definitions = spec.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind,
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": api_version(kind)},
            "kind": {"const": kind},
            "metadata": {"type": "object", "required": ["name"]},
            "spec": spec,
            "status": {"type": "object"},
        },
        "$defs": definitions,
    }


def _any_kind() -> Schema:
    """Return a schema for files that hold several kinds."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"{kind.lower()}.schema.json"},
            }
            for kind in CHECKED_KINDS
        ],
    }


def _yaml(value: Any) -> str:
    text = yaml.safe_dump(value, sort_keys=False, width=100, allow_unicode=True)
    return f"# Generated from the code by: make generate\n{text}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write all files, or compare them; return the exit code."""
    check = arguments == ["--check"]
    if arguments and not check:
        print("usage: python -m tocsin.generate [--check]", file=sys.stderr)
        return 2
    stale = 0
    for name, content in files():
        path = ROOT / name
        if path.is_file() and path.read_text() == content:
            continue
        stale += 1
        print(f"{name}: {'stale (run: make generate)' if check else 'written'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return STALE if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
