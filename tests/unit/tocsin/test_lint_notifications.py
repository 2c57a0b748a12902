"""`tocsin lint` on notifications, called as a user calls it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spine.manifest import read
from tocsin.checks import Setting, check
from tocsin.lint import command

BUS = """\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {jetstream: {version: latest}}
---
"""
NOTIFIER = """\
apiVersion: tocsin.dev/v1alpha1
kind: Notifier
metadata:
  name: apps
spec:
  configMap: apps-cm
  secret: apps-secret
  watches:
  - apiVersion: apps/v1
    kind: Deployment
---
"""
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: apps-cm
data:
  service.slack: |
    token: $token
    username: bot
  trigger.on-down: |
    # when nothing is left
    - when: deployment.status?.availableReplicas == nil
      send: [down]
  template.down: |
    message: "{{ .deployment.metadata.name }} is down"
---
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {name: apps-secret}
stringData: {token: xoxb-4711}
---
"""
OBJECT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  annotations:
    notifications.argoproj.io/subscribe.on-down.slack: dev
spec: {}
---
"""
GOOD = NOTIFIER + CONFIG + SECRET + OBJECT + BUS
ALL = {"NOTIFIER": NOTIFIER, "CONFIG": CONFIG, "SECRET": SECRET, "OBJECT": OBJECT}
Lint = Callable[..., Result]


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lint:
    monkeypatch.chdir(tmp_path)

    def run(text: str, *options: str) -> Result:
        (tmp_path / "m.yaml").write_text(text)
        return CliRunner().invoke(command, [*options, "m.yaml"])

    return run


def test_good_notifications_are_silent(lint: Lint) -> None:
    result = lint(GOOD)

    assert result.output == "2 objects in 1 file: no problems\n"
    assert result.exit_code == 0


@dataclass(frozen=True)
class Bad:
    """A change of good manifests, and the line that tells of it."""

    name: str
    old: str
    new: str
    line: str
    code: int = 2

    def __str__(self) -> str:
        return self.name


LINE = "dev\n"
BAD = [
    Bad("Notifier: unknown field", "configMap: apps", "configMpa: apps",
        "m.yaml:6:3: spec.configMpa: unknown field (did you mean configMap)"),
    Bad("Notifier: no watches", "  watches:\n  - apiVersion: apps/v1\n    kind: Deployment\n", "",
        "m.yaml:5:1: spec.watches: required field is missing"),
    Bad("Notifier: version", "tocsin.dev/v1alpha1", "tocsin.dev/v1",
        "m.yaml:1:1: apiVersion: 'tocsin.dev/v1': Notifier is of apiVersion tocsin.dev/v1alpha1"),
    Bad("Notifier: kind", "kind: Notifier", "kind: Notifer",
        "m.yaml:2:1: kind: 'Notifer': unknown kind in tocsin.dev/v1alpha1 (did you mean Notifier)"),
    Bad("Notifier: selector", "Deployment\n---", "Deployment\n    labelSelector: a b\n---",
        "m.yaml:11:5: spec.watches[0].labelSelector: reading selector 'a b'"),
    Bad("Notifier: variable", "Deployment\n---", "Deployment\n    variable: my-app\n---",
        "m.yaml:11:5: spec.watches[0].variable: 'my-app': a variable is letters, digits and _"),
    Bad("Notifier: twice the same", "Deployment\n---",
        "Deployment\n  - {apiVersion: apps/v1, kind: Deployment}\n---",
        "m.yaml:11:5: spec.watches[1]: warning: Deployment of apps/v1 is watched twice", 0),
    Bad("no ConfigMap", "configMap: apps-cm", "configMap: apps-cn",
        "m.yaml:6:3: spec.configMap: warning: no ConfigMap 'apps-cn' in these manifests"
        " (did you mean apps-cm)", 0),
    Bad("no Secret", "secret: apps-secret", "secret: app-secret",
        "m.yaml:7:3: spec.secret: warning: no Secret 'app-secret' in these manifests"
        " (did you mean apps-secret)", 0),
    Bad("no key in the Secret", "{token: xoxb", "{tokne: xoxb",
        "m.yaml:18:5: data.service.slack.token: warning: $token stays as it is: the Secret has no"
        " such key (did you mean tokne)", 0),
    Bad("type of service", "service.slack: |", "service.slcak: |",
        "m.yaml:17:3: data.service.slcak: 'slcak' is no type of service (did you mean slack)"),
    Bad("option", "    username: bot", "    usrname: bot",
        "m.yaml:19:5: data.service.slack.usrname: warning: unknown field, of no effect (did you"
        " mean username)", 0),
    Bad("expression", "== nil", "=== nil", "m.yaml:22:7: data.trigger.on-down[0].when: "),
    Bad("variable", "deployment.status", "deploymnt.status",
        "m.yaml:22:7: data.trigger.on-down[0].when: warning: nothing is called deploymnt, so it is"
        " nil (did you mean deployment?)", 0),
    Bad("template", "send: [down]", "send: [dwn]",
        "m.yaml:23:14: data.trigger.on-down[0].send[0]: there is no template 'dwn' (did you mean"
        " down)"),
    Bad("template without quotes", '"{{ .deployment.metadata.name }} is down"', "{{ .deployment }}",
        "m.yaml:25:14: data.template.down: not YAML: 'message: {{ .deployment }}' begins with {{"),
    Bad("key", "template.down: |", "tempalte.down: |",
        "m.yaml:24:3: data.tempalte.down: warning: unknown key, of no effect (did you mean"
        " template.down)"),
    Bad("annotation: service", "on-down.slack", "on-down.slcak",
        "m.yaml:37:5: metadata.annotations.notifications.argoproj.io/subscribe.on-down.slcak: there"
        " is no service 'slcak' (did you mean slack)"),
    Bad("annotation: trigger", "subscribe.on-down", "subscribe.on-dwn",
        "m.yaml:37:5: metadata.annotations.notifications.argoproj.io/subscribe.on-dwn.slack: there"
        " is no trigger 'on-dwn' (did you mean on-down)"),
    Bad("annotation: not a text", "slack: dev", "slack: 5",
        "m.yaml:37:5: metadata.annotations.notifications.argoproj.io/subscribe.on-down.slack: an"
        " annotation is a text: write it in quotes"),
    Bad("annotation: too long", "subscribe.on-down", f"subscribe.{'x' * 55}",
        "has 71 letters, Kubernetes allows 63: write it in notifications.argoproj.io/subsc"),
    Bad("annotation: dots", "subscribe.on-down.slack", "subscribe.on.down.slack",
        "warning: what follows the second dot is not read"),
    Bad("annotation: list", LINE,
        "dev\n    notifications.argoproj.io/subscriptions: |\n      - triggers: [on-down]\n"
        "        destinations:\n        - {service: slak, recipients: [a]}\n",
        "m.yaml:39:9: metadata.annotations.notifications.argoproj.io/subscriptions[0]: there is no"
        " service 'slak' (did you mean slack)"),
    Bad("annotation: plural", LINE,
        "dev\n    notifications.argoproj.io/subscriptions: |\n      - triggers: [on-down]\n"
        "        destinations: [{service: slack, recipients: [a]}]\n",
        "m.yaml:39:9: metadata.annotations.notifications.argoproj.io/subscriptions[0].triggers:"
        " warning: write trigger: Argo's engine takes defaultTriggers", 0),
    Bad("annotation: scalar", LINE,
        "dev\n    notifications.argoproj.io/subscriptions: |\n      - trigger: on-down\n"
        "        destinations: [{service: slack, recipients: [a]}]\n",
        "m.yaml:39:9: metadata.annotations.notifications.argoproj.io/subscriptions[0].trigger:"
        " warning: a list is meant here", 0),
    Bad("annotation: kind", "kind: Deployment\nmetadata", "kind: StatefulSet\nmetadata",
        "m.yaml:36:3: metadata.annotations: note: no Notifier in these manifests watches"
        " StatefulSet of apps/v1", 0),
    Bad("health", "\ndata:\n", "\ndata:\n  resource.customizations.health.apps_Deployment: |\n"
        "    hs = {}\n    if then\n",
        "m.yaml:19:5: data.resource.customizations.health.apps_Deployment: "),
    Bad("Notifier twice", BUS, NOTIFIER + BUS, "Notifier 'apps' is defined twice"),
]  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=str)
def test_problems_are_told_at_their_line(lint: Lint, case: Bad) -> None:
    assert case.old in GOOD
    text = GOOD.replace(case.old, case.new, 1)

    result = lint(text)

    assert case.line in result.output, result.output
    assert result.exit_code == case.code
    assert "xoxb" not in result.output


def test_templates_of_pods_are_looked_at(lint: Lint) -> None:
    deployment = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  template:
    metadata:
      annotations:
        notifications.argoproj.io/subscribe.on-dwn.slack: dev
---
"""
    pods = NOTIFIER.replace("apps/v1\n    kind: Deployment", "v1\n    kind: Pod")

    result = lint(pods + CONFIG.replace("deployment", "pod") + SECRET + BUS + deployment)

    assert (
        "spec.template.metadata.annotations.notifications.argoproj.io/subscribe.on-dwn.slack: there"
        " is no trigger 'on-dwn' (did you mean on-down)"
    ) in result.output


def test_values_that_are_no_literal_blocks_are_told_at_their_key(lint: Lint) -> None:
    begin, end = GOOD.index("  trigger.on-down"), GOOD.index("  template.down")
    trigger = '  trigger.on-down: "\\n\\n- when: a ===\\n  send: [down]"\n'
    text = GOOD[:begin] + trigger + GOOD[end:]

    result = lint(text)

    assert "m.yaml:20:3: data.trigger.on-down[0].when: " in result.output


def test_without_a_notifier_one_is_taken(lint: Lint) -> None:
    result = lint(CONFIG + SECRET + OBJECT)

    assert result.output == (
        "m.yaml:4:3: metadata.name: note: no Notifier names it, so one is taken for it: Deployment"
        " of apps/v1, Secret 'apps-secret'\n1 object in 1 file: no problems\n"
    )


def test_a_config_map_that_tells_nothing_needs_a_notifier(lint: Lint) -> None:
    text = CONFIG.replace("deployment", "obj")

    result = lint(text)

    assert "m.yaml:4:3: metadata.name: warning: ConfigMap 'apps-cm' does not tell" in result.output
    assert "kind: Notifier\n" in result.output
    assert result.exit_code == 0


def test_what_is_wrong_is_told_before_it_is_known_what_it_is_about(lint: Lint) -> None:
    result = lint(CONFIG.replace("deployment", "obj").replace("service.", "service.no-"))

    assert "metadata.name: warning: ConfigMap 'apps-cm' does not tell" in result.output
    assert "is no type of service" in result.output
    assert result.exit_code == 2


def test_ordinary_config_maps_are_left_alone(lint: Lint) -> None:
    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"
        'data: {template.html: "{{ x", config.yaml: "a: [", service.port: "80"}\n---\n'
    )

    assert lint(text).output == "0 objects in 1 file: no problems\n"


def test_annotations_alone_are_checked_as_far_as_that_goes(lint: Lint) -> None:
    text = OBJECT.replace("dev\n", "dev\n    notifications.argoproj.io/subscriptions: 'a: ['\n")

    result = lint(text + BUS)

    assert "m.yaml:7:5: metadata.annotations.notifications.argoproj.io/subscriptions: not YAML" in (
        result.output
    )
    assert "no Notifier" not in result.output


def test_other_prefixes(lint: Lint) -> None:
    text = GOOD.replace("spec:\n", "spec:\n  annotationPrefix: my.io\n", 1)

    result = lint(
        text.replace("notifications.argoproj.io/subscribe.on-down", "my.io/subscribe.on-dwn")
    )

    assert "metadata.annotations.my.io/subscribe.on-dwn.slack: there is no trigger" in result.output


def test_what_runs_alone_has_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(NOTIFIER + OBJECT.replace("Deployment", "Pod"))

    result = check(read([tmp_path]), Setting(alone=True))

    assert [(one.severity, one.message.split(" in these")[0]) for one in result.findings] == [
        ("error", "no ConfigMap 'apps-cm'"),
        ("warning", "no Notifier"),
    ]


def test_what_is_implied_runs_as_if_it_were_written() -> None:
    story = Path(__file__).parents[2] / "notifications" / "pods-and-jobs.yaml"

    result = check(read([story]), Setting(alone=True))

    (notifier,) = result.of("Notifier")
    assert notifier.implied
    assert notifier.key == ("default", "workload-notifications-cm")
    assert [one.kind for one in notifier.spec.watches] == ["Job", "Pod"]
    assert notifier.object.raw["kind"] == "Notifier"
    assert result.count("error") == 0


def test_values_of_options_count_as_a_secret(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(NOTIFIER + CONFIG + BUS)

    result = check(read([tmp_path]), Setting(alone=True), ["apps-secret.token=xoxb-1"])

    assert result.findings == []
