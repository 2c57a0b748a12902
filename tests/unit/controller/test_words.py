"""What a status says of an object that is wrong is what lint says, word for word."""

import pytest

from controller.alone import alone
from controller.objects import check_object
from controller.workload.checking import look
from spine.manifest import CHECKED_KINDS, read_text
from spine.model import dotted
from tests.unit.tocsin.test_lint import BAD


def by_lint(text):
    """Return what lint says of each object of a file by itself: errors, and warnings."""
    for obj in read_text(text.encode(), "x.yaml").objects:
        if obj.kind in CHECKED_KINDS:
            checked, said = check_object(obj)
            said += alone(checked)
            texts = [
                (f.severity, f"{dotted(f.path)}: {f.message}" if f.path else f.message)
                for f in said
            ]
            yield (
                obj,
                [t for s, t in texts if s == "error"],
                [t for s, t in texts if s == "warning"],
            )


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


def test_what_works_and_hardly_as_it_is_meant_is_told():
    template = {
        "name": "t",
        "container": {"args": ["{{inputs.parameters.Path}}"]},
        "inputs": {"parameters": [{"name": "path"}]},
    }
    workflow = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "w-"},
        "spec": {"templates": [template]},
    }
    made = {"operation": "create", "source": {"resource": workflow}}
    sensor = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": "s", "namespace": "ns", "uid": "u"},
        "spec": {
            "dependencies": [{"name": "d", "eventSourceName": "h", "eventName": "e"}],
            "triggers": [{"template": {"name": "t", "k8s": made}}],
        },
    }
    looked = look(sensor)
    assert looked.errors == ()
    assert "in other letters" in looked.warnings[0]
