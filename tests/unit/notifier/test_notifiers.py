"""Notifiers that nobody has to write."""

from dataclasses import dataclass

import pytest

from notifier.notifiers import READY, VARIABLES, Annotated, implied, is_configuration, secret_of
from notifier.spec import PREFIX
from spine.errors import ConfigError


def data(when: str = "obj.a == 1", message: str = "a") -> dict[str, str]:
    return {
        "trigger.on-x": f"- when: {when}\n  send: [note]",
        "template.note": f"message: '{message}'",
        "service.slack": "token: $token",
        "service.email": "host: h\nport: $port\nfrom: $from",
    }


@dataclass(frozen=True)
class Case:
    """Words of a configuration, and what is watched."""

    when: str
    message: str
    watched: list[tuple[str, str, str]]

    def __str__(self) -> str:
        return f"{self.when} {self.message}"


CASES = [
    Case("pod.status.phase in ['Running']", "x", [("v1", "Pod", "")]),
    Case("any(pod.status?.conditions ?? [], {.type == 'Ready'})", "x", [("v1", "Pod", "")]),
    Case("app.status.sync.status == 'Unknown'", "{{.app.metadata.name}}",
         [("argoproj.io/v1alpha1", "Application", "")]),
    Case("time.Now().Unix() > 0", "{{ .rollout.metadata.name }} {{ .context.a }}",
         [("argoproj.io/v1alpha1", "Rollout", "")]),
    Case("cert.a == 1", "x", [("cert-manager.io/v1", "Certificate", "")]),
    Case("certificate.a == 1", "x", [("cert-manager.io/v1", "Certificate", "certificate")]),
    Case("cronJob.a == 1", "x", [("batch/v1", "CronJob", "")]),
    Case("cronjob.a == 1", "x", [("batch/v1", "CronJob", "cronjob")]),
    Case("job.a == 1", "{{ with .deployment }}{{ .spec }}{{ end }}",
         [("apps/v1", "Deployment", ""), ("batch/v1", "Job", "")]),
    Case("ingress.a == node.b", "{{ .workflow }}{{ .service }}",
         [("networking.k8s.io/v1", "Ingress", ""), ("v1", "Node", ""), ("v1", "Service", ""),
          ("argoproj.io/v1alpha1", "Workflow", "")]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_words_tell_what_is_watched(case: Case) -> None:
    spec = implied("my-cm", data(case.when, case.message))

    assert [(one.api_version, one.kind, one.variable) for one in spec.watches] == case.watched
    assert spec.config_map == "my-cm"


def annotated(version: str, kind: str, annotation: str) -> Annotated:
    return Annotated(version, kind, {f"{PREFIX}/{annotation}": "a"})


def test_objects_that_name_its_triggers_tell_too() -> None:
    objects = [
        annotated("apps/v1", "Deployment", "subscribe.on-x.slack"),
        annotated("apps/v1", "Deployment", "subscribe.on-x.email"),
        annotated("v1", "Pod", "subscribe.of-others.slack"),
        annotated("v1", "Service", "subscribe.on-x.of-others"),
    ]

    spec = implied("my-cm", data(), objects)

    assert [(one.api_version, one.kind) for one in spec.watches] == [("apps/v1", "Deployment")]


def test_words_and_objects_add_up() -> None:
    objects = [
        annotated("v1", "Pod", "subscribe.on-x.slack"),
        annotated("batch/v1", "Job", "subscribe.on-x.slack"),
    ]

    spec = implied("my-cm", data("pod.a == 1"), objects)

    assert [one.kind for one in spec.watches] == ["Pod", "Job"]


def test_what_cannot_be_told_has_to_be_written() -> None:
    with pytest.raises(ConfigError, match="does not tell which kind") as caught:
        implied("my-cm", data(), [annotated("v1", "Pod", "subscribe.of-others.slack")])

    assert "kind: Notifier" in caught.value.hint
    assert "configMap: my-cm" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "kind", "variable", "secret", "health"),
    [
        ("argocd-notifications-cm", "Application", "app", "argocd-notifications-secret",
         "argocd-cm"),
        ("argo-rollouts-notification-configmap", "Rollout", "rollout",
         "argo-rollouts-notification-secret", ""),
    ],
)  # fmt: skip
def test_ready_ones(name: str, kind: str, variable: str, secret: str, health: str) -> None:
    spec = implied(name, {}, [annotated("v1", "Pod", "subscribe.on-x.slack")])

    assert spec == READY[name]
    (watch,) = spec.watches
    assert (watch.api_version, watch.kind, watch.variable) == (
        "argoproj.io/v1alpha1", kind, variable,
    )  # fmt: skip
    assert (spec.config_map, spec.secret, spec.health_config_map) == (name, secret, health)


@pytest.mark.parametrize(
    ("name", "secrets", "secret"),
    [
        ("my-cm", [], "my-secret"),
        ("my-configmap", [], "my-secret"),
        ("my-config", ["other", "my-secret"], "my-secret"),
        ("my", ["other"], "other"),
        ("my", ["other", "tocsin-notifications-secret"], "tocsin-notifications-secret"),
        ("my", ["a", "b"], "my-secret"),
    ],
)
def test_the_secret_beside_it(name: str, secrets: list[str], secret: str) -> None:
    assert secret_of(name, secrets) == secret


@pytest.mark.parametrize(
    ("name", "keys", "is_one"),
    [
        ("my-cm", ["trigger.a", "template.a"], True),
        ("my-cm", ["trigger.a", "service.slack"], True),
        ("my-cm", ["template.html", "config.yaml"], False),
        ("my-cm", ["service.port"], False),
        ("my-cm", ["trigger.sh"], False),
        ("my-cm", [], False),
        ("argocd-notifications-cm", [], True),
    ],
)
def test_which_config_maps_hold_notifications(name: str, keys: list[str], is_one: bool) -> None:
    assert is_configuration(name, dict.fromkeys(keys, "")) is is_one


def test_each_variable_stands_for_one_kind() -> None:
    assert VARIABLES["app"] == ("argoproj.io/v1alpha1", "Application")
    assert VARIABLES["statefulSet"] == VARIABLES["statefulset"] == ("apps/v1", "StatefulSet")
    assert "secret" not in VARIABLES
