"""Generated files: fresh, and the CRDs take whatever the process takes."""

import copy
import functools
import json
from pathlib import Path

import pytest
import yaml
from crd_kit import accepts
from old_shapes import CASES, Case

from controller.objects import check_object
from spine.manifest import read, read_text
from tocsin import generate
from tocsin.crd import crd


def test_what_is_committed_is_what_would_be_written(capsys):
    assert generate.main(["--check"]) == 0, capsys.readouterr().out


def test_names_are_those_of_argo_events_and_ours():
    found = {}
    for name, content in generate.files():
        if name.startswith("crds/") and name.endswith(".yaml"):
            made = yaml.safe_load(content)
            names = made["spec"]["names"]
            found[names["kind"]] = (made["metadata"]["name"], names["shortNames"])
            assert names["categories"] == ["tocsin"]

    assert found == {
        "EventBus": ("eventbus.argoproj.io", ["eb"]),
        "EventSource": ("eventsources.argoproj.io", ["es"]),
        "Sensor": ("sensors.argoproj.io", ["sn"]),
        "Notifier": ("notifiers.tocsin.dev", ["ntf"]),
    }


def test_stale_files_are_named(monkeypatch, tmp_path, capsys):
    (tmp_path / "examples").symlink_to(EXAMPLES)  # pages of sources show them
    monkeypatch.setattr(generate, "ROOT", tmp_path)

    assert generate.main(["--check"]) == 1
    assert "crds/argoproj.io_sensors.yaml: stale (run: make generate)" in capsys.readouterr().out
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert generate.main(["--what"]) == 2


# ---------------------------------------------------------------------------- never refuse

EXAMPLES = Path(__file__).parents[3] / "examples"

STORED = [
    """
kind: EventSource
spec:
  replica: 2
  template: {spec: {serviceAccountName: x}, container: {image: y}}
  webhook:
    a: {port: 12000, endpoint: /a, method: POST, maxPayloadSize: 5, unheard: {of: 1}}
    b: {Port: "12001", endpoint: /b, serverCertPath: /x, serverKeyPath: /y, metadata: null}
  calendar:
    c: {interval: 10s, recurrence: ["EXDATE:20240101T000000Z"], userPayload: {a: 1}}
""",
    """
kind: Sensor
spec:
  dependencies:
    - name: gw:ev
    - name: b
      eventSourceName: x
      eventName: ev
      filters:
        name: old
        data:
          - {path: a, type: number, value: 3}
          - {path: a, type: string, value: x, comparator: null}
        context: {contentType: application/json}
  triggers:
    - template:
        name: t
        policy: {status: {allow: [200]}}
        http:
          serverURL: http://x
          headers: {A: [b, c]}
          tls: {caCertPath: /x}
          timeout: 3
      retryStrategy: {duration: 1000000000, factor: 1.5, steps: 3}
    - template: {name: u, log: {intervalSeconds: 5}}
      dlqTrigger: {template: {name: v, http: {serverURL: 'http://y'}}, atLeastOnce: true}
      atLeastOnce: true
""",
    """
kind: EventBus
spec:
  nats: {native: {size: 3, antiAffinity: true, persistence: {size: 1Gi}, maxBytes: 1GB}}
""",
    """
kind: EventBus
spec: {jetstream: {version: latest, replicas: 1, maxPayload: 1048576, settings: null}}
""",
]


@functools.cache
def crd_of(kind: str):
    found = crd(kind, generate.model_of(kind))
    return found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


@pytest.mark.parametrize("text", STORED, ids=range(len(STORED)))
def test_stored_objects_of_old_are_taken_and_kept_whole(text):
    head = "apiVersion: argoproj.io/v1alpha1\nmetadata: {name: x}\n"
    (obj,) = read_text((head + text).encode(), "f").objects

    _, findings = check_object(obj, lenient=True)

    assert [str(f) for f in findings if f.severity == "error"] == []
    assert accepts(crd_of(obj.kind), copy.deepcopy(obj.raw["spec"]))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind} {c}")
def test_old_shapes_are_taken(case: Case):
    """kubectl refuses what a schema does not take."""
    assert accepts(crd_of(case.kind), copy.deepcopy(case.old.get("spec", {})))
    assert accepts(crd_of(case.kind), copy.deepcopy(case.new.get("spec", {})))


def test_the_examples_are_taken():
    objects = [o for o in read([EXAMPLES]).objects if o.kind not in {"Secret", "ConfigMap"}]

    assert objects
    for obj in objects:
        assert accepts(crd_of(obj.kind), obj.raw["spec"]), obj


def test_a_crd_fits_into_an_annotation_of_kubectl_apply():
    """It keeps what was applied there, as compact JSON; all annotations may have 256 KiB."""
    sizes = {
        name: len(json.dumps(yaml.safe_load(text), separators=(",", ":")))
        for name, text in generate.files()
        if name.endswith(".yaml")
    }

    assert max(sizes.values()) < 250_000, sizes
