"""What a status says of an object that is wrong is what lint says, word for word."""

import pytest

from controller.objects import check_object
from controller.workload.checking import look
from spine.manifest import CHECKED_KINDS, read_text
from spine.model import dotted
from tests.unit.tocsin.test_lint import BAD


def by_lint(text):
    """Return what lint says of each object of a file by itself: errors, and warnings."""
    for obj in read_text(text.encode(), "x.yaml").objects:
        if obj.kind in CHECKED_KINDS:
            said = check_object(obj)[1]
            texts = [
                (f.severity, f"{dotted(f.path)}: {f.message}" if f.path else f.message)
                for f in said
            ]
            yield obj, [t for s, t in texts if s == "error"], [t for s, t in texts if s != "error"]


CASES = [
    pytest.param(one.text, id=one.name)
    for one in BAD
    # A stored object has no unknown field: the schema refuses it, and what was stored before runs.
    if "unknown field" not in one.line
]


def without_yaml(text):
    """Return what is said without what only a file can show."""
    return text.partition(" (YAML takes")[0].partition(" (write ")[0]


@pytest.mark.parametrize("text", CASES)
def test_errors_and_warnings_are_those_of_lint(text):
    for obj, errors, warnings in by_lint(text):
        metadata = {**obj.raw["metadata"], "namespace": obj.namespace, "uid": "u", "name": obj.name}
        looked = look({**obj.raw, "metadata": metadata})
        assert [*map(without_yaml, looked.errors)] == [*map(without_yaml, errors)]
        assert list(looked.warnings) == warnings


def test_there_are_errors():
    found = [errors for case in CASES for _, errors, _ in by_lint(case.values[0]) if errors]
    assert len(found) > 5
