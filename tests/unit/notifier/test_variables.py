"""Variables that expressions and templates have for an object."""

from datetime import UTC, datetime
from typing import Any

import pytest

from notifier.expressions import compile_expression
from notifier.variables import ALWAYS, alias_of, health_of, variables
from spine.lang import gotemplate, gotime

POD = {"kind": "Pod", "metadata": {"name": "web"}}

ALIASES = [
    ("Application", "app"),
    ("Certificate", "cert"),
    ("Rollout", "rollout"),
    ("Pod", "pod"),
    ("StatefulSet", "statefulSet"),
    ("HTTPRoute", "hTTPRoute"),
    ("", ""),
]


@pytest.mark.parametrize(("kind", "name"), ALIASES)
def test_the_name_of_a_kind(kind: str, name: str) -> None:
    assert alias_of(kind) == name


def test_what_is_always_there() -> None:
    found = variables(POD)

    assert set(found) == ALWAYS - {"appProject"}
    assert found["obj"] is POD
    assert found["context"] == {"notificationType": ""}
    assert found["event"] == {"type": "MODIFIED"}
    assert found["resolved"] is False


def test_an_object_has_a_second_name() -> None:
    assert variables(POD, alias="pod")["pod"] is POD


def test_what_is_known_besides_is_put_last() -> None:
    found = variables(POD, extra={"resolved": True, "appProject": {"kind": "AppProject"}})

    assert found["resolved"] is True
    assert found["appProject"]["kind"] == "AppProject"


MOMENTS: list[tuple[Any, str]] = [
    (1_700_000_000, "2023-11-14T22:13:20Z"),
    (1_700_000_000.25, "2023-11-14T22:13:20.25Z"),
    (datetime(2024, 1, 2, tzinfo=UTC), "2024-01-02T00:00:00Z"),
    (gotime.Time(0), "1970-01-01T00:00:00Z"),
    (None, "0001-01-01T00:00:00Z"),
    (0.0, "0001-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("since", "wanted"), MOMENTS, ids=str)
def test_since_is_a_time(since: Any, wanted: str) -> None:
    health = health_of({"status": "Healthy", "message": "", "previous": "", "since": since})

    assert gotime.format_time(health["since"], gotime.RFC3339_NANO) == wanted


def test_where_there_is_no_health_its_texts_are_empty() -> None:
    """A condition on health is false for a kind without a rule; it is no error."""
    found = variables(POD)

    assert compile_expression("health.status == 'Degraded'", variables=ALWAYS).value(found) is False
    assert compile_expression("health.since.IsZero()", variables=ALWAYS).value(found) is True


def test_health_of_one_object_is_not_that_of_the_next() -> None:
    health_of(None)["status"] = "changed"

    assert health_of(None)["status"] == ""


def test_one_set_of_variables_serves_expressions_and_templates() -> None:
    found = variables(POD, alias="pod", context={"a": "b"})
    text = (
        "{{ .context.a }} {{ (call .time.Parse .at).Year }} {{ call .strings.ToLower .pod.kind }}"
    )

    made = gotemplate.compile(text).render({**found, "at": "2024-01-02T03:04:05Z"})

    assert made == "b 2024 pod"
    assert compile_expression("context.a + pod.kind", variables=ALWAYS).value(found) == "bPod"
