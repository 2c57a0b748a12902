"""The chart with the real helm, and that `tocsin install` prints the same objects."""

import json
import os
from pathlib import Path

import pytest
import yaml
from chart_cases import CASES, DEFAULT, RENAMED, WRONG
from helm_kit import CHART, Case, by_helm, by_us, helm

from spine.errors import ConfigError
from tocsin.installing.given import gathered

GOLDEN = Path(__file__).parent / "default.yaml"
"""What the chart installs where nobody sets anything, but for the CRDs."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_helm_and_tocsin_install_give_the_same_objects(case: Case, tmp_path):
    found = by_helm(tmp_path, case)

    assert set(found) == (DEFAULT | case.more) - case.less
    assert by_us(case) == found


def test_bounds_of_authors_reach_the_controller():
    values = {
        "controller": {"allowTemplate": ["env"], "templateAccounts": ["a-*", "b"]},
        "egress": {"hosts": ["*.example.com", "a.b"], "addresses": ["169.254.20.10"]},
    }
    deployment = by_us(Case("bounds", values))["Deployment/tocsin-controller"]
    (pod,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {"--allow-template=env", "--template-account=a-*", "--template-account=b"} < {
        *pod["args"]
    }
    env = {one["name"]: one.get("value") for one in pod["env"]}
    assert env["TOCSIN_EGRESS"] == "*.example.com,a.b"
    assert env["TOCSIN_EGRESS_ADDRESSES"] == "169.254.20.10"


@pytest.mark.parametrize("case", RENAMED, ids=str)
def test_names_follow_the_release(case: Case, tmp_path):
    found = by_helm(tmp_path, case)

    name = case.values.get("fullnameOverride", case.release)
    renamed = {key.replace("/tocsin-", f"/{name}-") for key in DEFAULT}
    assert set(found) == renamed
    assert by_us(case) == found
    assert '"tocsin-webhook' not in json.dumps(found)
    assert {one["metadata"].get("namespace") for one in found.values()} <= {None, case.namespace}


def test_the_default_is_what_it_was(tmp_path):
    found = by_helm(tmp_path, Case("default"))

    text = yaml.safe_dump_all((found[key] for key in sorted(found)), width=100)
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "GOLDEN=write writes it anew"


@pytest.mark.parametrize(
    "case", [CASES[0], *(c for c in CASES if c.name in {"pod", "metrics"})], ids=str
)
def test_helm_lint_finds_nothing(case: Case, tmp_path):
    file = tmp_path / "values.json"
    file.write_text(json.dumps(case.values))

    done = helm(tmp_path, "lint", "--strict", "--with-subcharts", "-f", str(file), str(CHART))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout


@pytest.mark.parametrize(("values", "word"), WRONG, ids=json.dumps)
def test_wrong_values_are_refused_by_both(values, word, tmp_path):
    with pytest.raises(AssertionError, match=word):
        by_helm(tmp_path, Case("wrong", values))
    with pytest.raises(ConfigError, match=word):
        by_us(Case("wrong", values))


SETS = [
    ["a=1", "b=01", "c=1.5", "d=true", "e=", "f=x=y", "g=-3", "h=1e3"],
    ["a.b.c=1,d=2", "a.b.e={x,2,true}"],
    ["l[1]=x", "l[0].k=v,l[0].m=w", "m[0][1]=z"],
    [r"a\.b=1", r"c=x\,y\=z", r"d=\{x", r"e.kubernetes\.io/name=v"],
    ["a=null", "b.c=null", "b.d=1"],
    ["a.b=1", "a=2"],
    ["n=12345678901234567", "s=' x '", "u=é"],
]


@pytest.mark.parametrize("sets", SETS, ids=lambda one: one[0])
def test_set_is_understood_as_by_helm(sets, tmp_path):
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("{apiVersion: v2, name: x, version: 0.1.0}")
    (chart / "templates" / "v.yaml").write_text("v: {{ toJson .Values }}")
    words = [word for one in sets for word in ("--set", one)]

    done = helm(tmp_path, "template", str(chart), *words)

    assert done.returncode == 0, done.stderr
    assert gathered([], sets, [])[0] == yaml.safe_load(done.stdout)["v"]


# ---------------------------------------------------------------------------- what values do


def rendered(name: str) -> dict:
    """Return the objects of a case."""
    return by_us(next(case for case in CASES if case.name == name))


def container(found: dict) -> dict:
    return found["Deployment/tocsin-controller"]["spec"]["template"]["spec"]["containers"][0]


def test_the_controller_fulfils_the_restricted_standard():
    spec = rendered("default")["Deployment/tocsin-controller"]["spec"]["template"]["spec"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for one in spec["containers"]:
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert {"startupProbe", "livenessProbe", "readinessProbe", "resources"} <= set(one)
    assert [volume for volume in spec["volumes"] if "emptyDir" not in volume] == []


def test_arguments_follow_values():
    args = container(rendered("pod"))["args"]

    assert {"--lease=ours", "--grace=1h30m", "--make-service-accounts", "--log-level=debug"} <= set(
        args
    )
    assert args[-3:] == ["--host=0.0.0.0", "-n", "10"]
    leases = rendered("pod")["Role/tocsin-controller-own"]["rules"][1]
    assert leases["resourceNames"] == ["ours"]
    found = [arg for arg in container(rendered("namespaces"))["args"] if "--namespace" in arg]
    assert found == ["--namespace=shop", "--namespace=billing"]


def test_the_webhook_is_asked_about_our_kinds_alone():
    hook = rendered("default")["ValidatingWebhookConfiguration/tocsin-webhook"]["webhooks"][0]

    assert hook["failurePolicy"] == "Fail"
    assert hook["sideEffects"] == "None"
    assert "caBundle" not in hook["clientConfig"]
    assert {(*rule["apiGroups"], *rule["resources"]) for rule in hook["rules"]} == {
        ("argoproj.io", "eventbus", "eventsources", "sensors"),
        ("tocsin.dev", "notifiers"),
    }


def test_crds_are_kept_unless_they_are_not_to_be():
    def policies(name: str) -> set:
        found = [one for key, one in rendered(name).items() if key.startswith("CustomResource")]
        assert len(found) == 4
        return {
            (one["metadata"].get("annotations") or {}).get("helm.sh/resource-policy")
            for one in found
        }

    assert policies("default") == {"keep"}
    assert policies("crds-go") == {None}


def test_thresholds_and_labels_of_alerts_follow_values():
    spec = rendered("metrics")["PrometheusRule/tocsin"]["spec"]
    rules = {rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]}

    assert rules["TocsinBacklog"]["expr"].endswith(" > 1000000")
    assert rules["TocsinActionsSlow"]["expr"].endswith(" > 5")
    for rule in rules.values():
        assert rule["labels"] == {"team": "a", "n": "1", "severity": rule["labels"]["severity"]}
    dashboard = rendered("metrics")["ConfigMap/tocsin-dashboard"]["data"]["tocsin.json"]
    assert json.loads(dashboard) == json.loads((CHART / "files" / "dashboard.json").read_text())


def test_no_pod_of_ours_may_call_where_credentials_are_handed_out():
    found = rendered("policies")

    for name in ("sources", "sensors"):
        *_, names, rest = found[f"NetworkPolicy/tocsin-{name}"]["spec"]["egress"]
        assert {port["port"] for port in names["ports"]} == {53}
        blocks = [peer["ipBlock"] for peer in rest["to"] if "ipBlock" in peer]
        assert blocks[0] == {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}
        assert blocks[1]["cidr"] == "::/0"
    peers = found["NetworkPolicy/tocsin-bus"]["spec"]["ingress"][0]["from"]
    assert all(peer.get("podSelector") for peer in peers)
