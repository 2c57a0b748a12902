"""Every old shape of a manifest with the shape that it is rewritten to, and what is said of it.

`from old_shapes import CASES`: for tests of the rewriting, of `tocsin convert` and of the CRDs.
"""

from dataclasses import dataclass
from typing import Any

from spine.compat import FILE


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


def jetstream(**fields: Any) -> dict[str, Any]:
    return source(jetstream={"version": "latest", **fields})


ES, SN, EB = "EventSource", "Sensor", "EventBus"
POD = {"serviceAccountName": "sa", "volumes": [{"name": "v"}], "securityContext": {"a": 1},
       "nodeSelector": {"a": "b"}, "tolerations": [{"key": "a"}], "affinity": {"a": 1},
       "imagePullSecrets": [{"name": "a"}], "priorityClassName": "p", "priority": 3}  # fmt: skip
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
                "containers", kind,
                source(template={"spec": {"containers": [{"name": "x", "env": [{"name": "A"}]}]}}),
                source(template={"container": {"env": [{"name": "A"}]}}),
                ("spec.template.spec.containers: old shape, valid up to v0.17: write template.cont",
                 "spec.template.spec.containers.name: old shape, valid up to v1.9.5: ignored"),
            ),
            Case(
                "several containers", kind,
                source(template={"spec": {"containers": [{"name": "x"}, {"name": "y"}]}}),
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
    Case("certificate of a hook", ES,
         source(github={"e": {"webhook": {"serverCertPath": "/c", "serverKeyPath": "/k"}}}),
         source(github={"e": {"webhook": {"serverCertSecret": {"name": FILE, "key": "/c"},
                                          "serverKeySecret": {"name": FILE, "key": "/k"}}}}),
         ("spec.github.e.webhook.serverCertPath: old shape, valid up to v1.4",)),
    Case("key files of a source", ES,
         source(mqtt={"e": {"tls": {"caCertPath": "/a", "clientCertPath": "/b",
                                    "clientKeyPath": "/c"}}}),
         source(mqtt={"e": {"tls": {"caCertSecret": {"name": FILE, "key": "/a"},
                                    "clientCertSecret": {"name": FILE, "key": "/b"},
                                    "clientKeySecret": {"name": FILE, "key": "/c"}}}}),
         ("spec.mqtt.e.tls.caCertPath: old shape, valid up to v1.4: write caCertSecret",)),
    *(
        Case(f"namespace of {kind}", ES, source(**{kind: {"e": {"namespace": "n", "x": 1}}}),
             source(**{kind: {"e": {"x": 1}}}), (f"spec.{kind}.e.namespace: old shape",))
        for kind in ("sns", "sqs", "github", "gitlab", "slack", "stripe", "emitter", "hdfs",
                     "azureEventsHub")
    ),
    Case("namespace of a resource", ES, source(resource={"e": {"namespace": "n"}}),
         source(resource={"e": {"namespace": "n"}}), ()),
    Case("credentials", ES,
         source(pubSub={"e": {"credentialsFile": "/c", "enableWorkloadIdentity": True,
                              "enableWorkflowIdentity": True}}),
         source(pubSub={"e": {"credentialSecret": {"name": FILE, "key": "/c"}}}),
         ("spec.pubSub.e.credentialsFile: old shape, valid up to v1.4: write credentialSecret",
          "spec.pubSub.e.enableWorkloadIdentity: old shape, valid up to v0.17: ignored",
          "spec.pubSub.e.enableWorkflowIdentity: old shape, valid up to v0.15: ignored")),
    Case("one repository", ES, source(github={"e": {"owner": "o", "repository": "r", "id": 3}}),
         source(github={"e": {"repositories": [{"owner": "o", "names": ["r"]}]}}),
         ("spec.github.e.owner: old shape, valid up to v1.3: write repositories", "github.e.id")),
    Case("one repository and others", ES,
         source(github={"e": {"owner": "o", "repository": "r", "repositories": []}}),
         source(github={"e": {"repositories": []}}),
         ("spec.github.e.owner: old shape, valid up to v1.3: ignored: write", "e.repository: ")),
    Case("one repository of Bitbucket", ES,
         source(bitbucket={"e": {"owner": "o", "repositorySlug": "r", "projectKey": "p"}}),
         source(bitbucket={"e": {"repositories": [{"owner": "o", "repositorySlug": "r"}]}}),
         ("spec.bitbucket.e.owner: old shape", "spec.bitbucket.e.projectKey: old shape")),
    Case("half a repository of Bitbucket", ES,
         source(bitbucket={"e": {"owner": "o"}, "f": {"repositorySlug": "r"}}),
         source(bitbucket={"e": {}, "f": {}}),
         ("spec.bitbucket.e.owner: old shape, valid up to v1.7: ignored: write", "f.repositoryS")),
    Case("one repository of Bitbucket Server", ES,
         source(bitbucketserver={"e": {"projectKey": "p", "repositorySlug": "r"}}),
         source(bitbucketserver={"e": {"repositories": [{"projectKey": "p",
                                                         "repositorySlug": "r"}]}}),
         ("spec.bitbucketserver.e.projectKey: old shape, valid up to v1.5: write repositories",)),
    Case("half a repository of Bitbucket Server", ES,
         source(bitbucketserver={"e": {"projectKey": "p"}, "f": {"repositorySlug": "r"}}),
         source(bitbucketserver={"e": {}, "f": {}}), ("spec.bitbucketserver.e.projectKey",)),
    *(
        Case(f"one project by {key}", ES,
             source(gitlab={"e": {key: "1", "event": "PushEvents", "allowDuplicate": True}}),
             source(gitlab={"e": {"projects": ["1"], "events": ["PushEvents"]}}),
             (f"spec.gitlab.e.{key}: old shape", "gitlab.e.event: old shape, valid up to v0.15"))
        for key in ("projectID", "projectId")
    ),
    Case("value", ES, source(generic={"e": {"value": "x", "url": "u"}}),
         source(generic={"e": {"url": "u"}}), ("spec.generic.e.value: old shape",)),
    Case("labels", SN,
         {"metadata": {"labels": {"sensors.argoproj.io/sensor-controller-instanceid": "a",
                                  "argo-events-sensor-version": "v0.13", "sensors": "x"}}},
         {"metadata": {"labels": {"sensors": "x"}}},
         ("metadata.labels.sensors.argoproj.io/sensor-controller-instanceid: old shape, valid up",
          "metadata.labels.argo-events-sensor-version: old shape, valid up to v0.13: ignored")),
    Case("labels and annotations of a Service", SN,
         source(serviceLabels={"a": "b"}, serviceAnnotations={"a": "b"}), source(),
         ("spec.serviceLabels: old shape, valid up to v0.16", "spec.serviceAnnotations")),
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
    Case("parameters in both", SN, template(http={"parameters": [{}]}, parameters=[{"dest": "x"}]),
         http(parameters=[{}]),
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
    Case("native of v0.16", EB, native(size=3, persistence={"size": "1Gi"}, antiAffinity=True),
         jetstream(replicas=3, persistence={"volumeSize": "1Gi"}),
         ("spec.nats.native.antiAffinity", "write replicas", "write volumeSize")),
    Case("native", EB,
         native(replicas=1, auth="token", containerTemplate={"resources": {}}, maxAge="72h",
                maxMsgs=5, maxBytes="1GB", maxPayload="2MB", maxSubs=3, raftLeaseTimeout="2s"),
         jetstream(replicas=1, streamConfig="maxAge: 72h\nmaxMsgs: 5\nmaxBytes: 1GB\n",
                   containerTemplate={"resources": {}}, maxPayload="2MB"),
         ("spec.nats.native: old shape, valid up to 2023, when NATS Streaming ended: JetStream",
          ": write jetstream with version: latest; maxSubs, raftLeaseTimeout have no meaning")),
    Case("two are three", EB, native(replicas=2), jetstream(replicas=3), ("write jetstream",)),
    Case("nothing but native", EB, source(nats={"native": None}), jetstream(), ("jetstream",)),
    Case("native and exotic", EB, source(nats={"native": {}, "exotic": {"url": "u"}}),
         source(nats={"exotic": {"url": "u"}}, jetstream={"version": "latest"}), ("jetstream",)),
    Case("startOldest", EB, source(kafka={"consumerGroup": {"startOldest": True}}),
         source(kafka={"consumerGroup": {"oldest": True}}), ("write oldest",)),
]  # fmt: skip
