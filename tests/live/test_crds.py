"""The CRDs on a real API server: they take whatever a process takes, and tell what is wrong."""

import copy
import json
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_cluster import ADMIN
from old_shapes import CASES, Case

from controller.objects import model_of
from spine.compat import modernise
from spine.errors import ConfigError
from spine.manifest import CHECKED_KINDS, Object, read, read_text
from spine.model import load
from tocsin.crd import NAMES, api_version

ROOT = Path(__file__).parents[2]
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
STORIES = ROOT.parent / "shared" / "stories"
VECTORS = ROOT / "tests" / "vectors" / "own"
BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ES, SN, EB, NTF = "EventSource", "Sensor", "EventBus", "Notifier"


class Server:
    """The API server with our kinds, over one connection: there is much to ask."""

    def __init__(self, cluster: Any) -> None:
        context = ssl._create_unverified_context()
        self._connection = HTTPSConnection("127.0.0.1", cluster.port, timeout=60, context=context)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[dict, str]:
        """Return the answer, be it a refusal, and the warnings that came with it."""
        self._connection.request(
            method,
            path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
            | {key.replace("_", "-"): value for key, value in headers.items()},
        )
        answer = self._connection.getresponse()
        return json.loads(answer.read()), answer.headers.get("Warning", "")

    def close(self) -> None:
        self._connection.close()

    def create(self, kind: str, spec: Any, *, dry: bool = True, **metadata: Any) -> tuple[str, Any]:
        """Create an object; return why it is refused, empty if it is not, and what is stored."""
        body = {
            "apiVersion": api_version(kind),
            "kind": kind,
            "metadata": {"name": "x", **metadata},
            "spec": spec,
        }
        how = "?fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        answer, warned = self.ask("POST", path(kind) + how, body)
        assert not warned
        return ("", answer) if answer["kind"] == kind else (answer["message"], None)


def path(kind: str, name: str = "", space: str = "default") -> str:
    """Return the path of a kind, or of an object of it."""
    return f"/apis/{api_version(kind)}/namespaces/{space}/{NAMES[kind][0]}" + f"/{name}" * bool(
        name
    )


@pytest.fixture(scope="module")
def server(cluster):
    for file in CRDS:
        cluster.apply(file)
    one = Server(cluster)
    yield one
    one.close()


def accepted(kind: str, spec: Any) -> bool:
    """Whether a process that is handed such an object takes it."""
    try:
        raw = {"kind": kind, "metadata": {"name": "x"}, "spec": copy.deepcopy(spec)}
        load(model_of(kind), modernise(kind, raw).raw["spec"], lenient=True)
    except ConfigError:
        return False
    return True


# ---------------------------------------------------------------------------- established


def test_an_autoscaler_finds_replicas_and_pods_of_an_object(server):
    """And sets how many are wanted, as `kubectl scale` does."""
    spec = {"replicas": 1, "nats": {"e": {"url": "nats://x:4222", "subject": "s"}}}
    why, made = server.create(ES, spec, dry=False, name="scaled")
    assert not why
    made["status"] = {"replicas": 1, "selector": "eventsource-name=scaled"}
    server.ask("PUT", path(ES, "scaled") + "/status", made)

    scale, _ = server.ask("GET", path(ES, "scaled") + "/scale")
    scale["spec"]["replicas"] = 3
    server.ask("PUT", path(ES, "scaled") + "/scale", scale)

    assert scale["status"] == {"replicas": 1, "selector": "eventsource-name=scaled"}
    assert server.ask("GET", path(ES, "scaled"))[0]["spec"]["replicas"] == 3


@pytest.mark.parametrize("file", CRDS, ids=lambda file: file.stem)
def test_a_crd_is_established_and_structural(server, file):
    name = yaml.safe_load(file.read_text())["metadata"]["name"]

    answer, _ = server.ask("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")

    assert {c["type"]: c["status"] for c in answer["status"]["conditions"]} == {
        "Established": "True",
        "NamesAccepted": "True",
    }
    assert answer["status"]["acceptedNames"]["categories"] == ["tocsin"]


@pytest.mark.parametrize("file", CRDS, ids=lambda file: file.stem)
def test_plain_kubectl_apply_can_keep_it_in_an_annotation(server, file):
    made = yaml.safe_load(file.read_text())
    last = json.dumps(made, separators=(",", ":")) + "\n"
    patch = {
        "metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}}
    }

    answer, _ = server.ask(
        "PATCH",
        f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{made['metadata']['name']}",
        patch,
        Content_Type="application/merge-patch+json",
    )

    assert answer["kind"] == "CustomResourceDefinition", answer
    assert len(last) < 250_000


def fields(node: dict, schemas: dict, at: str) -> Iterator[tuple[str, dict]]:
    """Yield each field below a schema of the API server's OpenAPI."""
    for name, field in node.get("properties", {}).items():
        yield f"{at}.{name}", field
        yield from fields(field, schemas, f"{at}.{name}")
    for inner in (node.get("items"), node.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from fields(inner, schemas, f"{at}[]")


@pytest.mark.parametrize("kind", CHECKED_KINDS)
def test_kubectl_explain_has_words_for_every_field(server, kind):
    answer, _ = server.ask("GET", f"/openapi/v3/apis/{api_version(kind)}")
    schemas = answer["components"]["schemas"]
    (schema,) = (
        s
        for s in schemas.values()
        if {"kind": kind}.items()
        <= next(iter(s.get("x-kubernetes-group-version-kind", [{}])), {}).items()
    )

    found = dict(fields(schema, schemas, kind))
    assert schema["description"]
    assert f"{kind}.spec" in found
    assert len(found) > 50
    assert [at for at, field in found.items() if not field.get("description")] == []


# ---------------------------------------------------------------------------- never refuse


def objects() -> Iterator[tuple[str, Object]]:
    """Yield our objects of the examples, the documentation and the stories."""
    places = [ROOT / "examples", *([STORIES] if STORIES.is_dir() else [])]
    for place in places:
        for one in read([place]).objects:
            yield f"{Path(one.file).relative_to(place.parent)}-{one.name}", one
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text()), 1):
            for one in read_text(block.encode(), page.name).objects:
                yield f"{page.stem}-{number}-{one.name}", one


OBJECTS = [pytest.param(o, id=name) for name, o in objects() if o.kind in CHECKED_KINDS]


@pytest.mark.parametrize("shown", OBJECTS)
def test_what_is_shown_is_accepted_and_kept(server, shown: Object):
    spec = json.loads(json.dumps(shown.raw["spec"], default=str))

    why, stored = server.create(shown.kind, spec)

    assert not why
    assert stored["spec"] == spec


SECRET = {"name": "n", "key": "k"}
KINDS_OF_TRIGGERS = {"log", "http", "k8s", "kafka", "slack", "custom", "nats"}


def completed(case: Case) -> Any:
    """Return the spec of an old shape, with what else it needs to be of any effect."""
    spec = copy.deepcopy(case.old.get("spec", {}))
    for kind, needs in (("calendar", {"interval": "5m"}), ("pubSub", {"subscriptionID": "s"})):
        for fields in (spec.get(kind) or {}).values():
            fields.update(needs)
    for trigger in spec.get("triggers") or []:
        template = trigger.setdefault("template", {})
        if not {*template} & KINDS_OF_TRIGGERS:
            template["log"] = {}
        if keys := {"accessKey", "secretKey"} & {*template.get("awsLambda", {})}:
            template["awsLambda"] |= dict.fromkeys({"accessKey", "secretKey"} - keys, SECRET)
    return spec


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind} {case}")
def test_old_shapes_are_stored_as_they_are(server, case: Case):
    spec = completed(case)
    labels = case.old.get("metadata", {}).get("labels", {})

    why, stored = server.create(case.kind, spec, labels=labels)

    assert not why
    assert stored["spec"] == spec
    assert stored["metadata"].get("labels", {}) == labels


def given_specs() -> Iterator[tuple[str, Any]]:
    """Yield every specification that we have: shown ones, old ones, those of the vectors."""
    for _, one in objects():
        if one.kind in CHECKED_KINDS:
            yield one.kind, json.loads(json.dumps(one.raw["spec"], default=str))
    for case in CASES:
        yield case.kind, completed(case)
        if "spec" in case.new:
            yield case.kind, case.new["spec"]
    yield from vector_specs()


def vector_specs() -> Iterator[tuple[str, Any]]:
    for vector in json.loads((VECTORS / "sensor_validation.json").read_text()):
        yield SN, vector["input"]["spec"]
    for vector in json.loads((VECTORS / "spec_normalise.json").read_text()):
        given, kind = vector["input"]["object"], vector["input"]["kind"]
        dependency = {"name": "d", "eventSourceName": "e", "eventName": "e"}
        trigger = {"template": {"name": "t", "log": {}}}
        if kind == "sensor_spec":
            yield SN, given
        elif kind == "eventsource_spec":
            yield ES, given
        elif kind == "dependency":
            yield SN, {"dependencies": [given], "triggers": [trigger]}
        elif kind == "trigger":
            yield SN, {"dependencies": [dependency], "triggers": [given]}


def changes(value: Any, at: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Yield where a specification can be changed, and to what: one change for each place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*at, key), DROPPED
            yield from changes(inner, (*at, key))
    elif isinstance(value, list):
        yield at, []
        for index, inner in enumerate(value):
            yield from changes(inner, (*at, index))
    if at:
        yield from ((at, other) for other in (None, "7", "x", "", 0, 1.5, True, [], {}, ["x"]))


DROPPED = object()
OFTEN = 3
"""How often a change is tried, each time in another specification, until one is accepted."""
NO_NUMBER = 'must be of type integer,string: "boolean"'
"""Some fields of a process take true for 1; the API server has no type for those, and need not."""


def changed(spec: Any, at: tuple, to: Any) -> Any:
    """Return a specification with one change."""
    made = copy.deepcopy(spec)
    inner = made
    for step in at[:-1]:
        inner = inner[step]
    if to is DROPPED:
        del inner[at[-1]]
    else:
        inner[at[-1]] = to
    return made


def place(kind: str, at: tuple) -> tuple:
    """Return where in the schema a place of a specification is."""
    named = 1 if kind == ES else -1
    return tuple("*" if i == named or isinstance(step, int) else step for i, step in enumerate(at))


def variants(kind: str) -> Iterator[Any]:
    """Yield what a process accepts of every specification of a kind and, for each place in the
    schema, of each change of it."""
    tried: Counter[Any] = Counter()
    for spec in (spec for of, spec in given_specs() if of == kind):
        if accepted(kind, spec):
            yield spec
        for at, to in changes(spec):
            change = (place(kind, at), DROPPED if to is DROPPED else json.dumps(to))
            tried[change] += 1
            if tried[change] <= OFTEN and accepted(kind, made := changed(spec, at, to)):
                tried[change] = OFTEN
                yield made


@pytest.mark.parametrize("kind", CHECKED_KINDS)
def test_the_server_refuses_nothing_that_a_process_accepts(server, kind):
    answers = [(spec, server.create(kind, spec)[0]) for spec in variants(kind)]

    assert len(answers) > 20
    assert [(spec, why) for spec, why in answers if why and NO_NUMBER not in why] == []


# ---------------------------------------------------------------------------- refuse

DEPENDENCY = {"name": "d", "eventSourceName": "s", "eventName": "e"}


def sensor(**trigger: Any) -> dict:
    template = trigger.pop("template", {"name": "t", "log": {}})
    return {"dependencies": [DEPENDENCY], "triggers": [{"template": template, **trigger}]}


def http(**more: Any) -> dict:
    return sensor(template={"name": "t", "http": {"url": "http://x", **more}})


def event(kind: str, **fields: Any) -> dict:
    return {kind: {"e": fields}}


@dataclass(frozen=True)
class Wrong:
    name: str
    kind: str
    spec: Any
    says: str

    def __str__(self) -> str:
        return self.name


HOOK = {"port": "12000", "endpoint": "/e"}
WRONG = [
    Wrong("no bus", EB, {}, "spec: set nats, jetstream, jetstreamExotic or kafka"),
    Wrong("a null is no bus", EB, {"jetstream": None}, "set nats, jetstream, jetstreamExotic or"),
    Wrong("no kind of trigger", SN, sensor(template={"name": "t"}),
          "spec.triggers[0].template: it does nothing: set a kind, one of k8s"),
    Wrong("a slip in the kind", SN, sensor(template={"name": "t", "htpp": {}}), "it does nothing"),
    Wrong("no triggers", SN, {"dependencies": [DEPENDENCY], "triggers": []},
          "spec.triggers in body should have at least 1 items"),
    Wrong("debounce and batch", SN, sensor(debounce={"duration": "1s"}, batch={"count": 2}),
          "spec.triggers[0]: debounce and batch: a trigger has one of them"),
    Wrong("lossy with dlqTrigger", SN, sensor(atLeastOnce=False, dlqTrigger={"template": {}}),
          "dlqTrigger needs atLeastOnce: true"),
    Wrong("empty batch", SN, sensor(batch={}), "batch: set count, duration or both"),
    Wrong("half a client", SN, http(tls={"clientCertSecret": SECRET}),
          "http.tls: clientCertSecret and clientKeySecret belong together"),
    Wrong("empty tls", SN, http(tls={}), "set caCertSecret, clientCertSecret, insecureSkipVerify"),
    Wrong("header from nowhere", SN, http(secureHeaders=[{"name": "a", "valueFrom": {}}]),
          "secureHeaders[0].valueFrom.secretKeyRef: Required value"),
    Wrong("half a login", SN, sensor(template={"name": "t", "k8s": {"source": {"s3": {
        "bucket": {"name": "b", "key": "k"}, "accessKey": SECRET}}}}),
          "k8s.source.s3: accessKey and secretKey belong together: set both"),
    Wrong("not in the list", SN, http(method="FETCH"),
          'http.method: Unsupported value: "FETCH": supported values: "", "GET", "DELETE",'),
    Wrong("no comparison", SN, {**sensor(), "dependencies": [{**DEPENDENCY, "filters": {"data": [
        {"path": "a", "type": "number", "value": ["1"], "comparator": "=>"}]}}]},
          'comparator: Unsupported value: "=>": supported values: "", "=", "!=", "<", "<=", ">"'),
    Wrong("a text for a boolean", SN, sensor(atLeastOnce="true"),
          "spec.triggers[0].atLeastOnce in body must be of type boolean"),
    Wrong("too large a number", SN, {**sensor(), "replicas": 2**31}, "replicas"),
    Wrong("half a certificate", ES, event("webhook", **HOOK, serverCertSecret=SECRET),
          "spec.webhook[e]: serverCertSecret and serverKeySecret belong together"),
    Wrong("no schedule", ES, event("calendar"), "spec.calendar[e]: set schedule or"),
    Wrong("an empty schedule", ES, event("calendar", schedule=""), "set schedule or interval"),
    Wrong("no files", ES, event("file", eventType="CREATE", watchPathConfig={"directory": "/x"}),
          "spec.file[e].watchPathConfig: set path or pathRegexp, and not both"),
    Wrong("all files twice", ES, event("file", eventType="CREATE", watchPathConfig={
        "directory": "/x", "path": "a", "pathRegexp": "b"}), "set path or pathRegexp, and not"),
    Wrong("tls in plain text", ES, event("generic", url="x:1", config="", insecure=True,
          tls={"enabled": True}), "tls is for a connection that is not insecure"),
    Wrong("both places", ES, event("github", webhook=HOOK, organizations=["o"], repositories=[
        {"owner": "o", "names": ["r"]}]), "set one of repositories and organizations"),
    Wrong("no topic", ES, event("pubSub", projectID="p"), "set topic or subscriptionID"),
    Wrong("no login", ES, event("sftp", username=SECRET, address=SECRET),
          "spec.sftp[e]: set password or sshKeySecret"),
    Wrong("half of AWS", ES, event("sqs", queue="q", region="r", accessKey=SECRET),
          "spec.sqs[e]: accessKey and secretKey belong together: set both"),
    Wrong("token alone", ES, event("sqs", queue="q", region="r", sessionToken=SECRET),
          "sessionToken needs accessKey and secretKey"),
    Wrong("login by nothing", ES, event("nats", url="nats://x", subject="s", auth={}),
          "spec.nats[e].auth: set basic, token, nkey or credential"),
    Wrong("nothing watched", NTF, {"watches": []}, "spec.watches in body should have at least 1"),
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_wrong_is_refused_with_the_way_out(server, wrong: Wrong):
    why, _ = server.create(wrong.kind, wrong.spec)

    assert wrong.says in why.replace('Invalid value: "object": ', "")
    assert not accepted(wrong.kind, wrong.spec)


LENIENT = [
    ("two buses, of which one is taken", EB,
     {"jetstream": {"version": "latest"}, "kafka": {"url": "k:9092"}}),
    ("two kinds of trigger, of which one counts", SN,
     sensor(template={"name": "t", "log": {}, "http": {"url": "http://x"}})),
    ("a kind in small letters", SN,
     sensor(template={"name": "t", "argoworkflow": {"operation": "submit", "source": {}}})),
    ("a null beside the kind", SN, sensor(template={"name": "t", "log": {}, "http": None})),
    ("certificates in files", ES,
     event("webhook", **HOOK, serverCertPath="/c", serverKeySecret=SECRET)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "spec"), LENIENT, ids=[name for name, *_ in LENIENT])
def test_what_is_only_warned_of_is_taken(server, name, kind, spec):
    assert server.create(kind, spec)[0] == ""


# ---------------------------------------------------------------------------- kubectl get


READY = {
    "type": "Ready",
    "status": "False",
    "reason": "PodsNotReady",
    "message": "0 of 1 pods are ready",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 1,
}
SAID = {"Name": "shown", "Ready": "False", "Reason": "PodsNotReady"}
WHY = {"Message": READY["message"], "Bus": "default"}
SHOWN = [
    (EB, {"jetstream": {"version": "latest"}}, {"kind": "jetstream"},
     {**SAID, "Kind": "jetstream"}),
    (ES, event("webhook", **HOOK), {"eventBusName": "default", "eventCount": 1},
     {**SAID, **WHY, "Events": 1, "Dead": None}),
    (SN, sensor(), {"eventBusName": "default", "triggerCount": 1, "lag": 7, "deadLetters": 3},
     {**SAID, **WHY, "Triggers": 1, "Lag": 7, "Dead": 3}),
    (NTF, {"watches": [{"apiVersion": "v1", "kind": "Pod"}]},
     {"eventBusName": "default", "watchCount": 1}, {**SAID, **WHY, "Watches": 1, "Dead": None}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "spec", "told", "row"), SHOWN, ids=[one[0] for one in SHOWN])
def test_kubectl_get_shows_how_it_is(server, cluster, kind, spec, told, row):
    space = cluster.namespace(f"shown-{kind}")
    made = {"apiVersion": api_version(kind), "kind": kind, "metadata": {"name": "shown"}}
    stored, _ = server.ask("POST", path(kind, space=space), made | {"spec": spec})
    status = {"conditions": [READY], "config": {"jetstream": {"url": "nats://x"}}, **told}
    stored, _ = server.ask(
        "PUT", path(kind, "shown", space) + "/status", stored | {"status": status}
    )
    assert stored["status"] == status

    table, _ = server.ask(
        "GET", path(kind, "shown", space), Accept="application/json;as=Table;v=v1;g=meta.k8s.io"
    )

    names = [column["name"] for column in table["columnDefinitions"]]
    wide = {column["name"] for column in table["columnDefinitions"] if column["priority"]}
    cells = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert cells.pop("Age")
    assert cells == row
    assert wide == {"Reason", "Dead", "Message"} & {*row}


def test_a_status_of_argo_events_can_stay(server, cluster):
    space = cluster.namespace("status-of-argo-events")
    made = {"apiVersion": api_version(SN), "kind": SN, "metadata": {"name": "x"}, "spec": sensor()}
    stored, _ = server.ask("POST", path(SN, space=space), made)
    before = {"type": "Deployed", "status": "True", "lastTransitionTime": None}

    stored, _ = server.ask(
        "PUT",
        path(SN, "x", space) + "/status",
        stored | {"status": {"conditions": [before], "unheard": {"of": 1}}},
    )

    assert stored["status"] == {"conditions": [before], "unheard": {"of": 1}}
