"""Hints of lint: what many write, which works, and hardly as it is meant."""

from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from controller.pitfalls import loose_dot
from spine.manifest import ARGO, read_text
from tocsin.checks import Setting, check


@pytest.mark.parametrize(
    ("pattern", "better"),
    [
        ("^.*.json$", r"^.*\.json$"),
        ("main.go", r"main\.go"),
        ("[a-z]+.yaml|x", r"[a-z]+\.yaml|x"),
        ("[.].txt", r"[.]\.txt"),
        (r"\d.csv", r"\d\.csv"),
        ("(a|b).txt", r"(a|b)\.txt"),
        (".+@example.com", r".+@example\.com"),
        ("v1.2", r"v1\.2"),
    ],
)
def test_a_dot_that_was_meant_as_one(pattern, better):
    assert f"as in '{better}'" in loose_dot(pattern)
    assert loose_dot(better) == ""


@pytest.mark.parametrize(
    "pattern",
    ["", "main", ".*", "^.*$", r"^.*\.json$", "[.]json", "a[x.y]b", "ab.*cd", "a.+b", "^.json",
     "a.?b", "a.b*", ".json", "a.", r"\\\.a", "a.{2}b", "a.b{2}"],
)  # fmt: skip
def test_dots_of_which_nothing_is_said(pattern):
    assert loose_dot(pattern) == ""


# ---------------------------------------------------------------------------- in lint


def findings(spec: dict[str, Any]) -> list[str]:
    objects = [
        {"apiVersion": ARGO, "kind": "EventBus", "metadata": {"name": "default"},
         "spec": {"jetstream": {"version": "latest"}}},
        {"apiVersion": ARGO, "kind": "EventSource", "metadata": {"name": "es"},
         "spec": {"calendar": {"e": {"interval": "1m"}}}},
        {"apiVersion": ARGO, "kind": "Sensor", "metadata": {"name": "sn"}, "spec": spec},
    ]  # fmt: skip
    text = yaml.safe_dump_all(objects, sort_keys=False)
    return [str(f) for f in check(read_text(text.encode(), "f.yaml"), Setting()).findings]


def sensor(filters: Any = None, **template: Any) -> dict[str, Any]:
    dependency = {"name": "dep", "eventSourceName": "es", "eventName": "e"}
    dependency |= {} if filters is None else {"filters": {"data": filters}}
    return {
        "dependencies": [dependency],
        "triggers": [{"template": {"name": "tr", **(template or {"log": {}})}}],
    }


def test_a_loose_dot_is_a_hint():
    one = {"path": "attributes.objectId", "type": "string", "value": ["x", "^.*.json$"]}
    (said,) = findings(sensor([one]))
    assert ": spec.dependencies[0].filters.data[0].value[1]: note: the dot before json " in said
    assert findings(sensor([{**one, "value": [r"\.json$"]}])) == []
    assert findings(sensor([{"path": "a", "type": "number", "value": ["1.5"]}])) == []


def test_paths_with_commas_are_a_hint():
    one = {"path": "body.a,attributes.b", "type": "string", "value": ["x"]}
    (said,) = findings(sensor([one]))
    assert "data[0].path: note: this is one path with a comma in it: for several values" in said
    assert said.endswith("write [body.a,attributes.b]")
    for path in ("[a,b]", "{a,b}", 'a.#(b=="x,y")', r"a\,b", "a"):
        assert findings(sensor([{**one, "path": path}])) == []


@dataclass(frozen=True)
class Case:
    name: str
    spec: dict[str, Any]
    says: tuple[str, ...] = ()
    kind: str = "Workflow"
    dests: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def template(text: str, *names: str, **more: Any) -> dict[str, Any]:
    inputs = {"parameters": [{"name": name} for name in names]}
    return {"name": "main", "inputs": inputs, "container": {"args": [text]}, **more}


def spec(*templates: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"entrypoint": "main", "templates": list(templates), **more}


GIVEN = {"arguments": {"parameters": [{"name": "path", "value": "x"}]}}
PLACE = "spec.triggers[0].template.k8s.source.resource."

CASES = [
    Case("declared",
         spec(template("{{inputs.parameters.path}} {{ inputs.parameters.path }}", "path"))),
    Case("in another case", spec(template("{{inputs.parameters.Path}}", "path")),
         (f"{PLACE}spec.templates[0].container.args[0]: warning: {{{{inputs.parameters.Path}}}}: ",
          "template 'main' has it as path, in other letters")),
    Case("nearly", spec(template("a {{inputs.parameters.pth}} b", "path", "other")),
         ("has no pth among its parameters (did you mean path)",)),
    Case("undeclared", spec(template("{{inputs.parameters.x}}", "path")),
         ("has no x among its parameters (path)",)),
    Case("nothing declared",
         spec({"name": "m", "container": {"args": ["{{inputs.parameters.x}}"]}}),
         ("template 'm' has no x among its parameters (it has none)",)),
    Case("of another template",
         spec(template("", "path"), {**template("{{inputs.parameters.path}}"), "name": "two"}),
         ("spec.templates[1].container.args[0]: warning", "template 'two' has no path")),
    Case("artifacts", spec(template("{{inputs.artifacts.a.path}} {{inputs.artifacts.b.path}}",
                                    inputs={"artifacts": [{"name": "a"}]})),
         ("{{inputs.artifacts.b}}: template 'main' has no b among its artifacts (a)",)),
    Case("of the workflow",
         spec(template("{{workflow.parameters.path}} {{workflow.parameters.Path}}"), **GIVEN),
         ("{{workflow.parameters.Path}}: spec.arguments has it as path, in other letters",)),
    Case("names of Argo itself",
         spec(template("{{workflow.name}} {{workflow.status}} {{item}}"),
              template("{{steps.a.outputs.result}} {{=x}}"))),
    Case("a template in a step",
         spec(template("", "path", container=None, steps=[[{"name": "s", "inline": {
             "inputs": {"parameters": [{"name": "own"}]},
             "container": {"args": ["{{inputs.parameters.own}} {{inputs.parameters.path}}"]}}}]])),
         ("steps[0][0].inline.container.args[0]: warning: {{inputs.parameters.path}}",)),
    Case("of a workflow template", spec(template("{{inputs.parameters.Path}}", "path")),
         ("has it as path",), kind="WorkflowTemplate"),
    Case("of a cron workflow",
         {"workflowSpec": spec(template("{{inputs.parameters.Path}}", "path"))},
         (f"{PLACE}spec.workflowSpec.templates[0].container.args[0]",), kind="CronWorkflow"),
    Case("of no workflow", spec(template("{{inputs.parameters.Path}}", "path")), kind="Other"),
    Case("arguments from somewhere else",
         spec(template("{{workflow.parameters.x}}"), workflowTemplateRef={"name": "a"})),
    Case("declared by the event", spec(template("{{workflow.parameters.x}}"), **GIVEN),
         dests=("spec.arguments.parameters.0.name",)),
    Case("declared by the event, whole",
         spec(template("{{workflow.parameters.x}} {{inputs.parameters.y}}")),
         dests=("spec",)),
    Case("only its value is of the event", spec(template("{{workflow.parameters.x}}"), **GIVEN),
         ("spec.arguments has no x among its parameters (path)",),
         dests=("spec.arguments.parameters.0.value",)),
    Case("inputs of the event", spec(template("{{inputs.parameters.x}}")),
         dests=("spec.templates.0.inputs",)),
]  # fmt: skip


def trigger(case: Case, kind: str = "k8s", **more: Any) -> dict[str, Any]:
    made = {"apiVersion": ARGO, "kind": case.kind, "metadata": {"name": "w"}, "spec": case.spec}
    src = {"dependencyName": "dep", "dataKey": "a"}
    parameters = [{"src": src, "dest": dest} for dest in case.dests]
    return sensor(**{kind: {"source": {"resource": made}, "parameters": parameters, **more}})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_placeholders_of_workflows(case: Case):
    said = findings(trigger(case))

    assert len(said) == bool(case.says)
    for words in case.says:
        assert words in said[0]


def test_placeholders_of_a_workflow_that_stands_as_a_text():
    text = yaml.safe_dump({"apiVersion": ARGO, "kind": "Workflow", "metadata": {"name": "w"},
                           "spec": CASES[1].spec})  # fmt: skip
    (said,) = findings(sensor(k8s={"source": {"inline": text}}))
    assert ": spec.triggers[0].template.k8s.source.inline: warning: {{inputs.par" in said


def test_placeholders_of_a_workflow_that_is_submitted():
    (said,) = findings(trigger(CASES[1], "argoWorkflow", operation="submit"))
    assert "spec.triggers[0].template.argoWorkflow.source.resource.spec.templates[0]" in said
    given = Case("", spec(template("{{workflow.parameters.x}}")))
    assert len(findings(trigger(given, "argoWorkflow"))) == 1
    assert findings(trigger(given, "argoWorkflow", args=["-p", "x=1"])) == []


def test_what_does_not_fit_its_model_is_not_looked_at():
    assert all("note" not in said for said in findings({"dependencies": 3, "triggers": "x"}))
