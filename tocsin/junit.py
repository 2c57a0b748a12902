"""Results of golden cases as JUnit XML, which every CI shows.

Format: https://github.com/testmoapp/junitxml
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tocsin.golden import Outcome


class Ran(NamedTuple):
    """The cases of one file."""

    path: Path
    sensor: str
    outcomes: list[Outcome]
    seconds: float


def write(results: Sequence[Ran], to: Path) -> None:
    """Write results to a file. Raises OSError."""
    root = ET.Element("testsuites", _counts([o for one in results for o in one.outcomes]))
    for one in results:
        about = {"name": str(one.path), "time": f"{one.seconds:.3f}", **_counts(one.outcomes)}
        suite = ET.SubElement(root, "testsuite", about)
        for outcome in one.outcomes:
            names = {"classname": one.sensor, "name": outcome.case.name, "file": str(one.path)}
            case = ET.SubElement(suite, "testcase", names)
            if outcome.differences:
                failure = {"message": _clean(outcome.differences[0])}
                text = "\n".join([*outcome.differences, outcome.text])
                ET.SubElement(case, "failure", failure).text = _clean(text)
    ET.indent(root)
    ET.ElementTree(root).write(to, encoding="utf-8", xml_declaration=True)


def _counts(outcomes: Sequence[Outcome]) -> dict[str, str]:
    failed = sum(bool(outcome.differences) for outcome in outcomes)
    return {"tests": str(len(outcomes)), "failures": str(failed), "errors": "0"}


def _clean(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return "".join(c if c in "\t\n\r" or c >= " " else "\ufffd" for c in text)
