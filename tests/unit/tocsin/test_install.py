"""`tocsin install` without a cluster and without Helm."""

import hashlib
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from spine import __version__
from spine.errors import ConfigError
from tocsin import cli
from tocsin.installing import chart as charts
from tocsin.installing import generated
from tocsin.installing.chart import Chart, Release, to_yaml
from tocsin.installing.given import MOST, checked, gathered, image_values, merged, set_into

ROOT = Path(__file__).parents[3]


def installed(*words, given=None):
    """Return the objects that are printed, by kind and name."""
    result = CliRunner().invoke(cli.cli, ["install", *words], input=given)
    assert result.exit_code == 0, result.output
    found = list(yaml.safe_load_all(result.stdout))
    assert None not in found
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def refused(*words):
    """Return why an installation is refused."""
    result = CliRunner().invoke(cli.cli, ["install", *words])
    assert isinstance(result.exception, ConfigError), result.output
    return str(result.exception)


def controller(found):
    return found["Deployment/tocsin-controller"]["spec"]["template"]["spec"]["containers"][0]


def test_what_others_need_comes_first():
    kinds = [key.partition("/")[0] for key in installed()]

    assert kinds[:5] == ["Namespace", *["CustomResourceDefinition"] * 4]
    assert kinds[-2:] == ["Deployment", "ValidatingWebhookConfiguration"]
    assert kinds.index("ServiceAccount") < kinds.index("ClusterRole") < kinds.index("Deployment")


def test_options_are_values():
    digest = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    image = "registry.example.com:5000/a/tocsin"
    plain = ("--no-webhook", "--no-crds", "--no-namespace", "-n", "infra", "--name", "bell")

    found = installed(*plain, "--image", f"{image}:1.2@{digest}")

    assert not [key for key in found if re.match("Namespace|CustomResource|Validating", key)]
    assert found["Deployment/bell-controller"]["metadata"]["namespace"] == "infra"
    (one,) = found["Deployment/bell-controller"]["spec"]["template"]["spec"]["containers"]
    assert one["image"] == f"{image}@{digest}"
    assert not [arg for arg in one["args"] if "webhook" in arg]
    assert one["env"][0] == {"name": "TOCSIN_IMAGE", "value": one["image"]}


def test_later_values_win_and_files_come_before_set(tmp_path):
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text("controller: {logLevel: debug, grace: 1h, nodeSelector: {a: b}}\n")
    second.write_text("controller: {logLevel: warn}\n")

    found = installed(
        "-f", str(first), "-f", str(second), "-f", "-", "--set", "controller.grace=2h",
        "--set-string", r"controller.nodeSelector.kubernetes\.io/x=1",
        given="controller: {replicas: 3}",
    )  # fmt: skip

    args = controller(found)["args"]
    assert "--log-level=warn" in args
    assert "--grace=2h" in args
    deployment = found["Deployment/tocsin-controller"]["spec"]
    assert deployment["replicas"] == 3
    assert deployment["template"]["spec"]["nodeSelector"] == {"a": "b", "kubernetes.io/x": "1"}


def test_what_is_printed_says_who_installed_and_no_file_of_ours_is_helms():
    found = installed("--no-crds", "--no-namespace")

    for one in found.values():
        assert one["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "tocsin"
        assert one["metadata"]["labels"]["app.kubernetes.io/version"] == __version__


def test_the_annotation_of_kubectl_has_room_for_every_object():
    import json

    for key, one in installed().items():
        assert len(json.dumps(one)) < 262_144, key


WRONG = [
    (["--set", "controler.replicas=1"], "controler: unknown field (did you mean controller)"),
    (["--set", "image.tga=1"], "image.tga: unknown field (did you mean tag)"),
    (["--set", "controller.replicas=two"], "controller.replicas: 'two'"),
    (["--set", "Webhook.enabled=false"], "(did you mean webhook)"),
    (["--set", "crds.keep=null"], "crds.keep: must not be null"),
    (["--set", "crds=null"], "crds: must not be null"),
    (["--set", "image=x"], "image"),
    (["--set", "replicas"], "setting 'replicas': no value (write --set key=value)"),
    (["--set", "=1"], "no key"),
    (["--set", "[0]=1"], "no key"),
    (["--set", "a={x,y"], "the list has no end"),
    (["--set", "a={x}y"], "'y' follows a list"),
    (["--set", f"a[{MOST + 1}]=x"], f"index {MOST + 1} is more than {MOST}"),
    (["--set", "a.b=1,a[0]=2"], "a is no map or list there"),
    (["--set", "a[b]=1"], "is no key"),
    (["-f", "/nowhere/v.yaml"], "reading values of /nowhere/v.yaml: No such file or directory"),
    (["--image", "a b"], "--image 'a b': it is no image"),
    (["--image", ":::"], "--image ':::': it is no image"),
    (["--image", "a:1:2"], "--image 'a:1:2': it is no image"),
    (["--namespace", "Tocsin"], "--namespace 'Tocsin': names have small letters"),
    (["--name", "x" * 54], "at most 53"),
]


@pytest.mark.parametrize(("words", "why"), WRONG, ids=lambda one: " ".join(one)[:40])
def test_what_cannot_be_is_said(words, why):
    assert why in refused(*words)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "v.yaml:2:1: not YAML"),
        ("- a", "it is no map"),
        ("\x00", "reading values"),
        ("a: 1\n---\nb: 2", "more than one document"),
    ],
)
def test_a_file_that_is_none_is_named(text, why, tmp_path):
    file = tmp_path / "v.yaml"
    file.write_text(text)

    said = refused("-f", str(file))

    assert str(file) in said
    assert why in said


def test_what_is_wrong_in_a_file_is_said_with_its_place(tmp_path):
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("image: {tga: 1, tag: 5}\ncontroller:\n  replicas: two\n")
    second.write_text("controller:\n\n  replicas: three\n")

    said = refused("-f", str(first), "-f", str(second), "--set", "image.tag=x,image.pullPolicy=Y")

    assert f"{first}:1:9: image.tga: unknown field (did you mean tag)" in said
    assert f"{second}:3:3: controller.replicas: 'three'" in said
    assert f"{first}:2" not in said
    assert "; image.pullPolicy: 'Y'" in said or "values: image.pullPolicy: 'Y'" in said


def test_all_that_is_wrong_is_said_at_once():
    said = refused("--set", "a=1,b=2,controller.grace=long")

    assert re.search(r"\ba: unknown.*\bb: unknown|grace.*a: unknown", said)
    assert "controller.grace" in said


def test_an_empty_list_is_one():
    assert gathered([], ["namespaces={}", "a={b,2}"], [])[0] == {"namespaces": [], "a": ["b", 2]}


def test_texts_stay_texts():
    values = {}
    set_into(values, "a=1,b={true,null}", strings=True)

    assert values == {"a": "1", "b": ["true", "null"]}


def test_nulls_take_values_away_and_lists_are_replaced():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}

    assert merged(base, {"a": {"b": None, "c": [3]}, "d": None}) == {"a": {"c": [3]}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}


def test_an_image_is_taken_apart():
    assert image_values("host:5000/a/b") == {"repository": "host:5000/a/b"}
    assert image_values("b:1") == {"repository": "b", "tag": "1"}
    assert image_values("h:5/b:v@sha256:" + "0" * 64)["digest"] == "sha256:" + "0" * 64


TEXTS = [
    "y",
    "No",
    "on",
    "~",
    "null",
    "1",
    "1e3",
    "0x1",
    "",
    " a",
    "a: b",
    "a #b",
    "é",
    "x\ny",
    "-",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_quoted_wherever_a_reader_may_doubt(text):
    made = to_yaml({"a": [text, {"b": text}], "c": 1, "d": True, "e": None})

    assert yaml.safe_load(made) == {"a": [text, {"b": text}], "c": 1, "d": True, "e": None}
    assert "\n..." not in made
    assert not re.search(r"(- |: )(y|No|on|~)$", made, re.MULTILINE)


# ---------------------------------------------------------------------------- the chart itself


def test_the_chart_is_of_this_version():
    found = Chart.ours().metadata

    assert found["Version"] == found["AppVersion"] == __version__


def test_the_values_of_the_chart_are_those_of_the_code():
    assert Chart.ours().values == generated.defaults()
    assert checked(Chart.ours().values) == generated.defaults()


def test_every_value_has_a_meaning_and_is_used():
    chart = Chart.ours()
    templates = "".join(file.read_text() for file in sorted((chart.folder / "templates").iterdir()))
    for row in generated.table().splitlines()[2:]:
        path, about, _ = (part.strip() for part in row.replace("\\|", "").split("|")[1:4])
        assert about.endswith("."), row
        assert re.search(rf"\.{path.strip('`').rpartition('.')[2]}\b", templates), row


def test_a_chart_that_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(charts, "_PACKAGED", tmp_path / "chart")
    monkeypatch.setattr(charts, "_CHECKED_OUT", tmp_path / "charts")

    assert "it is not there (install tocsin anew)" in refused()


def test_what_a_template_refuses_is_said_with_its_place(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{name: x, version: 0.1.0, appVersion: 0.1.0}")
    (tmp_path / "templates" / "_helpers.tpl").write_text("")
    (tmp_path / "templates" / "a.yaml").write_text('{{ fail "no such thing" }}')

    with pytest.raises(ConfigError, match=r"rendering a\.yaml of the chart: .*no such thing"):
        Chart(tmp_path).render({}, Release())


def test_values_are_shown():
    result = CliRunner().invoke(cli.cli, ["install", "--show-values"])

    assert result.stdout == (ROOT / "charts" / "tocsin" / "values.yaml").read_text()


def test_notes_say_how_to_go_again():
    chart = Chart.ours()

    ours = chart.notes(chart.values, Release(namespace="infra"))
    helms = chart.notes(chart.values, Release(service="Helm"))

    line = "tocsin install --namespace infra --name tocsin --no-crds --no-namespace"
    assert f"{line} | kubectl delete -f -" in ours
    assert "helm uninstall tocsin -n tocsin" in helms
    assert "helm" not in ours
