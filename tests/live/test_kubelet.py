"""The test kubelet: pods of a real cluster as local processes, with names, volumes and probes."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from kube_cluster import Cluster
from kubelet.images import REPOSITORY
from kubelet.process import Process

SERVER = """
import http.server, os, signal, sys, pathlib
signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), sys.exit(0)))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(3)
        file = pathlib.Path("/tmp/not-ready")
        self.send_response(503 if self.path == "/readyz" and file.exists() else 200)
        self.end_headers()
        self.wfile.write((os.environ["HOSTNAME"] + " " + os.environ.get("COLOUR", "")).encode())
    def log_message(self, *_):
        pass
print("serving", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
PACE = {"periodSeconds": 1, "timeoutSeconds": 20, "failureThreshold": 1}
PROBE = {"httpGet": {"path": "/readyz", "port": "http"}, **PACE}


def container(**more: Any) -> dict:
    return {
        "name": "main",
        "image": "python:3.11",
        "command": ["python3", "-c", SERVER],
        "ports": [{"name": "http", "containerPort": 8000}],
        "readinessProbe": PROBE,
        **more,
    }


def sleeper(**more: Any) -> dict:
    return {"name": "main", "image": "busybox", "command": ["sleep", "600"], **more}


def pod(name: str, one: dict, **more: Any) -> dict:
    spec = {"containers": [one], "terminationGracePeriodSeconds": 1, **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def template(name: str, one: dict, **more: Any) -> dict:
    spec = {"containers": [one], "terminationGracePeriodSeconds": 30, **more}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def deployment(name: str, one: dict, replicas: int = 1, **more: Any) -> dict:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, one, **more),
        },
    }


def service(name: str, *, headless: bool = False) -> dict:
    spec: dict[str, Any] = {
        "selector": {"app": name},
        "ports": [{"name": "web", "port": 80, "targetPort": "http"}],
    }
    if headless:
        spec["clusterIP"] = "None"
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


class Place:
    """A namespace of a test."""

    def __init__(self, nodes, name: str) -> None:
        self.nodes, self.name = nodes, nodes.namespace(name)

    def path(self, kind: str, name: str = "") -> str:
        roots = {
            "Deployment": "apis/apps/v1", "StatefulSet": "apis/apps/v1", "Job": "apis/batch/v1",
            "Role": "apis/rbac.authorization.k8s.io/v1",
            "RoleBinding": "apis/rbac.authorization.k8s.io/v1",
        }  # fmt: skip
        root = roots.get(kind, "api/v1")
        return f"/{root}/namespaces/{self.name}/{kind.lower()}s" + (f"/{name}" if name else "")

    def make(self, *made: dict) -> None:
        for one in made:
            self.nodes.cluster.call("POST", self.path(one["kind"]), one)

    def patch(self, kind: str, name: str, change: dict) -> None:
        self.nodes.cluster.call(
            "PATCH", self.path(kind, name), change,
            Content_Type="application/strategic-merge-patch+json",
        )  # fmt: skip

    def pod(self, name: str) -> dict:
        return self.nodes.cluster.call("GET", self.path("Pod", name))

    async def ready(self, selector: str, count: int = 1) -> list[dict]:
        def look() -> list[dict]:
            found = self.nodes.ready(self.name, selector)
            return found if len(found) == count == len(self.nodes.pods(self.name, selector)) else []

        return await self.nodes.until(look, what=f"{count} ready of {selector}")

    async def runs(self, name: str) -> dict:
        def look() -> dict:
            found = self.pod(name)
            return found if "running" in state(found) else {}

        return await self.nodes.until(look, what=f"{name} running")

    async def phase(self, name: str, phase: str) -> dict:
        def look() -> dict:
            found = self.pod(name)
            return found if found["status"]["phase"] == phase else {}

        return await self.nodes.until(look, what=f"{name} {phase}")


def state(one: dict) -> dict:
    statuses = one["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {})


@pytest.fixture
def place(nodes, request):
    return Place(nodes, request.node.name)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read().decode()


async def get(url: str) -> str:
    return await asyncio.to_thread(fetch, url)


GET = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"


async def test_a_service_leads_to_every_ready_pod(place, nodes):
    place.make(service("web"), deployment("web", container(), replicas=2))
    pods = await place.ready("app=web", 2)
    names = {one["metadata"]["name"] for one in pods}

    url = nodes.reach(f"web.{place.name}", 80)

    async def all_answer() -> bool:
        return {(await get(url)).split()[0] for _ in range(4)} == names

    await nodes.until(all_answer, what=f"answers of {names}")
    from_a_pod = {
        nodes.exec(pods[0], "python3", "-c", GET, f"http://{name}").stdout.split()[0]
        for name in ("web", "web", f"web.{place.name}", f"web.{place.name}.svc.cluster.local")
    }
    directly = await get(f"http://{pods[0]['status']['podIP']}:8000/")
    unknown = nodes.exec(pods[0], "python3", "-c", GET, "http://nobody")

    assert from_a_pod == names
    assert directly.split() == [pods[0]["metadata"]["name"]]
    assert "Name or service not known" in unknown.stderr
    assert nodes.logs(pods[0]) == "serving\n"


async def test_a_rolling_update_puts_new_pods_in_place_of_all(place, nodes):
    place.make(service("web"), deployment("web", container(), replicas=2))
    old = await place.ready("app=web", 2)
    url = nodes.reach(f"web.{place.name}", 80)
    await nodes.until(lambda: fetch(url))
    one = container(env=[{"name": "COLOUR", "value": "green"}])
    place.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": [one]}}}})

    gone = {one["metadata"]["name"] for one in old}

    def replaced() -> bool:
        names = {one["metadata"]["name"] for one in nodes.pods(place.name, "app=web")}
        return len(names) == 2 and names.isdisjoint(gone)

    async def green() -> bool:
        return all([(await get(url)).endswith("green") for _ in range(4)])

    await nodes.until(replaced)
    await nodes.until(green)

    assert "told to end" in nodes.logs(old[0])


async def test_a_pod_that_is_not_ready_gets_nothing(place, nodes):
    place.make(service("web"), deployment("web", container(), replicas=2))
    first, second = await place.ready("app=web", 2)
    url = nodes.reach(f"web.{place.name}", 80)
    nodes.exec(first, "touch", "/tmp/not-ready")
    await nodes.until(lambda: len(nodes.ready(place.name, "app=web")) == 1)

    async def only_second() -> bool:
        names = {(await get(url)).split()[0] for _ in range(4)}
        return names == {second["metadata"]["name"]}

    await nodes.until(only_second)
    nodes.exec(second, "touch", "/tmp/not-ready")

    def refused() -> bool:
        try:
            fetch(url)
        except ConnectionRefusedError:
            return True
        except OSError as exc:
            return isinstance(getattr(exc, "reason", None), ConnectionRefusedError)
        return False

    await nodes.until(refused, what="nobody listens for a Service without pods")
    nodes.exec(first, "rm", "/tmp/not-ready")
    await nodes.until(lambda: len(nodes.ready(place.name, "app=web")) == 1)


async def test_pods_of_a_stateful_set_keep_name_and_volume(place, nodes):
    one = container(volumeMounts=[{"name": "data", "mountPath": "/data/deep"}])
    made = deployment("db", one, replicas=2)
    made["kind"] = "StatefulSet"
    made["spec"] |= {
        "serviceName": "db",
        "volumeClaimTemplates": [
            {
                "metadata": {"name": "data"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            }
        ],
    }
    place.make(service("db", headless=True), made)
    first, second = await place.ready("app=db", 2)
    nodes.exec(first, "sh", "-c", "echo kept > /data/deep/file")
    url = f"http://db-0.db.{place.name}.svc:8000"
    reached = await nodes.until(lambda: nodes.exec(second, "python3", "-c", GET, url).stdout)
    nodes.cluster.call("DELETE", place.path("Pod", "db-0"))

    def again() -> list[dict]:
        ready = nodes.ready(place.name, "app=db")
        return [
            p
            for p in ready
            if p["metadata"]["name"] == "db-0" and p["metadata"]["uid"] != first["metadata"]["uid"]
        ]

    new = (await nodes.until(again))[0]

    assert reached.split() == ["db-0"]
    assert nodes.exec(new, "cat", "/data/deep/file").stdout == "kept\n"
    assert nodes.exec(second, "ls", "/data/deep").stdout == ""


async def test_volumes_show_what_secrets_and_config_maps_say_now(place, nodes):
    place.make(
        {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "one", "b": "two"}},
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "1", "y": "2"}},
    )
    mounts = [
        {"name": "s", "mountPath": "/etc/tocsin"},
        {"name": "s", "mountPath": "/etc/single/file", "subPath": "a"},
        {"name": "c", "mountPath": "/argo-events/config/c"},
        {"name": "none", "mountPath": "/none"},
        {"name": "me", "mountPath": "/me"},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
    me = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
    place.make(
        pod(
            "one",
            sleeper(volumeMounts=mounts),
            volumes=[
                {"name": "s", "secret": {"secretName": "s"}},
                {"name": "c", "configMap": {"name": "c", "items": [{"key": "x", "path": "d/z"}]}},
                {"name": "none", "secret": {"secretName": "none", "optional": True}},
                {"name": "me", "downwardAPI": me},
                {"name": "scratch", "emptyDir": {}},
            ],
        )
    )
    running = await place.runs("one")

    def cat(path: str) -> str:
        return nodes.exec(running, "cat", path).stdout

    assert (cat("/etc/tocsin/a"), cat("/etc/single/file")) == ("one", "one")
    assert (cat("/argo-events/config/c/d/z"), cat("/none/x")) == ("1", "")
    assert nodes.exec(running, "touch", "/etc/tocsin/c").returncode == 1
    assert nodes.exec(running, "touch", "/scratch/c").returncode == 0
    place.patch("Secret", "s", {"stringData": {"a": "new"}, "data": {"b": None}})
    await nodes.until(lambda: cat("/etc/tocsin/a") == "new")
    await nodes.until(lambda: nodes.exec(running, "ls", "/etc/tocsin").stdout == "a\n")
    assert cat("/etc/single/file") == "one"  # as on a real node
    place.make({"kind": "Secret", "metadata": {"name": "none"}, "stringData": {"x": "late"}})
    await nodes.until(lambda: cat("/none/x") == "late")
    place.patch("Pod", "one", {"metadata": {"labels": {"k": "v"}}})
    await nodes.until(lambda: cat("/me/labels") == 'k="v"')


async def test_the_environment_is_that_of_the_pod(place, nodes):
    place.make(
        service("web-site"),
        {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"KEY": "from secret"}},
        {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"x": "1"}},
    )
    env = [
        {"name": "PLAIN", "value": "p"},
        {"name": "BOTH", "value": "$(PLAIN)-$$(PLAIN)-$(NONE)"},
        {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "x"}}},
        {
            "name": "NO",
            "valueFrom": {"secretKeyRef": {"name": "no", "key": "x", "optional": True}},
        },
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        {
            "name": "MEM",
            "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
        },
    ]  # fmt: skip
    one = sleeper(
        command=["sh", "-c", 'echo "$0"; pwd; env; echo ALL=1; sleep 600', "$(PLAIN)"],
        workingDir="/opt/there",
        env=env,
        envFrom=[{"secretRef": {"name": "s"}, "prefix": "PRE_"}],
        resources={"limits": {"cpu": "1500m", "memory": "64Mi"}},
    )
    place.make(pod("one", one))
    running = await place.runs("one")
    await nodes.until(lambda: "ALL=1\n" in nodes.logs(running))
    said = nodes.logs(running)
    first, folder, *rest = said.splitlines()
    seen = dict(line.split("=", 1) for line in rest)

    assert (first, folder) == ("p", "/opt/there")
    assert seen["BOTH"] == "p-$(PLAIN)-$(NONE)"
    assert (seen["PRE_KEY"], seen["X"], seen["POD_NAME"]) == ("from secret", "1", "one")
    assert (seen["CPU"], seen["MEM"], seen["POD_IP"]) == ("2", "64", running["status"]["podIP"])
    assert {"WEB_SITE_SERVICE_PORT", "KUBERNETES_SERVICE_HOST"} <= set(seen)
    assert "NO" not in seen


async def test_what_a_pod_needs_and_is_not_there_is_told_and_awaited(place, nodes):
    place.make(
        pod(
            "volume",
            sleeper(volumeMounts=[{"name": "v", "mountPath": "/v"}]),
            volumes=[{"name": "v", "secret": {"secretName": "late"}}],
        ),
        pod("env", sleeper(envFrom=[{"secretRef": {"name": "late"}}])),
        pod("root", sleeper(securityContext={"runAsNonRoot": True})),
    )

    def waits(name: str, text: str) -> bool:
        one = place.pod(name)
        return text in json.dumps(one["status"])

    await nodes.until(lambda: waits("volume", 'secret \\"late\\" not found'))
    await nodes.until(lambda: waits("env", "CreateContainerConfigError"))
    await nodes.until(lambda: waits("root", "image will run as root"))
    place.make({"kind": "Secret", "metadata": {"name": "late"}, "stringData": {"x": "y"}})
    await place.runs("volume")
    await place.runs("env")


async def test_a_container_is_as_restricted_as_it_asks(place, nodes):
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": 1234,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = [{"name": "tmp", "mountPath": "/tmp"}]
    in_group = ["sh", "-c", "touch /tmp/x && stat -c %g /tmp/x && id -G"]
    place.make(
        pod(
            "one",
            sleeper(securityContext=restricted, volumeMounts=mounts),
            volumes=[{"name": "tmp", "emptyDir": {}}],
            securityContext={"fsGroup": 77},
        )
    )
    running = await place.runs("one")
    told = nodes.exec(running, "grep", "-E", "^(Uid|Groups|NoNewPrivs|CapBnd)", "/proc/1/status")
    fields = {line.split(":")[0]: line.split()[1:] for line in told.stdout.splitlines()}

    assert fields["Uid"] == ["1234"] * 4
    assert (fields["Groups"], fields["NoNewPrivs"]) == (["77"], ["1"])
    assert int(fields["CapBnd"][0], 16) == 0
    assert "Read-only" in nodes.exec(running, "touch", "/var/x").stderr
    assert nodes.exec(running, *in_group).stdout.split() == ["77", "0", "77"]
    assert nodes.exec(running, "ls", "/root").stdout == ""


async def test_init_containers_run_first_and_a_job_completes(place, nodes):
    def step(name: str, script: str) -> dict:
        return {
            "name": name,
            "image": "busybox",
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "w", "mountPath": "/w"}],
        }

    spec = {
        "restartPolicy": "Never",
        "initContainers": [step("one", "echo 1 >> /w/f"), step("two", "echo 2 >> /w/f")],
        "containers": [step("main", "cat /w/f; echo why > /dev/termination-log; exit $CODE")],
        "volumes": [{"name": "w", "emptyDir": {}}],
    }
    job = {"kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": spec}}}
    place.make(job)

    def done() -> bool:
        status = nodes.cluster.call("GET", place.path("Job", "j")).get("status", {})
        return status.get("succeeded") == 1

    await nodes.until(done)
    ended = nodes.pods(place.name, "job-name=j")[0]
    assert nodes.logs(ended) == "1\n2\n"
    assert state(ended)["terminated"]["message"] == "why\n"
    spec["containers"][0]["env"] = [{"name": "CODE", "value": "7"}]
    place.make({"kind": "Pod", "metadata": {"name": "bad"}, "spec": spec})
    failed = await place.phase("bad", "Failed")
    assert state(failed)["terminated"]["exitCode"] == 7


async def test_what_crashes_or_hangs_is_started_again(place, nodes):
    liveness = {"exec": {"command": ["test", "!", "-e", "/tmp/dead"]}, **PACE}
    place.make(pod("one", container(livenessProbe=liveness), terminationGracePeriodSeconds=30))

    def restarts(count: int) -> bool:
        one = place.pod("one")
        status = one["status"]["containerStatuses"][0]
        return status["restartCount"] == count and status["ready"]

    await nodes.until(lambda: place.pod("one")["status"].get("containerStatuses"))
    await nodes.until(lambda: restarts(0))
    running = place.pod("one")
    with pytest.raises(OSError):
        await get(f"http://{running['status']['podIP']}:8000/crash")
    await nodes.until(lambda: restarts(1))
    last = place.pod("one")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    nodes.exec(running, "touch", "/tmp/dead")
    await nodes.until(lambda: restarts(2))

    assert (last["exitCode"], last["reason"]) == (3, "Error")
    assert nodes.logs(running, run=1) == "serving\ntold to end\n"


async def test_a_command_that_is_not_there_and_one_that_always_fails_are_told(place, nodes):
    place.make(
        pod("absent", sleeper(command=["no-such-command"]), restartPolicy="Never"),
        pod("failing", sleeper(command=["false"])),
    )
    absent = await place.phase("absent", "Failed")
    await nodes.until(
        lambda: state(place.pod("failing")).get("waiting", {}).get("reason") == "CrashLoopBackOff"
    )

    assert state(absent)["terminated"]["exitCode"] == 128
    assert "no-such-command" in state(absent)["terminated"]["message"]


async def test_a_deletion_gives_time_and_no_more(place, nodes):
    script = "trap 'echo no' TERM; echo yes; while :; do sleep 0.1; done"
    stubborn = sleeper(command=["sh", "-c", script])
    hooked = container(
        lifecycle={"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /proc/1/fd/1"]}}}
    )
    place.make(
        pod("stubborn", stubborn, terminationGracePeriodSeconds=2),
        pod("polite", hooked, terminationGracePeriodSeconds=30),
    )
    running = {name: await place.runs(name) for name in ("stubborn", "polite")}
    await nodes.until(lambda: nodes.logs(running["stubborn"]) == "yes\n")
    await nodes.until(lambda: "serving" in nodes.logs(running["polite"]))
    for name in running:
        nodes.cluster.call("DELETE", place.path("Pod", name))
    await nodes.until(lambda: not nodes.pods(place.name))

    assert nodes.logs(running["polite"]) == "serving\nhook\ntold to end\n"
    assert nodes.logs(running["stubborn"]) == "yes\nno\n"


ASK = """
import json, os, ssl, sys, urllib.request as u, urllib.error
at = "/var/run/secrets/kubernetes.io/serviceaccount/"
host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
space = open(at + "namespace").read()
for server in (f"https://{host}:{port}", "https://kubernetes.default.svc"):
    request = u.Request(f"{server}/api/v1/namespaces/{space}/configmaps",
                        headers={"Authorization": "Bearer " + open(at + "token").read()})
    try:
        u.urlopen(request, context=ssl.create_default_context(cafile=at + "ca.crt"), timeout=20)
        print(200)
    except urllib.error.HTTPError as exc:
        print(exc.code)
"""


async def test_a_pod_asks_the_api_as_its_service_account(place, nodes):
    place.make(
        {"kind": "ServiceAccount", "metadata": {"name": "reader"}},
        pod("one", sleeper(), serviceAccountName="reader"),
        pod("none", sleeper(), automountServiceAccountToken=False),
    )
    running, without = await place.runs("one"), await place.runs("none")
    before = nodes.exec(running, "python3", "-c", ASK).stdout
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}
    place.make(
        {"kind": "Role", "metadata": {"name": "reader"}, "rules": [rule]},
        {
            "kind": "RoleBinding",
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": place.name}],
        },
    )

    assert before.split() == ["403", "403"]
    await nodes.until(
        lambda: nodes.exec(running, "python3", "-c", ASK).stdout.split() == ["200", "200"]
    )
    assert nodes.exec(without, "ls", "/var/run/secrets").returncode == 2


async def test_our_own_image_runs_our_command(place, nodes):
    one = {"name": "main", "image": "tocsin:test", "args": ["--version"]}
    place.make(pod("one", one, restartPolicy="Never"))
    ended = await place.phase("one", "Succeeded")

    assert nodes.logs(ended).startswith("tocsin")


async def test_a_volume_above_our_own_files_does_not_cover_them(place, nodes):
    mount = {"name": "over", "mountPath": str(REPOSITORY.parent)}
    one = {"name": "main", "image": "tocsin", "args": ["--version"], "volumeMounts": [mount]}
    volumes = [{"name": "over", "emptyDir": {}}]
    place.make(pod("one", one, volumes=volumes, restartPolicy="Never"))

    assert nodes.logs(await place.phase("one", "Succeeded")).startswith("tocsin")


async def test_a_checkout_below_folders_of_its_owner_is_seen_by_every_user(tmp_path, nodes):
    """Such as one of a clone in /root; `needed` then names these folders."""
    inner = tmp_path / "shut" / "checkout" / "venv"
    inner.mkdir(parents=True)
    (inner / "file").write_text("seen")
    (inner.parent / "link").symlink_to("venv/file")
    for folder in (tmp_path / "shut", inner.parent, inner):
        folder.chmod(0o700)
    paths = [str(inner.parent), str(inner)]
    given = {
        "network": "/proc/self/ns/net", "hostname": "here", "files": {}, "mounts": [],
        "needed": paths, "folder": "/", "words": ["cat", f"{inner.parent}/link", f"{inner}/file"],
        "environment": {"PATH": os.defpath}, "user": 65532, "group": 65532, "groups": [],
        "add": [], "drop": ["ALL"], "privileged": False, "no_new_privileges": True,
        "read_only": True,
    }  # fmt: skip
    process = await Process.start(given, tmp_path / "scratch", tmp_path / "log")

    assert (await process.ended(), (tmp_path / "log").read_text()) == (0, "seenseen")
    assert inner.stat().st_mode & 0o777 == 0o700


async def test_kubectl_shows_what_a_pod_said_and_what_happened_to_it(place, nodes):
    place.make(pod("one", sleeper(command=["sh", "-c", "echo first; sleep 1; echo second"])))
    await place.runs("one")

    async def kubectl(*words: str) -> str:
        words = ("--namespace", place.name, *words)
        return (await asyncio.to_thread(nodes.cluster.kubectl, *words)).stdout

    async def previous() -> str:
        return await kubectl("logs", "one", "--previous")

    async def now() -> bool:
        return (await kubectl("logs", "one")).startswith("first\n")

    async def happened() -> bool:
        return "Started container main" in await kubectl("get", "events")

    await nodes.until(now)
    assert await nodes.until(previous) == "first\nsecond\n"
    await nodes.until(happened)


async def test_a_service_is_reached_over_the_api_server_too(place, nodes):
    place.make(service("web"), deployment("web", container()))
    ready = (await place.ready("app=web"))[0]
    path = f"/api/v1/namespaces/{place.name}/services/web:80/proxy/"

    async def through() -> str:
        return (await asyncio.to_thread(nodes.cluster.kubectl, "get", "--raw", path)).stdout

    assert (await nodes.until(through)).split() == [ready["metadata"]["name"]]


async def test_it_goes_on_over_a_restart_of_the_api_server(place, nodes):
    place.make(pod("before", sleeper()))
    before = await place.runs("before")
    nodes.cluster.kill_api()
    await asyncio.to_thread(nodes.cluster.start_api)
    nodes.cluster.call("DELETE", place.path("Pod", "before"))
    place.make(pod("after", sleeper()))
    await place.runs("after")
    await nodes.until(lambda: len(nodes.pods(place.name)) == 1)

    assert place.pod("after")["status"]["podIP"] != before["status"]["podIP"]


LEFT = """
import os, pathlib, sys, time
from kube_cluster import Cluster
from kubelet.nodes import Nodes
folder = pathlib.Path(sys.argv[1])
cluster = Cluster(folder / "cluster")
cluster.start()
nodes = Nodes(cluster, folder / "nodes")
nodes.start()
name = cluster.namespace("left")
spec = {"containers": [{"name": "a", "image": "busybox", "command": ["sleep", "12345.5"]}]}
cluster.call("POST", f"/api/v1/namespaces/{name}/pods", {"metadata": {"name": "p"}, "spec": spec})
while not nodes.pods(name)[0]["status"].get("podIP"):
    time.sleep(0.05)
print(nodes.host, nodes.pid, *cluster.pids, flush=True)
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_a_killed_session_leaves_goes(nodes, tmp_path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LEFT, str(tmp_path),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY}/tests:{REPOSITORY}"},
    )  # fmt: skip
    assert process.stdout is not None
    host, *rest = (await process.stdout.readline()).decode().split()
    kubelet, *servers = map(int, rest)
    cables = await shell("ip", "-brief", "address")
    process.kill()
    await process.wait()

    async def cut() -> bool:
        return f"{host}/22" not in await shell("ip", "-brief", "address")

    async def nobody_sleeps() -> bool:
        return "12345.5" not in await shell("ps", "axo", "args")

    assert f"{host}/22" in cables
    try:
        await nodes.until(lambda: not alive(kubelet))
        await nodes.until(cut)
        await nodes.until(nobody_sleeps)
        Cluster(tmp_path / "next").stop()  # whoever is the next cluster on the machine
        await nodes.until(lambda: not any(alive(pid) for pid in servers))
    finally:
        for pid in filter(alive, servers):
            os.kill(pid, signal.SIGKILL)


async def shell(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()
