"""Every old shape that the specifications name is in the table, or it is said why not.

Each line of their tables stands here by the words that it begins with. Where the specifications
are beside the project, a line that is missing here fails.
"""

import re
from pathlib import Path

import pytest
from old_shapes import CASES

SPEC = Path(__file__).parents[4] / "shared" / "spec"
NAMES = {case.name for case in CASES}

SENSOR_SHAPES: dict[str, tuple[str, ...] | str] = {
    "spec.template.spec.containers[...]": ("containers", "several containers", "pod fields"),
    "spec.template.container": ("container",),
    "spec.template.spec beside": ("rest of the pod",),
    "spec.eventProtocol": ("protocols",),
    "spec.subscription": ("protocols",),
    'dependencies[].name: "gateway:event"': ("pair",),
    "dependencies[].gatewayName": ("gateway", "gateway and source"),
    "dependencies[].connected": ("connected",),
    "dependencies[].filters.name": ("filters.name",),
    "filters.data": "still valid",
    "filters.time": ("time without a stop", "time without a start"),
    "filters.context": ("context", "dataContentType"),
    "spec.circuit": ("circuit", "switch"),
    "template.when": ("when",),
    "template.k8s.{group": ("k8s names", "argoWorkflow names"),
    "template.{group": ("template of v0.11",),
    "triggers[].templateParameters": ("parameters", "payload"),
    "policy.backoff": ("policy",),
    "policy or atLeastOnce": ("fields of a trigger in its template",),
    "source.configmap.namespace": (
        "namespace of k8s.source.configmap", "basicAuth", "namespace of slack",
        "namespace of awsLambda", "namespace of openWhisk.authToken",
        "namespace of k8s.source.git",
    ),
    "source.git.sshKeyPath": ("ssh key of k8s", "ssh key of argoWorkflow"),
    "http.serverURL": ("serverURL",),
    "http.tls": ("key files",),
    "template.openFaas": ("openFaas",),
    "kafka.partition": ("partition",),
    "kafka.partitioningKey": "still valid",
    "sensor label": ("labels",),
    "CRD kinds Gateway": "whole objects are refused where manifests are read",
    "data path docs example": "it never worked: lint hints at it",
}  # fmt: skip

SOURCE_SHAPES: dict[str, tuple[str, ...] | str] = {
    "namespace: beside secret selectors": ("namespace of stripe", "namespace of sns"),
    "spec.replica": ("replica", "both"),
    "pubSub.credentialsFile": ("credentials",),
    "pubSub.enableWorkloadIdentity": ("credentials",),
    "pubSub without subscriptionID": "still valid; the id that is made is another",
    "tls.caCertPath": ("key files of a source",),
    "webhook.serverCertPath": ("certificate", "certificate of a hook"),
    "calendar.userPayload": ("userPayload of texts", "userPayload of anything"),
    "calendar.recurrence": ("recurrence",),
    "resource filter.fields": "the shape is the same, its meaning was another",
    "resource operation": "always an error",
    "github.owner": ("one repository", "one repository and others"),
    "gitlab.projectID": ("one project by projectID", "one project by projectId"),
    "bitbucket.owner": (
        "one repository of Bitbucket", "half a repository of Bitbucket",
        "one repository of Bitbucket Server", "half a repository of Bitbucket Server",
    ),
    "generic.value": ("value",),
    "connectionBackoff.duration": "still valid",
    "connectionBackoff.factor": "still valid",
    "hyphens in filter expressions": "no shape: names in a language",
    "spec.webhook.<ev> without filter": "still valid",
    "redis body": "what arrives, not what is written",
    "kafka consumerGroup oldest": ("startOldest",),
    "service: block": "still valid",
    "template.container": ("container",),
}  # fmt: skip

PROSE = {
    "native of v0.16", "native", "nothing but native", "protocols", "certificate of custom",
    "headers", "labels and annotations of a Service", "type", "one project by projectId",
}  # fmt: skip
"""Shapes that are named in sentences, not in tables."""


@pytest.mark.parametrize("shapes", [SENSOR_SHAPES, SOURCE_SHAPES], ids=["sensor", "source"])
def test_every_shape_of_the_tables_has_its_cases(shapes):
    for shape, names in shapes.items():
        if isinstance(names, tuple):
            assert set(names) <= NAMES, shape


def test_every_shape_of_the_sentences_has_its_case():
    assert PROSE <= NAMES


@pytest.mark.parametrize(
    ("file", "section", "shapes"),
    [
        ("sensors.md", "## 8. Legacy", SENSOR_SHAPES),
        ("eventsources.md", "### 6.2 EventSource changes", SOURCE_SHAPES),
    ],
)
def test_every_line_of_the_specification_is_here(file, section, shapes):
    if not SPEC.is_dir():
        pytest.skip("the specifications are not beside the project")
    text = (SPEC / file).read_text()
    table = text[text.index(section) :].split("\n", 1)[1]
    table = re.split(r"\n#{2,3} |\n-{9}", table)[0]
    lines = [line.split("|")[1] for line in table.splitlines() if line.startswith("| ")][1:]
    known = set(shapes)
    for line in lines:
        words = line.replace("`", "").replace("\\", "").strip()
        found = {shape for shape in known if words.startswith(shape)}
        assert found, words
        known -= found

    assert len(lines) > 15
    assert known == set()
