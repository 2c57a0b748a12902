"""Admission on a real API server: what is refused, warned of and let through, and for how long."""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from controller_kit import HOOK, PATHS, SENSOR, Space, controlled
from kube_cluster import ADMIN
from ports import free_port

from controller.admission.certificates import NEXT, Terms
from controller.admission.keeper import Keeper, Names
from controller.admission.webhook import PATH, Known, Webhook
from tocsin.installing.chart import Chart, Release

ROOT = Path(__file__).parent.parent.parent
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
APPLY = "application/apply-patch+yaml"
OURS = {"EventBus", "EventSource", "Sensor", "Notifier"}
PATIENCE = 90.0

BUS = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "EventBus",
    "metadata": {"name": "default"},
    "spec": {"jetstream": {"version": "latest", "replicas": 3}},
}
NOTIFIER = {
    "apiVersion": "tocsin.dev/v1alpha1",
    "kind": "Notifier",
    "metadata": {"name": "people"},
    "spec": {"watches": [{"apiVersion": "v1", "kind": "Pod", "labelSelector": "a b"}]},
}
WRONG = [{"template": {"name": "t", "conditions": "d &&& d", "log": {}}}]


def configuration(name, *namespaces):
    """Return the configuration of the chart for some namespaces, under another name."""
    chart = Chart.ours()
    found = chart.render({**chart.values, "namespaces": list(namespaces)}, Release())
    (made,) = [
        json.loads(json.dumps(one.manifest))
        for one in found
        if one.manifest["kind"] == "ValidatingWebhookConfiguration"
    ]
    assert made["webhooks"][0]["failurePolicy"] == "Fail"
    assert made["webhooks"][0]["clientConfig"]["service"]["path"] == PATH
    assert "caBundle" not in made["webhooks"][0]["clientConfig"]
    return {**made, "metadata": {"name": name}}


def edited(made, **spec):
    return {**made, "spec": {**made["spec"], **spec}}


class Told:
    """What the API server answers: status, object or Status, warnings."""

    def __init__(self, status, body, warnings):
        self.status, self.body = status, body
        self.warnings = [one.split(" ", 2)[2].strip('"') for one in warnings or ()]

    @property
    def message(self):
        return self.body.get("message", "")


class Asking(Space):
    """A namespace, asked with all that the API server answers."""

    async def ask(self, method, kind, name="", body=None, query="", content="application/json"):
        path = PATHS[kind].format(self.name) + (f"/{name}" if name else "") + query
        return await asyncio.to_thread(self._ask, method, path, body, content)

    def _ask(self, method, path, body, content):
        request = urllib.request.Request(
            self.cluster.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {ADMIN}", "Content-Type": content},
        )
        context = ssl._create_unverified_context()
        try:
            with urllib.request.urlopen(request, context=context, timeout=60) as answer:
                return Told(answer.status, json.load(answer), answer.headers.get_all("Warning"))
        except urllib.error.HTTPError as exc:
            with exc:
                return Told(exc.code, json.load(exc), exc.headers.get_all("Warning"))

    async def put(self, made, *, dry=False):
        """Apply an object."""
        body = {**made, "metadata": {**made["metadata"], "namespace": self.name}}
        query = "?fieldManager=kubectl&force=true" + ("&dryRun=All" if dry else "")
        name = made["metadata"]["name"]
        return await self.ask("PATCH", made["kind"], name, body, query, APPLY)

    async def patch(self, kind, name, body):
        """Change a part of an object."""
        return await self.ask("PATCH", kind, name, body, "", "application/merge-patch+json")


@pytest.fixture
def space(kinds, request):
    """A namespace of its own."""
    return Asking(kinds, kinds.namespace(request.node.name))


SHARED = ("right", "stored", "bus", "long", "examples")


@pytest.fixture(scope="module")
def process(kinds, tmp_path_factory):
    """`tocsin controller` for the namespaces SHARED, whose objects the API server asks about."""
    spaces = {name: Asking(kinds, kinds.namespace(f"admission-{name}")) for name in SHARED}
    names = [space.name for space in spaces.values()]
    port, status, log = free_port(), free_port(), tmp_path_factory.mktemp("log") / "controller"
    made = configuration("test-admission", *names)
    made["webhooks"][0]["clientConfig"] = {"url": f"https://localhost:{port}/validate"}
    kinds.call("POST", CONFIGURATIONS, made)
    given = [word for name in names for word in ("-n", name)]
    with log.open("wb") as text:
        running = subprocess.Popen(
            [
                sys.executable, "-m", "tocsin", "controller", *given,
                "--kubeconfig", kinds.kubeconfig, "--own-namespace", names[0],
                "--host", "127.0.0.1", "--metrics-port", str(status), "--log-format", "text",
                "--webhook-port", str(port), "--webhook-configuration", "test-admission",
            ],
            cwd=ROOT, stdout=text, stderr=text,
        )  # fmt: skip
    try:
        asyncio.run(until(lambda: ready(status, spaces["right"])))
        yield Running(spaces, status)
    finally:
        running.kill()
        running.wait()
        kinds.call("DELETE", f"{CONFIGURATIONS}/test-admission")
        print(log.read_text()[-4000:])


async def read(port, path):
    """Return status and text of a page of the process; 0 where it does not answer."""

    def get():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()
        except OSError:
            return 0, ""

    return await asyncio.to_thread(get)


@dataclass
class Running:
    """A controller."""

    spaces: dict[str, Asking]
    status: int


async def ready(status, space):
    """Return whether the process says so, and the API server asks it."""
    code, text = await read(status, "/readyz")
    return code == 200 and "webhook: ok" in text and await asked(space)


async def asked(space):
    """Return whether the API server asks about objects of a namespace, and gets an answer."""
    probe = {**edited(SENSOR, triggers=WRONG), "metadata": {"name": "probe"}}
    told = await space.put(probe, dry=True)
    return told.status == 422 and "conditions" in told.message


async def until(is_it, what=""):
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not await is_it():
            await asyncio.sleep(0.05)


class Admitting:
    """A namespace whose objects are checked, by one replica or more."""

    def __init__(self, space, ports):
        self.space, self.cluster = space, space.cluster
        self.name = f"test-{space.name}"
        self.ports = ports

    async def call(self, method, path="", body=None, content="application/json"):
        where = CONFIGURATIONS + path
        return await asyncio.to_thread(self.cluster.call, method, where, body, Content_Type=content)

    async def configure(self):
        """Have the API server ask all replicas, each about every object."""
        made = configuration(self.name, self.space.name)
        (one,) = made["webhooks"]
        made["webhooks"] = [
            {
                **one,
                "name": f"replica-{number}.tocsin.dev",
                "clientConfig": {"url": f"https://localhost:{port}/validate"},
            }
            for number, port in enumerate(self.ports)
        ]
        await self.call("POST", "", made)

    async def effective(self):
        """Wait until the API server asks, and gets an answer."""

        await until(lambda: asked(self.space))

    async def bundle(self):
        found = await self.call("GET", f"/{self.name}")
        return [one["clientConfig"].get("caBundle", "") for one in found["webhooks"]]

    async def forget(self):
        with suppress(urllib.error.HTTPError):
            await self.call("DELETE", f"/{self.name}")


def keeper_names(space, configuration):
    return Names(
        namespace=space.name,
        service="tocsin-webhook",
        secret="tocsin-webhook-tls",
        configuration=configuration,
    )


@asynccontextmanager
async def admitting(space, *, replicas=1, terms=None, configured=True):
    """Check the objects of a namespace while the block runs."""
    on = Admitting(space, [free_port() for _ in range(replicas)])
    names = keeper_names(space, on.name)
    async with controlled(space.cluster, space.name) as one, asyncio.TaskGroup() as group:
        await until(lambda: asyncio.sleep(0, one.leader.leading))
        running = []
        for number, port in enumerate(on.ports):
            kube = one.kube
            registry = one.metrics.registry if number == 0 else type(one.metrics)().registry
            known = Known(kube=kube, cache=lambda: one.cache, namespaces=one.namespaces)
            keeper = Keeper(kube, names, lambda number=number: number == 0, terms)
            webhook = Webhook("127.0.0.1", port, keeper, known, registry)
            running.append((webhook, group.create_task(webhook.run())))
        on.webhooks = [webhook for webhook, _ in running]
        on.registry = one.metrics.registry
        try:
            for webhook in on.webhooks:
                await until(lambda webhook=webhook: asyncio.sleep(0, not webhook.problem))
            if configured:
                await on.configure()
                await on.effective()
            yield on
        finally:
            await on.forget()
            for _, task in running:
                task.cancel()


# ---------------------------------------------------------------------------- objects


async def test_right_wrong_and_old_objects(process):
    space = process.spaces["right"]
    told = await space.put(SENSOR, dry=True)
    assert (told.status, len(told.warnings)) == (201, 2)
    assert await space.get("Sensor", "tell") is None
    told = await space.put(SENSOR)  # before what it needs, as kubectl may apply it
    assert told.status == 201
    assert told.warnings == [
        f"spec.eventBusName: no EventBus 'default' in namespace '{space.name}'",
        (
            f"spec.dependencies[0].eventSourceName: no EventSource 'hook' in namespace"
            f" '{space.name}'"
        ),
    ]
    for made in (BUS, HOOK):
        told = await space.put(made)
        assert (told.status, told.warnings[1:]) == (201, []), told.message

    async def known():
        return not (await space.put(edited(SENSOR, replicas=2), dry=True)).warnings

    await until(known)
    other = [{**SENSOR["spec"]["dependencies"][0], "eventName": "ordres"}]
    told = await space.put(edited(SENSOR, dependencies=other), dry=True)
    assert told.status == 200
    assert told.warnings == [
        (
            "spec.dependencies[0].eventName: EventSource 'hook' has no event 'ordres'"
            " (did you mean orders)"
        )
    ]

    told = await space.put(edited(SENSOR, triggers=WRONG))
    assert (told.status, told.body["reason"]) == (422, "Invalid")
    (cause,) = told.body["details"]["causes"]
    assert cause["field"] == "spec.triggers[0].template.conditions"
    assert cause["message"].startswith("compiling conditions 'd &&& d': ")
    assert told.message.startswith(
        "admission webhook \"validate.tocsin.dev\" denied the request: Sensor 'tell' is not"
        " valid: spec.triggers[0].template.conditions: "
    )
    told = await space.put(NOTIFIER)
    assert told.status == 422
    assert told.body["details"]["causes"][0]["field"] == "spec.watches[0].labelSelector"

    told = await space.put(edited(SENSOR, triggres=[]))  # as of a client that is not strict
    assert told.status == 422
    assert "spec.triggres: unknown field (did you mean triggers)" in told.message

    root = {"container": {"securityContext": {"runAsUser": 0}}}
    told = await space.put(edited(SENSOR, template=root))
    assert told.status == 422
    assert "template.container.securityContext.runAsUser: 0 leaves the restricted" in told.message

    kafka = {"kafka": {"url": "there:9092"}}
    told = await space.put({**BUS, "metadata": {"name": "old"}, "spec": kafka})
    assert told.status == 422
    assert "spec: kafka is a known kind of bus that is not built yet" in told.message
    told = await space.put({**edited(HOOK, replica=1), "metadata": {"name": "old"}})
    assert told.status == 201
    assert told.warnings == ["spec.replica: old shape, valid up to v1.4: write replicas"]

    name = "late-eventsource-svc"
    service = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
    assert (await space.ask("POST", "Service", body=service)).status == 201
    late = {**HOOK, "metadata": {"name": "late"}}
    told = await space.put(edited(late, service={"ports": [{"port": 12000}]}), dry=True)
    assert told.status == 201
    assert told.warnings == [
        f"spec.service: Service '{name}' is there already and is nobody's, and is taken over"
    ]

    _, metrics = await read(process.status, "/metrics")
    assert 'tocsin_admission_requests_total{kind="Sensor",result="refused"}' in metrics
    assert "tocsin_admission_certificate_end_seconds 1." in metrics


async def test_what_was_stored_before_can_be_kept_and_cleaned_up(process):
    space = process.spaces["stored"]
    await exempt(space, off=True)
    wrong = edited(SENSOR, triggers=WRONG)
    wrong["metadata"] = {"name": "tell", "finalizers": ["tocsin.dev/test"]}
    await until(lambda: stored(space, wrong))
    await exempt(space, off=False)
    await until(lambda: asked(space))
    told = await space.patch("Sensor", "tell", {"metadata": {"labels": {"a": "b"}}})
    assert (told.status, told.warnings) == (200, [])
    assert (await space.patch("Sensor", "tell", {"spec": {"replicas": 2}})).status == 422
    assert (await space.ask("DELETE", "Sensor", "tell")).status == 200
    assert (await space.patch("Sensor", "tell", {"spec": {"replicas": 2}})).status == 200
    gone = await space.patch("Sensor", "tell", {"metadata": {"finalizers": []}})
    assert gone.status == 200
    assert await space.get("Sensor", "tell") is None


async def exempt(space, *, off):
    """Have nobody ask about the objects of a namespace, or ask again."""
    path = f"/api/v1/namespaces/{space.name}"
    body = {"metadata": {"labels": {"tocsin.dev/admission": "off" if off else None}}}
    content = "application/merge-patch+json"
    await asyncio.to_thread(space.cluster.call, "PATCH", path, body, Content_Type=content)


async def stored(space, made):
    """Return whether an object was taken."""
    return (await space.put(made)).status == 201


async def test_a_bus_does_not_become_another_one(process):
    space = process.spaces["bus"]
    assert (await space.put(BUS)).status == 201
    await space.until("EventBus", "default", lambda bus: "status" in bus)
    told = await space.put({**BUS, "spec": {"jetstreamExotic": {"url": "nats://there:4222"}}})
    merged = await space.patch(
        "EventBus",
        "default",
        {"spec": {"jetstream": None, "jetstreamExotic": {"url": "nats://there:4222"}}},
    )
    assert (told.status, merged.status) == (422, 422)
    assert "jetstream cannot become jetstreamExotic" in merged.message
    jetstream = BUS["spec"]["jetstream"]
    fewer = await space.put(edited(BUS, jetstream={**jetstream, "replicas": 1}))
    assert "spec.jetstream.replicas: 3 servers are kept" in fewer.message
    volume = {**jetstream, "persistence": {"volumeSize": "5Gi"}}
    assert (
        "spec.jetstream.persistence: " in (await space.put(edited(BUS, jetstream=volume))).message
    )
    more = await space.put(edited(BUS, jetstream={**jetstream, "replicas": 5}))
    assert more.status == 200, more.message


async def test_an_object_that_takes_too_long_is_refused(process):
    space = process.spaces["long"]
    one = {"eventSourceName": "h", "eventName": "e"}
    many = [{**one, "name": f"d{number}"} for number in range(24_000)]  # takes 10 s and more
    hostile = {**edited(SENSOR, dependencies=many), "metadata": {"name": "hostile"}}
    told = await space.put(hostile)
    assert told.status == 422
    assert "spec: checking it: it did not end within 4 s" in told.message
    assert (await space.put(SENSOR)).status == 201


async def test_every_example_is_admitted(process):
    space = process.spaces["examples"]
    found = [
        (file, made)
        for file in sorted((ROOT / "examples").rglob("*.yaml"))
        for made in yaml.safe_load_all(file.read_text())
        if made and made.get("kind") in OURS
    ]
    assert len(found) > 50
    for file, made in found:
        told = await space.put(made, dry=True)
        assert told.status == 201, (file, told.message)
        assert all(len(one) < 256 for one in told.warnings)


# ---------------------------------------------------------------------------- certificates


async def test_certificates_are_replaced_while_objects_are_applied(space):
    """Two replicas, both asked about every object: none may ever serve what is not trusted."""
    resting, due = Terms(renewed=1.0, overlap=3.0), Terms(renewed=0.0, overlap=3.0)
    async with admitting(space, replicas=2, terms=resting) as on:
        served = set()
        applied = asyncio.create_task(applying(space))
        leader = on.webhooks[0].keeper
        for _ in range(2):
            (now,) = await serving(on)
            served.add(now)
            leader._terms = due
            await until(lambda: asyncio.sleep(0, NEXT in leader._data))
            leader._terms = resting
            await until(lambda: replaced(on, served))
            assert not applied.done(), await applied
        applied.cancel()
    assert len(served) == 2


async def applying(space):
    """Apply an object again and again; return the first answer that is no success."""
    count = 0
    while True:
        count += 1
        told = await space.put(edited(HOOK, replicas=1 + count % 2), dry=True)
        if told.status not in {200, 201}:
            return told.message


async def serving(on):
    """Return the certificates that the replicas serve, each once."""

    def get(port):
        return ssl.get_server_certificate(("127.0.0.1", port))

    return {await asyncio.to_thread(get, port) for port in on.ports}


async def replaced(on, before):
    """Return whether all replicas serve one and the same new certificate."""
    now = await serving(on)
    return len(now) == 1 and not now & before


async def test_what_somebody_else_writes_is_put_right(space):
    async with admitting(space, configured=False) as on:
        assert on.webhooks[0].problem == ""
        await on.configure()  # later than the controller
        await on.effective()
        (right,) = await on.bundle()
        metadata = (await on.call("GET", f"/{on.name}"))["metadata"]
        (ours,) = [one for one in metadata["managedFields"] if "admission" in one["manager"]]
        assert list(ours["fieldsV1"]["f:webhooks"].values()) == [
            {".": {}, "f:clientConfig": {"f:caBundle": {}}, "f:name": {}}
        ]

        wrong = base64.b64encode(ssl.DER_cert_to_PEM_cert(b"nobody").encode()).decode()
        patch = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": wrong}]
        content = "application/json-patch+json"
        try:
            await on.call("PATCH", f"/{on.name}", patch, content)
        except urllib.error.HTTPError as exc:
            exc.close()
            patch[0]["value"] = base64.b64encode(
                Path(space.cluster.folder / "pki" / "apiserver.crt").read_bytes()
            ).decode()
            await on.call("PATCH", f"/{on.name}", patch, content)

        async def restored():
            return await on.bundle() == [right]

        await until(restored)
        await on.effective()

        before = on.webhooks[0].keeper.pair()
        uid = (await space.get("Secret", "tocsin-webhook-tls"))["metadata"]["uid"]
        await space.delete("Secret", "tocsin-webhook-tls")
        found = await space.until(
            "Secret", "tocsin-webhook-tls", lambda one: one and one["metadata"]["uid"] != uid
        )
        assert base64.b64decode(found["data"]["tls.crt"]).decode() == before[0]
        assert (await space.put(HOOK, dry=True)).status == 201


async def test_a_webhook_that_is_down_holds_up_our_kinds_alone(space):
    assert (await space.put(HOOK)).status == 201
    exempted = Asking(space.cluster, space.cluster.namespace(f"{space.name[:50]}-off"))
    await exempt(exempted, off=True)
    on = Admitting(space, [free_port()])
    made = configuration(on.name, space.name, exempted.name)
    made["webhooks"][0]["clientConfig"] = {"url": f"https://localhost:{on.ports[0]}/validate"}
    await on.call("POST", "", made)

    async def down():
        return (await space.put({**HOOK, "metadata": {"name": "second"}}, dry=True)).status == 500

    try:
        await until(down)
        told = await space.put({**HOOK, "metadata": {"name": "second"}})
        assert told.status == 500
        assert 'failed calling webhook "validate.tocsin.dev"' in told.message
        assert (await space.put(edited(HOOK, replicas=2))).status == 500
        assert (await exempted.put(HOOK)).status == 201
        plain = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {}}
        assert (await space.put(plain)).status == 201
        assert (await space.status("EventSource", "hook", {"replicas": 0}))["kind"]
        assert (await space.ask("DELETE", "EventSource", "hook")).status == 200
    finally:
        await on.forget()
