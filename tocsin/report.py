"""Findings as text for a person, JSON for a script, SARIF for a code host.

SARIF: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from spine import __version__
from spine.manifest import Finding
from spine.model import dotted

FORMATS = ("text", "json", "sarif")
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def plural(number: int, word: str) -> str:
    """Return `1 file` or `2 files`."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def summary(findings: Sequence[Finding], objects: int, files: int) -> str:
    """Return one line about a check."""
    counts = Counter(f.severity for f in findings)
    checked = f"{plural(objects, 'object')} in {plural(files, 'file')}"
    if not counts["error"] and not counts["warning"]:
        return f"{checked}: no problems"
    return f"{checked}: {plural(counts['error'], 'error')}, {plural(counts['warning'], 'warning')}"


def print_text(findings: Sequence[Finding], *, notes: bool, err: bool = False) -> None:
    """Print one line for each finding, coloured on a terminal; below it its place in a program."""
    for finding in findings:
        if finding.severity != "note" or notes:
            place, _, rest = str(finding).partition(": ")
            colour = _COLOURS[finding.severity]
            click.echo(f"{click.style(place, fg=colour)}: {rest}", err=err)
            if finding.excerpt:
                click.echo(finding.excerpt, err=err)


def as_json(findings: Sequence[Finding], objects: int, files: int) -> str:
    """Return findings and counts."""
    counts = Counter(f.severity for f in findings)
    return json.dumps(
        {
            "findings": [
                {
                    "file": f.place.file,
                    "line": f.place.line,
                    "column": f.place.column,
                    "path": dotted(f.path),
                    "severity": f.severity,
                    "message": f.message,
                }
                for f in findings
            ],
            "files": files,
            "objects": objects,
            "errors": counts["error"],
            "warnings": counts["warning"],
        },
        indent=2,
    )


def as_sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF log of one run."""
    driver = {
        "name": "tocsin",
        "version": __version__,
        "rules": [
            {
                "id": f"manifest-{severity}",
                "shortDescription": {"text": f"{severity} of tocsin lint"},
            }
            for severity in _COLOURS
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(f) for f in findings],
    }
    schema = "https://json.schemastore.org/sarif-2.1.0.json"
    return json.dumps({"$schema": schema, "version": "2.1.0", "runs": [run]}, indent=2)


def _result(finding: Finding) -> dict[str, Any]:
    path = dotted(finding.path)
    region = {"startLine": finding.place.line, "startColumn": finding.place.column}
    return {
        "ruleId": f"manifest-{finding.severity}",
        "level": finding.severity,
        "message": {"text": f"{path}: {finding.message}" if path else finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": finding.place.file.replace("\\", "/")},
                    "region": region,
                },
                "logicalLocations": [{"fullyQualifiedName": path}] if path else [],
            }
        ],
    }
