"""What the API server asks and is told."""

import json

import pytest

from controller.admission.review import (
    MOST_CAUSES,
    MOST_WARNING,
    MOST_WARNINGS,
    Said,
    allowed,
    bounded,
    head,
    read,
    refused,
)
from spine.errors import ConfigError

ASKED = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u-1",
        "kind": {"group": "argoproj.io", "version": "v1alpha1", "kind": "Sensor"},
        "operation": "UPDATE",
        "namespace": "ns",
        "object": {"metadata": {"name": "a"}, "spec": {"b": [1.0, 12345678901234567890]}},
        "oldObject": {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
        "userInfo": {"username": "jane", "groups": ["x"]},
        "dryRun": True,
    },
}


def asked(**more):
    return read(json.dumps({**ASKED, "request": {**ASKED["request"], **more}}).encode())


def test_an_object_is_not_read_more_than_needed():
    request = asked()
    assert (request.uid, request.kind.kind, request.namespace) == ("u-1", "Sensor", "ns")
    assert b"12345678901234567890" in bytes(head(request.object).spec)
    assert head(request.old_object).metadata.deletion_timestamp
    assert head(asked(object=None).object) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"request": 1}', b"[" * 100_000, b"\xff"])
def test_what_is_no_question_is_an_error(body):
    with pytest.raises(ConfigError, match="reading an AdmissionReview"):
        read(body)


def test_a_refusal_has_a_cause_for_each_field():
    said = [Said("spec.a", "wrong"), Said("", "worse")]
    response = json.loads(refused(asked(), "a", said, [Said("spec.c", "old")]))["response"]
    assert response["uid"] == "u-1"
    assert response["allowed"] is False
    assert response["warnings"] == ["spec.c: old"]
    status = response["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"] == "Sensor 'a' is not valid: spec.a: wrong; worse"
    assert status["details"]["kind"] == "Sensor"
    assert [(one["field"], one["message"]) for one in status["details"]["causes"]] == [
        ("spec.a", "wrong"),
        ("", "worse"),
    ]
    many = json.loads(refused(asked(), "a", said * 50))["response"]["status"]["details"]["causes"]
    assert len(many) == MOST_CAUSES + 1


def test_what_is_fine_is_allowed_without_a_word():
    assert json.loads(allowed(asked()))["response"] == {"uid": "u-1", "allowed": True}


def test_warnings_fit_what_the_api_server_passes_on():
    assert bounded(["a", "b", "a"]) == ["a", "b"]
    assert bounded(["a\n  b\tc\x00"]) == ["a b c"]
    (long,) = bounded(["x" * 1_000])
    assert len(long) == MOST_WARNING
    many = bounded(f"{number} {'é' * 200}" for number in range(100))
    assert many[-1] == "and more warnings (tocsin lint tells all)"
    assert sum(len(one.encode()) for one in many[:-1]) <= MOST_WARNINGS
    assert len(many) > 5
