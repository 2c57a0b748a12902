"""What is wrong by lint is refused, with the same words; what lint warns of is warned of."""

import json
import re

import msgspec
import pytest
import yaml

from controller.admission.surroundings import Surroundings
from controller.admission.worker import MOST, Asked, look
from controller.cache import Cache, Kept
from spine.kube.discovery import Resource
from spine.manifest import ARGO, CHECKED_KINDS, read_text
from spine.model import dotted
from tests.unit.tocsin.test_lint import BAD
from tocsin.checks import Setting, check

OF_FILES = {
    "wrong YAML": "the API server does not get that far",
    "duplicate key": "JSON has none",
    "duplicate name": "there is one object of a name in a cluster",
    "port of two": "each has its own pod in a cluster",
    "bad Secret": "Secrets are not admitted",
    "no key": "of Secrets only names are known",
}


def around(objects):
    """Return what a namespace has."""
    cache = Cache(None)
    for made in objects:
        api_version, kind = made["apiVersion"], made["kind"]
        group, _, version = api_version.rpartition("/")
        kept = cache._kinds.setdefault(
            (api_version, kind), Kept(Resource(group, version, kind, kind, namespaced=True))
        )
        metadata = {"namespace": "default", "resourceVersion": "1", **made["metadata"]}
        kept.take({**made, "metadata": metadata})
    return Surroundings(cache, "default")


def admitted(made, others):
    """Return the errors and warnings of an object."""
    raw = msgspec.Raw(json.dumps(made).encode())
    verdict = look(Asked(made["kind"], made["metadata"]["name"], "default", raw))
    said = around(others).complaints(made["kind"], verdict.needs) if verdict.needs else ()
    return [e.text for e in verdict.errors], [w.text for w in (*verdict.warnings, *said)]


def in_a_cluster(text):
    """Return what lint says as it is said in a cluster."""
    text = re.sub(r", and \d+ more need it", "", text)
    text = re.sub(r" \(YAML takes .*\)| \(write .* in quotes\)", "", text)  # JSON has no words
    return text.replace("in these manifests", "in namespace 'default'")


@pytest.mark.parametrize(
    "text",
    [one.text for one in BAD if one.name not in OF_FILES],
    ids=[one.name for one in BAD if one.name not in OF_FILES],
)
def test_words_are_those_of_lint(text):
    found = check(read_text(text.encode(), "m.yaml"), Setting()).findings
    said = {
        severity: {
            in_a_cluster(f"{dotted(one.path)}: {one.message}")
            for one in found
            if one.severity == severity
        }
        for severity in ("error", "warning")
    }
    objects = [one for one in yaml.safe_load_all(text) if one]
    told = [admitted(one, objects) for one in objects if one["kind"] in CHECKED_KINDS]
    errors = {in_a_cluster(one) for wrong, _ in told for one in wrong}
    warnings = {one for _, doubtful in told for one in doubtful}

    assert found
    # What does not fit what is around an object may be put right by the next one.
    around_it = {one for one in said["error"] - errors if "EventSource 'hook'" in one}
    assert errors == said["error"] - around_it
    assert warnings == said["warning"] | around_it


@pytest.mark.parametrize(
    ("watch", "error"),
    [
        ({"labelSelector": "a b"}, "spec.watches[0].labelSelector: reading selector 'a b'"),
        ({"variable": "my-app"}, "spec.watches[0].variable: 'my-app': a variable is letters"),
        ({"kindd": "x"}, "spec.watches[0].kindd: unknown field (did you mean kind)"),
    ],
)
def test_notifiers_too(watch, error):
    made = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Notifier",
        "metadata": {"name": "people"},
        "spec": {"watches": [{"apiVersion": "v1", "kind": "Pod", **watch}]},
    }
    ((found,), _) = admitted(made, [])
    assert found.startswith(error)
    assert found in {
        f"{dotted(one.path)}: {one.message}"
        for one in check(read_text(json.dumps(made).encode(), "m.json"), Setting()).findings
    }


def test_what_a_notifier_reads_is_looked_for():
    made = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Notifier",
        "metadata": {"name": "people"},
        "spec": {"watches": [{"apiVersion": "v1", "kind": "Pod"}], "configMap": "peple"},
    }
    bus = {"apiVersion": ARGO, "kind": "EventBus", "metadata": {"name": "default"}}
    texts = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "people"}}
    assert admitted(made, [bus, texts]) == (
        [],
        ["spec.configMap: no ConfigMap 'peple' in namespace 'default' (did you mean people)"],
    )


def test_a_spec_that_is_none():
    made = {"apiVersion": ARGO, "kind": "Sensor", "metadata": {"name": "a"}, "spec": [1]}
    assert admitted(made, []) == (["spec: not a map"], [])


def test_complaints_are_bounded():
    many = {f"key{number}": 1 for number in range(500)}
    made = {"apiVersion": ARGO, "kind": "Sensor", "metadata": {"name": "a"}, "spec": many}
    errors, _ = admitted(made, [])
    assert len(errors) == MOST
