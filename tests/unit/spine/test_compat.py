"""Old shapes: every row of the table does what it says, and nothing else changes."""

import copy
from dataclasses import dataclass
from typing import Any

import pytest

from spine.compat import FILE, TABLE, PathSecrets, modernise, rewriting
from spine.errors import ConfigError
from spine.model import dotted
from spine.secrets import ConfigMapRef, GivenSecrets, SecretRef


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    old: Any
    new: Any
    says: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


def source(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


def hook(**fields: Any) -> dict[str, Any]:
    return source(webhook={"e": fields})


def clock(**fields: Any) -> dict[str, Any]:
    return source(calendar={"e": fields})


def dep(**fields: Any) -> dict[str, Any]:
    return source(dependencies=[fields])


def trigger(**fields: Any) -> dict[str, Any]:
    return source(triggers=[fields])


def template(**fields: Any) -> dict[str, Any]:
    return trigger(template=fields)


def http(**fields: Any) -> dict[str, Any]:
    return template(http=fields)


def nested(path: str, value: Any) -> Any:
    for step in reversed(path.split(".")):
        value = {step: value}
    return value


def native(**fields: Any) -> dict[str, Any]:
    return source(nats={"native": fields})


ES, SN, EB = "EventSource", "Sensor", "EventBus"
POD = {"serviceAccountName": "sa", "volumes": [1], "securityContext": {"a": 1},
       "nodeSelector": {"a": "b"}, "tolerations": [1], "affinity": {"a": 1},
       "imagePullSecrets": [1], "priorityClassName": "p", "priority": 3}  # fmt: skip
CONTAINER = dict.fromkeys(
    ("image", "command", "args", "name", "ports", "workingDir", "lifecycle", "livenessProbe",
     "readinessProbe", "startupProbe", "stdin", "tty", "terminationMessagePath",
     "terminationMessagePolicy"), "x")  # fmt: skip

BESIDE = {"policy": {"status": {"allow": [200]}}, "atLeastOnce": True, "retryStrategy": {},
          "rateLimit": {"requestsPerUnit": 1}, "dlqTrigger": {"template": {}}, "if": "true",
          "debounce": {"duration": "1s"}, "batch": {"count": 2}, "idempotencyKey": {"src": []},
          "orderBy": []}  # fmt: skip

CASES = [
    *(
        case
        for kind in (ES, SN)
        for case in (
            Case(
                "pod fields", kind, source(template={"spec": POD}), source(template=POD),
                tuple(f"spec.template.spec.{k}: old shape" for k in POD),
            ),
            Case(
                "containers", kind, source(template={"spec": {"containers": [{"name": "x"}]}}),
                source(template={}), ("spec.template.spec.containers: old shape",),
            ),
            Case(
                "rest of the pod", kind, source(template={"spec": {"dnsPolicy": "x"}}),
                source(template={}), ("spec.template.spec: old shape",),
            ),
            Case(
                "container", kind, source(template={"container": {**CONTAINER, "env": []}}),
                source(template={"container": {"env": []}}),
                tuple(f"spec.template.container.{k}: old shape" for k in CONTAINER),
            ),
        )
    ),
    Case("replica", ES, source(replica=2), source(replicas=2),
         ("spec.replica: old shape, valid up to v1.4: write replicas",)),
    Case("both", ES, source(replica=2, replicas=3), source(replicas=3),
         ("ignored, because spec.replicas is there too",)),
    Case("type", ES, source(type="webhook"), source(), ("spec.type: ",)),
    Case("certificate", ES, hook(serverCertPath="/c", serverKeyPath="/k"),
         hook(serverCertSecret={"name": FILE, "key": "/c"},
              serverKeySecret={"name": FILE, "key": "/k"}),
         ("serverCertPath: old shape, valid up to v1.4: write serverCertSecret", "serverKeyPath")),
    Case("namespace", ES, hook(authSecret={"name": "a", "key": "b", "namespace": "c"}),
         hook(authSecret={"name": "a", "key": "b"}), ("spec.webhook.e.authSecret.namespace",)),
    Case("recurrence", ES, clock(recurrence=["RRULE:X", "EXDATE:20240101T000000Z"]),
         clock(exclusionDates=["EXDATE:20240101T000000Z"]), ("write exclusionDates",)),
    Case("userPayload of texts", ES, clock(userPayload={"a": "b"}), clock(metadata={"a": "b"}),
         ("write metadata",)),
    Case("userPayload of anything", ES, clock(userPayload={"a": 1}),
         clock(metadata={"userPayload": '{"a":1}'}), ("write metadata",)),
    Case("protocols", SN, source(eventProtocol={"type": "HTTP"}, subscription={"http": {}}),
         source(), ("spec.subscription",)),
    Case("circuit", SN,
         source(circuit="g && h", dependencyGroups=[{"name": "g", "dependencies": ["a", "b"]},
                                                    {"name": "h", "dependencies": ["c"]}]),
         source(), ("spec.circuit: valid up to v1.4: write conditions in the template of",
                    "trigger, such as conditions: '(a && b) && c'", "spec.dependencyGroups: ")),
    Case("switch", SN, template(switch={"any": ["a", "b"]}), template(),
         ("spec.triggers[0].template.switch: valid up to v1.4: write conditions: 'a || b'",)),
    Case("when", SN, template(when={"all": ["a", "b"]}), template(),
         ("write conditions: 'a && b'",)),
    Case("pair", SN, dep(name="gw:ev"), dep(name="gw:ev", eventSourceName="gw", eventName="ev"),
         ("spec.dependencies[0].name: old shape, valid up to v0.11: write eventSourceName and",)),
    Case("colon in a name of today", SN, dep(name="a:b", eventSourceName="x", eventName="y"),
         dep(name="a:b", eventSourceName="x", eventName="y"), ()),
    Case("gateway", SN, dep(name="d", gatewayName="gw", eventName="e"),
         dep(name="d", eventName="e"),
         ("spec.dependencies[0].gatewayName: valid up to v0.17: Gateways are gone",)),
    Case("gateway and source", SN, dep(gatewayName="gw", eventSourceName="s"),
         dep(eventSourceName="s"), ("spec.dependencies[0].gatewayName: old shape",)),
    Case("connected", SN, dep(connected=True), dep(), ("connected",)),
    Case("filters.name", SN, dep(filters={"name": "x", "data": []}), dep(filters={"data": []}),
         ("spec.dependencies[0].filters.name: old shape, valid up to v1.0: ignored: leave it",)),
    Case("context", SN,
         dep(filters={"context": {"contentType": "a", "eventID": "b", "eventType": "c",
                                  "cloudEventsVersion": "d"}}),
         dep(filters={"context": {"datacontenttype": "a", "id": "b", "type": "c",
                                  "specversion": "d"}}),
         ("write datacontenttype", "write id", "write type", "write specversion")),
    Case("dataContentType", SN, dep(filters={"context": {"dataContentType": "a"}}),
         dep(filters={"context": {"datacontenttype": "a"}}), ("write datacontenttype",)),
    Case("openFaas", SN, template(openFaas={"gatewayURL": "x"}), template(), ("use http",)),
    Case("fields of a trigger in its template", SN, template(**BESIDE),
         trigger(**BESIDE, template={}),
         tuple(f"spec.triggers[0].template.{n}: in the wrong place: write {n} beside template"
               for n in BESIDE)),
    *(
        Case(f"fields of a trigger in {kind}", SN, template(**{kind: {"url": "u", **BESIDE}}),
             trigger(**BESIDE, template={kind: {"url": "u"}}),
             tuple(f"spec.triggers[0].template.{kind}.{n}: in the wrong place: write {n} beside"
                   for n in BESIDE))
        for kind in ("http", "k8s", "argoWorkflow", "kafka", "slack")
    ),
    Case("the right place counts", SN,
         trigger(policy={"status": {"allow": [1]}},
                 template={"policy": {"status": {"allow": [2]}},
                           "http": {"policy": {"status": {"allow": [3]}}}}),
         trigger(policy={"status": {"allow": [1]}}, template={"http": {}}),
         ("template.policy: in the wrong place: ignored, because spec.triggers[0].policy is there",
          "template.http.policy: in the wrong place: ignored, because spec.triggers[0].policy")),
    Case("the outer of two wrong places counts", SN,
         template(rateLimit={"requestsPerUnit": 1}, http={"rateLimit": {"requestsPerUnit": 2}}),
         trigger(rateLimit={"requestsPerUnit": 1}, template={"http": {}}),
         ("template.rateLimit: in the wrong place: write rateLimit",
          "template.http.rateLimit: in the wrong place: ignored")),
    Case("false is written too", SN, template(atLeastOnce=False, http={}),
         trigger(atLeastOnce=False, template={"http": {}}), ("write atLeastOnce beside",)),
    Case("in the wrong place within a dlqTrigger in the wrong place", SN,
         template(dlqTrigger={"template": {"retryStrategy": {"steps": 3}, "log": {}}}),
         trigger(dlqTrigger={"retryStrategy": {"steps": 3}, "template": {"log": {}}}, template={}),
         ("spec.triggers[0].template.dlqTrigger: in the wrong place: write dlqTrigger beside",
          "spec.triggers[0].template.dlqTrigger.template.retryStrategy: in the wrong place")),
    Case("fields of the template beside it", SN,
         trigger(name="n", conditions="a", conditionsReset=[], template={"http": {}}),
         trigger(template={"name": "n", "conditions": "a", "conditionsReset": [], "http": {}}),
         ("spec.triggers[0].conditions: in the wrong place: write conditions inside of template",
          "spec.triggers[0].name: in the wrong place", "conditionsReset")),
    Case("fields of the template in the kind", SN, http(conditions="a", conditionsReset=[]),
         template(conditions="a", conditionsReset=[], http={}),
         ("template.http.conditions: in the wrong place", "template.http.conditionsReset")),
    Case("parameters of the template in it", SN,
         template(http={}, parameters=[{"src": {}, "dest": "http.url"}]),
         trigger(template={"http": {}}, parameters=[{"src": {}, "dest": "http.url"}]),
         ("spec.triggers[0].template.parameters: in the wrong place: write parameters beside",)),
    Case("parameters of the kind in the template", SN,
         template(http={"url": "u"}, parameters=[{"src": {}, "dest": "url"}]),
         http(url="u", parameters=[{"src": {}, "dest": "url"}]),
         ("spec.triggers[0].template.parameters: in the wrong place: write parameters inside",)),
    Case("parameters in both", SN, template(http={"parameters": [1]}, parameters=[2]),
         http(parameters=[1]),
         ("template.parameters: in the wrong place: ignored, because http has parameters, too",)),
    Case("parameters", SN,
         trigger(template={"http": {}}, templateParameters=[{"src": {"event": "d", "path": "p"}}],
                 resourceParameters=[{"src": {"event": "d", "path": "p"}, "dest": "x"}]),
         trigger(template={"http": {"parameters": [
                     {"src": {"dependencyName": "d", "dataKey": "p"}, "dest": "x"}]}},
                 parameters=[{"src": {"dependencyName": "d", "dataKey": "p"}}]),
         ("templateParameters", "spec.triggers[0].resourceParameters",
          "spec.triggers[0].templateParameters[0].src.event", "write dataKey")),
    Case("payload", SN, http(payload=[{"src": {"event": "d", "path": "p"}}]),
         http(payload=[{"src": {"dependencyName": "d", "dataKey": "p"}}]),
         ("write dependencyName", "write dataKey")),
    Case("resource without kind", SN, trigger(template={}, resourceParameters=[]),
         trigger(template={"k8s": {"parameters": []}}), ("inside of the kind of trigger",)),
    Case("template of v0.11", SN,
         template(group="g", version="v", resource="r", kind="k", source={"inline": "x"}),
         template(k8s={"source": {"inline": "x"}}), ("template.group", "write k8s.source")),
    *(
        Case(f"{kind} names", SN,
             template(**{kind: dict.fromkeys(("group", "version", "resource"))}),
             template(**{kind: {}}), (f"spec.triggers[0].template.{kind}.group: old shape",))
        for kind in ("k8s", "argoWorkflow")
    ),
    Case("policy", SN,
         trigger(policy={"backoff": {"steps": 1}, "errorOnBackoffTimeout": True,
                         "state": {"success": {"a": "b"}, "failure": {"c": "d"}}}),
         trigger(policy={"k8s": {"backoff": {"steps": 1}, "errorOnBackoffTimeout": True,
                                 "labels": {"a": "b"}}}),
         ("policy.k8s.labels", "labels of a failure are not looked at")),
    Case("serverURL", SN, http(serverURL="http://x"), http(url="http://x"),
         ("spec.triggers[0].template.http.serverURL: old shape, valid up to v0.15: write url",)),
    Case("headers", SN, http(headers={"A": ["b", "c"], "D": "e"}),
         http(headers={"A": "b, c", "D": "e"}), ("write each header as one text",)),
    Case("headers of today", SN, http(headers={"D": "e"}), http(headers={"D": "e"}), ()),
    Case("basicAuth", SN,
         http(basicAuth={"namespace": "n", "username": {"namespace": "n"},
                         "password": {"namespace": "n"}}),
         http(basicAuth={"username": {}, "password": {}}), ("namespace of the Sensor",)),
    Case("key files", SN, http(tls={"caCertPath": "/a", "clientCertPath": "/b",
                                    "clientKeyPath": "/c"}),
         http(tls={"caCertSecret": {"name": FILE, "key": "/a"},
                   "clientCertSecret": {"name": FILE, "key": "/b"},
                   "clientKeySecret": {"name": FILE, "key": "/c"}}),
         ("write caCertSecret with name and key of a Secret",)),
    *(
        Case(f"namespace of {user}", SN, template(**nested(user, {"namespace": "n", "x": 1})),
             template(**nested(user, {"x": 1})),
             (f"{user}.namespace: old shape, valid up to v0.17",))
        for user in ("slack", "slack.slackToken", "awsLambda", "awsLambda.accessKey",
                     "awsLambda.secretKey", "openWhisk.authToken", "k8s.source.configmap",
                     "k8s.source.git", "argoWorkflow.source.configmap", "argoWorkflow.source.git")
    ),
    Case("namespace of OpenWhisk itself", SN, template(openWhisk={"namespace": "n"}),
         template(openWhisk={"namespace": "n"}), ()),
    *(
        Case(f"ssh key of {kind}", SN,
             template(**nested(f"{kind}.source.git.sshKeyPath", "/k")),
             template(**nested(f"{kind}.source.git.sshKeySecret", {"name": FILE, "key": "/k"})),
             ("write sshKeySecret with name and key",))
        for kind in ("k8s", "argoWorkflow")
    ),
    Case("key files of another kind", SN, template(kafka={"tls": {"caCertPath": "/a"}}),
         template(kafka={"tls": {"caCertSecret": {"name": FILE, "key": "/a"}}}),
         ("template.kafka.tls.caCertPath: old shape",)),
    Case("certificate of custom", SN, template(custom={"certFilePath": "/a"}),
         template(custom={"certSecret": {"name": FILE, "key": "/a"}}), ("write certSecret",)),
    Case("partition", SN, template(kafka={"partition": 3, "partitioningKey": "k"}),
         template(kafka={"partitioningKey": "k"}), ("template.kafka.partition: old shape",)),
    Case("time without a stop", SN, dep(filters={"time": {"start": "09:00:00"}}),
         dep(filters={"time": {"start": "09:00:00", "stop": "00:00:00"}}),
         ("spec.dependencies[0].filters.time: old shape, valid up to v0.16: write both start",)),
    Case("time without a start", SN, dep(filters={"time": {"stop": "09:00:00"}}),
         dep(filters={"time": {"start": "00:00:00", "stop": "09:00:00"}}), ("write both",)),
    Case("time of today", SN, dep(filters={"time": {"start": "1", "stop": "2"}}),
         dep(filters={"time": {"start": "1", "stop": "2"}}), ()),
    Case("in a dlqTrigger", SN, trigger(dlqTrigger={"template": {"http": {"serverURL": "x"}}}),
         trigger(dlqTrigger={"template": {"http": {"url": "x"}}}),
         ("spec.triggers[0].dlqTrigger.template.http.serverURL: old shape",)),
    Case("native", EB, native(size=3, persistence={"size": "1Gi"}, antiAffinity=True),
         native(replicas=3, persistence={"volumeSize": "1Gi"}),
         ("spec.nats.native.antiAffinity", "write replicas", "write volumeSize")),
    Case("startOldest", EB, source(kafka={"consumerGroup": {"startOldest": True}}),
         source(kafka={"consumerGroup": {"oldest": True}}), ("write oldest",)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind} {c}")
def test_old_shapes_become_todays(case: Case):
    before = copy.deepcopy(case.old)

    modern = modernise(case.kind, case.old)

    assert modern.raw == case.new
    assert case.old == before, "the given object was changed"
    said = [str(p) for p in modern.problems]
    for words in case.says:
        assert any(words in line for line in said), (words, said)
    assert bool(said) == bool(case.says), said


def test_every_row_has_a_case(monkeypatch):
    """Rows of a dlqTrigger are made from those of a trigger, so one of them stands for all."""
    hit = set()
    apply = rewriting._apply

    def noted(row, *more):
        hit.add((row.kind, row.at, row.key))
        apply(row, *more)

    monkeypatch.setattr(rewriting, "_apply", noted)
    for case in CASES:
        modernise(case.kind, case.old)

    twins = "spec.triggers.*.dlqTrigger"
    rows = {(row.kind, row.at, row.key) for row in TABLE if not row.at.startswith(twins)}
    assert rows - hit == set()


def test_what_is_written_today_passes_untouched():
    raw = {
        "metadata": {"name": "x"},
        "spec": {"triggers": [{"template": {"http": {"url": "u"}}, "policy": {"status": {}}}]},
    }

    modern = modernise("Sensor", raw)

    assert modern.raw is raw
    assert modern.problems == []


@pytest.mark.parametrize(
    "raw",
    [{"spec": None}, {"spec": []}, {"spec": {"triggers": 3, "dependencies": "x"}}, {}],
    ids=repr,
)
def test_nonsense_is_left_to_validation(raw):
    assert modernise("Sensor", raw).raw == raw


def test_a_moved_field_is_found_where_the_user_wrote_it():
    modern = modernise("Sensor", template(policy={"status": {"alow": [1]}}))

    path = ("spec", "triggers", 0, "policy", "status", "alow")
    assert dotted(modern.origin(path)) == "spec.triggers[0].template.policy.status.alow"


def test_files_of_old_manifests_are_read_and_all_else_comes_from_the_inner_place(tmp_path):
    (tmp_path / "key.pem").write_text("PEM\n")
    inner = GivenSecrets({("s", "k"): "v"}, {("c", "k"): "w"})
    secrets = PathSecrets(inner)

    assert secrets.secret(SecretRef(name=FILE, key=str(tmp_path / "key.pem"))) == "PEM"
    assert secrets.secret(SecretRef(name="s", key="k")) == "v"
    assert secrets.config_map(ConfigMapRef(name="c", key="k")) == "w"
    with pytest.raises(ConfigError, match=r"gone.pem: No such file"):
        secrets.secret(SecretRef(name=FILE, key=str(tmp_path / "gone.pem")))
