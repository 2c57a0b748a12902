"""What the controller makes of an EventBus: real servers of its files, and a real API server."""

import asyncio
import base64
import datetime as dt
import signal
import ssl
import time
import urllib.request
from contextlib import asynccontextmanager, suppress

import nats
import pytest
from controller_kit import PATHS, PATIENCE, SENSOR, controlled
from nats_server import find_binary
from ports import free_port

from controller.bus import streams
from controller.bus.desired import Known, config, desired
from controller.bus.install import install
from controller.bus.material import Kept, material
from controller.bus.names import Names
from controller.bus.server_config import FOLDER
from controller.bus.streams import Provisioner
from controller.bus.versions import Settings
from eventbus import open_bus
from eventbus.bus import EVENTS, STATE, Reader
from eventbus.config import BusConfig
from eventbus.spec import EventBusSpec
from spine.errors import BusError
from spine.event import Event
from spine.model import load
from spine.secrets import GivenSecrets

NAMES = Names("default", "ns")
TRIES = 1200


class Servers:
    """The servers of a bus as local processes: the files of its pods, at other paths and ports."""

    def __init__(self, folder, **jetstream):
        spec = load(EventBusSpec, {"jetstream": {"version": "latest", **jetstream}})
        self.wanted = install(spec, Settings())
        now = dt.datetime.now(dt.UTC)
        self.material = material(NAMES, Kept(), "cluster.local", now)
        self.made = desired(NAMES, self.wanted, Known(self.material))
        self.folder = folder
        self.pods = NAMES.pods(self.wanted.replicas)
        self.ports = {pod: (free_port(), free_port(), free_port()) for pod in self.pods}
        self.processes = {}

    def of(self, kind, name):
        return next(
            one for one in self.made if (one["kind"], one["metadata"]["name"]) == (kind, name)
        )

    def texts(self, secret):
        data = self.of("Secret", secret)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    async def start(self, pod):
        """Start a server with the volumes and the environment of its pod."""
        folder = self.folder / pod
        self._mount(folder)
        client, cluster, monitor = self.ports[pod]
        path = folder / "nats-js.conf"
        text = path.read_text().replace(FOLDER, str(folder))
        text = text.replace('"/data', f'"{folder}').replace("/var/run/nats", str(folder))
        text = text.replace("0.0.0.0:4222", f"127.0.0.1:{client}")
        text = text.replace("0.0.0.0:6222", f"127.0.0.1:{cluster}")
        text = text.replace("0.0.0.0:8222", f"127.0.0.1:{monitor}")
        for other in self.pods:
            there = f"127.0.0.1:{self.ports[other][1]}"
            text = text.replace(f"{NAMES.host(other)}:6222", there)
        path.write_text(text)
        env = {
            "SERVER_NAME": pod,
            "CLUSTER_ADVERTISE": f"127.0.0.1:{cluster}",
            "JS_KEY": self.texts(NAMES.secret)["encryption"],
        }
        with (folder / "log").open("ab") as log:
            self.processes[pod] = await asyncio.create_subprocess_exec(
                find_binary(), "--config", str(path), stdout=log, stderr=log, env=env
            )

    def _mount(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        pod = self.of("StatefulSet", NAMES.servers)["spec"]["template"]["spec"]
        sources = next(v["projected"]["sources"] for v in pod["volumes"] if "projected" in v)
        for source in sources:
            if "secret" in source:
                texts = self.texts(source["secret"]["name"])
                items = source["secret"]["items"]
            else:
                texts = self.of("ConfigMap", source["configMap"]["name"])["data"]
                items = source["configMap"]["items"]
            for item in items:
                (folder / item["path"]).write_text(texts[item["key"]])

    async def healthy(self, pod):
        """Wait until the startup probe of a pod passes."""
        container = self.of("StatefulSet", NAMES.servers)["spec"]["template"]["spec"]["containers"]
        path = container[0]["startupProbe"]["httpGet"]["path"]
        url = f"http://127.0.0.1:{self.ports[pod][2]}{path}"
        for _ in range(TRIES):
            if await asyncio.to_thread(answers, url):
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{pod} is not healthy:\n{self.log()}")

    async def kill(self, pod):
        process = self.processes.pop(pod)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()

    def log(self):
        return "\n".join((self.folder / pod / "log").read_text()[-3000:] for pod in self.pods)

    @property
    def urls(self):
        return ",".join(f"nats://127.0.0.1:{self.ports[pod][0]}" for pod in self.processes)

    def secrets(self):
        texts = self.texts(NAMES.access)
        return GivenSecrets({(NAMES.access, key): value for key, value in texts.items()})

    def config(self, **tls):
        found = config(NAMES, self.wanted)["jetstream"] | {"url": self.urls}
        return load(BusConfig, {"jetstream": {**found, **({"tls": tls} if tls else {})}})

    @asynccontextmanager
    async def bus(self):
        async with open_bus(self.config(), self.secrets(), give_up_after=60) as found:
            yield found

    async def connect(self, login=None, **options):
        """Connect with the bare client library, as whoever `login` says."""
        found = login or self.material.login("client-auth")
        context = ssl.create_default_context(cadata=self.texts(NAMES.access)["ca-cert"])
        given = {"user": found.user, "password": found.password, "tls": context, **options}
        return await nats.connect(
            self.urls.split(",")[0], allow_reconnect=False, connect_timeout=30, **given
        )


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@asynccontextmanager
async def servers(folder, **jetstream):
    one = Servers(folder, **jetstream)
    try:
        for pod in one.pods:
            await one.start(pod)
        for pod in one.pods:
            await one.healthy(pod)
        yield one
    except BaseException:
        print(one.log())
        raise
    finally:
        for pod in list(one.processes):
            await one.kill(pod)


def event(number):
    return Event(
        id=str(number), source="s", subject="e", type="webhook",
        time=dt.datetime.now(dt.UTC), data=b"{}",
    )  # fmt: skip


async def publish(bus, number):
    """Publish an event as a source does."""
    await again(lambda: bus.publish(event(number)))


async def again(ask):
    """Ask until there is an answer, as processes do while a new leader is elected."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with suppress(BusError):
            return await ask()
        await asyncio.sleep(0.05)
    return await ask()


async def consumed(bus, count):
    """Return what a durable gets until it has so many different events."""
    found, done = set(), asyncio.Event()

    async def handle(message):
        found.add(message.subject + "/" + str(message.sequence))
        if len(found) >= count:
            done.set()

    reader = Reader("sensor-x", (f"{EVENTS}.s.e",), EVENTS, start="all")

    async def read():
        while True:  # as processes do: a cluster takes a while to choose a leader
            with suppress(BusError):
                await bus.consume(reader, handle, in_flight=10)

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(60):
            await done.wait()
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    return found


async def test_three_servers_go_on_without_one(tmp_path):
    async with servers(tmp_path) as three, three.bus() as bus:
        await publish(bus, 0)
        assert await again(lambda: bus.store(STATE).put("k", b"v", revision=None)) > 0
        await three.kill(three.pods[0])
        await publish(bus, 1)
        assert len(await consumed(bus, 2)) == 2
        found = await again(lambda: bus.store(STATE).get("k"))
        assert found is not None
        assert found[0] == b"v"


async def test_streams_have_as_many_copies_as_servers_allow(tmp_path):
    async with servers(tmp_path, replicas=1, streamConfig="replicas: 3") as one:
        async with one.bus() as bus:
            await publish(bus, 0)
            assert len(await consumed(bus, 1)) == 1
        client = await one.connect(one.material.login("controller-auth"))
        info = await client.jetstream(timeout=30).stream_info(EVENTS)
        await client.close()
        assert info.config.num_replicas == 1
        assert info.config.max_bytes == one.wanted.stream.max_bytes


async def test_three_servers_keep_three_copies(tmp_path):
    async with servers(tmp_path) as three, three.bus():
        client = await three.connect(three.material.login("controller-auth"))
        for stream in (EVENTS, f"KV_{STATE}"):
            assert (await client.jetstream(timeout=30).stream_info(stream)).config.num_replicas == 3
        await client.close()


# ---------------------------------------------------------------------------- what clients may

ALLOWED = ["default.s.e", "tocsin-dead.x", "$KV.tocsin-state.k", "$JS.API.STREAM.INFO.default"]
REFUSED = [
    "$JS.API.STREAM.DELETE.default",
    "$JS.API.STREAM.UPDATE.default",
    "$JS.API.STREAM.PURGE.default",
    "$JS.API.STREAM.CREATE.other",
    "$JS.API.STREAM.NAMES",
    "$JS.API.INFO",
    "$KV.other.k",
    "$SYS.REQ.SERVER.PING",
    "default.s.e.more",
    "anything",
]


async def test_clients_may_do_what_processes_do_and_no_more(tmp_path):
    async with servers(tmp_path, replicas=1) as one, one.bus():
        refused = []

        async def on_error(exc):
            refused.append(str(exc))

        client = await one.connect(error_cb=on_error)
        for subject in ALLOWED:
            await client.publish(subject, b"")
        await client.flush()
        assert refused == []

        def missing() -> list[str]:
            said = " ".join(refused).lower()
            return [one for one in (*REFUSED, "default.>") if f'"{one.lower()}"' not in said]

        until = time.monotonic() + 60
        while missing():  # asked again: not every refusal is told by the library
            assert time.monotonic() < until, missing()
            for subject in REFUSED:
                await client.publish(subject, b"")
            await client.subscribe("default.>")
            await client.flush()
            await asyncio.sleep(0.1)
        await client.close()


async def test_a_stranger_and_a_server_without_our_certificate_are_refused(tmp_path):
    async with servers(tmp_path, replicas=1) as one, one.bus():
        with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
            await one.connect(one.material.login("client-auth")._replace(password="x"))
        for patience in (1, 10, 60):  # it tries again and again, so all of it passes
            with pytest.raises(BusError) as refused:
                await connected(one.config(insecureSkipVerify=False), one.secrets(), patience)
            if "certificate" in str(refused.value):
                break
        assert "certificate" in str(refused.value)


async def connected(config, secrets, patience):
    """Return once there is a connection."""
    async with open_bus(config, secrets, give_up_after=patience):
        pass


async def test_a_bus_taken_over_from_argo_events_serves_its_pods_too(tmp_path):
    one = Servers(tmp_path, replicas=1)
    theirs = {"client-auth": "username: abcdefgh\npassword: ijklmnopqrstuvwx\n"}
    kept = Kept(server={"encryption": "aB3dE5gH7jK9"}, access=theirs, running=True)
    one.material = material(NAMES, kept, "cluster.local", dt.datetime.now(dt.UTC))
    one.made = desired(NAMES, one.wanted, Known(one.material))
    assert one.texts(NAMES.secret)["encryption"] == "aB3dE5gH7jK9"
    await one.start(one.pods[0])
    try:
        async with one.bus() as bus:
            await publish(bus, 0)
        client = await one.connect()
        bucket = await client.jetstream(timeout=30).create_key_value(bucket="their-sensor")
        assert await bucket.put("t/Expression", b"") > 0
        await client.close()
    finally:
        await one.kill(one.pods[0])


async def test_certificates_made_again_are_of_the_same_authority(tmp_path):
    """The Secret of servers was deleted: those that start anew are let in by those that run."""
    async with servers(tmp_path) as three, three.bus() as bus:
        await publish(bus, 0)
        kept = Kept(root=three.material.root, running=True)
        three.material = material(NAMES, kept, "cluster.local", dt.datetime.now(dt.UTC))
        three.made = desired(NAMES, three.wanted, Known(three.material))
        pod = three.pods[0]
        await three.kill(pod)
        await three.start(pod)
        await three.healthy(pod)
        await three.kill(three.pods[1])  # the majority needs the one that was started anew
        await publish(bus, 1)


async def test_an_edit_of_the_limits_is_carried_out_by_the_controller(tmp_path, monkeypatch):
    async with servers(tmp_path, replicas=1) as one:
        async with one.bus() as bus:
            await publish(bus, 0)
        monkeypatch.setattr(Names, "url", one.urls)
        monkeypatch.setattr(streams, "PATIENCE", 60.0)
        edit = {"jetstream": {"version": "latest", "replicas": 1, "streamConfig": "maxMsgs: 77"}}
        wanted = install(load(EventBusSpec, edit), Settings())
        provisioner = Provisioner()
        assert await provisioner.provision("uid", NAMES, wanted, one.material) == ""
        client = await one.connect(one.material.login("controller-auth"))
        info = await client.jetstream(timeout=30).stream_info(EVENTS)
        await client.close()
        assert (info.config.max_msgs, info.state.messages) == (77, 1)
        await one.kill(one.pods[0])
        assert await provisioner.provision("uid", NAMES, wanted, one.material) == ""  # it is done
        monkeypatch.setattr(streams, "PATIENCE", 1.0)
        assert "as they were" in await provisioner.provision("other", NAMES, wanted, one.material)


# ---------------------------------------------------------------------------- on an API server

BUS = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "EventBus",
    "metadata": {"name": "default"},
    "spec": {"jetstream": {"version": "latest", "persistence": {"volumeSize": "1Gi"}}},
}
SERVERS = "eventbus-default-js"
OBJECTS = [
    ("Secret", f"{SERVERS}-root"),
    ("Secret", f"{SERVERS}-server"),
    ("Secret", f"{SERVERS}-client-auth"),
    ("ConfigMap", f"{SERVERS}-config"),
    ("Service", f"{SERVERS}-svc"),
    ("Service", f"{SERVERS}-client"),
    ("StatefulSet", SERVERS),
    ("PodDisruptionBudget", SERVERS),
]
PATHS.update(
    {
        "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
        "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    }
)


def there(found):
    return found is not None


def gone(found):
    return found is None


def edited(**jetstream):
    return {**BUS, "spec": {"jetstream": {**BUS["spec"]["jetstream"], **jetstream}}}


async def versions(space):
    found = {}
    for kind, name in OBJECTS:
        metadata = (await space.get(kind, name))["metadata"]
        found[kind, name] = metadata["resourceVersion"]
        if kind == "PodDisruptionBudget":  # Kubernetes counts pods in its status, at any time
            writers = [one for one in metadata["managedFields"] if "subresource" not in one]
            found[kind, name] = metadata["generation"], writers
    return found


async def settled(space, **conditions):
    for condition, (status, reason) in conditions.items():
        await space.condition("EventBus", "default", condition, status, reason)


async def test_objects_of_every_shape_are_accepted(space):
    """By the API server itself, asked to do everything but to keep them."""
    shapes = [
        {"replicas": 1},
        {},
        {
            "metricsContainerTemplate": {},
            "reloaderContainerTemplate": {},
            "containerTemplate": {"resources": {"limits": {"memory": "1Gi"}}},
            "tolerations": [{"key": "k", "operator": "Exists"}],
            "startArgs": ["-D"],
            "metadata": {"labels": {"team": "x"}},
        },
    ]
    names = Names("default", space.name)
    found = material(names, Kept(), "cluster.local", dt.datetime.now(dt.UTC))
    for shape in shapes:
        spec = load(EventBusSpec, {"jetstream": {"version": "latest", **shape}})
        for one in desired(names, install(spec, Settings()), Known(found)):
            path = f"{PATHS[one['kind']].format(space.name)}?dryRun=All&fieldValidation=Strict"
            await asyncio.to_thread(space.cluster.call, "POST", path, one)


async def test_a_bus_is_made_once_and_brought_up_to_date(space):
    await space.apply(BUS)
    async with controlled(space.cluster, space.name):
        for kind, name in OBJECTS:
            made = await space.until(kind, name, there)
            assert made["metadata"]["ownerReferences"][0]["name"] == "default"
        await settled(
            space,
            Valid=("True", "Valid"),
            Deployed=("True", "Deployed"),
            Ready=("False", "ServersNotReady"),
        )
        bus = await space.get("EventBus", "default")
        jetstream = bus["status"]["config"]["jetstream"]
        assert jetstream["url"] == f"nats://{SERVERS}-client.{space.name}.svc:4222"
        assert jetstream["accessSecret"] == {"name": f"{SERVERS}-client-auth", "key": "client-auth"}
        before = await versions(space)

    async with controlled(space.cluster, space.name, identity="two"):  # looks at everything anew
        await space.apply(edited(maxPayload="1MB"))
        name = f"{SERVERS}-config"
        await space.until("ConfigMap", name, lambda one: "1048576" in one["data"]["nats-js"])
        changed = {
            ("ConfigMap", name),
            ("StatefulSet", SERVERS),
        }
        await space.until(
            "EventBus", "default", lambda one: one["status"]["observedGeneration"] == 2
        )
        after = await versions(space)
        unchanged = set(OBJECTS) - changed
        assert {key: after[key] for key in unchanged} == {key: before[key] for key in unchanged}
        assert all(after[key] != before[key] for key in changed)

        secret = f"{SERVERS}-client-auth"
        kept = await space.get("Secret", secret)
        await space.delete("Secret", secret)
        made = await space.until("Secret", secret, there)
        assert made["data"] == kept["data"]

        await space.apply(edited(maxPayload="1MB", replicas=1))
        await settled(space, Valid=("True", "ValidWithWarnings"))
        assert (await space.get("StatefulSet", SERVERS))["spec"]["replicas"] == 3


async def test_a_bus_is_ready_when_its_servers_are(space):
    await space.apply(edited(replicas=1))
    async with controlled(space.cluster, space.name):
        await settled(space, Ready=("False", "ServersNotReady"))
        for pod in await until_pods(space, 1):
            await space.status(
                "Pod",
                pod["metadata"]["name"],
                {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
            )
        await settled(space, Ready=("True", "Ready"))
        # nothing listens at its address here, which is said and holds nothing up
        bus = await space.until("EventBus", "default", lambda one: "streams" in str(one["status"]))
        assert bus["status"]["readyReplicas"] == 1


async def until_pods(space, count):
    until = time.monotonic() + PATIENCE
    while len(pods := await space.all("Pod")) != count:
        assert time.monotonic() < until, pods
        await asyncio.sleep(0.05)
    return pods


async def test_deletion_waits_for_who_uses_the_bus(space):
    await space.apply(BUS)
    await space.apply(SENSOR)
    async with controlled(space.cluster, space.name):
        await space.until("StatefulSet", SERVERS, there)
        claim = f"{SERVERS}-vol-{SERVERS}-0"
        await space.until("PersistentVolumeClaim", claim, there)
        await space.delete("EventBus", "default")
        held = await space.condition("EventBus", "default", "InUse", "True", "DeletionHeld")
        assert "Sensor 'tell'" in held["message"]
        assert await space.get("StatefulSet", SERVERS) is not None
        await space.delete("Sensor", "tell")
        await space.until("EventBus", "default", gone)
        for kind, name in OBJECTS:  # before it, as nobody knows what a CRD that is gone owned
            assert gone(await space.get(kind, name)), name
        found = await space.get("PersistentVolumeClaim", claim)
        assert found is None or found["metadata"]["deletionTimestamp"]


async def test_what_cannot_be_served_says_why(space):
    await space.apply({**BUS, "spec": {"kafka": {"url": "k:9092"}}})
    async with controlled(space.cluster, space.name):
        said = await space.condition("EventBus", "default", "Ready", "False", "NotSupported")
        assert "use jetstream" in said["message"]
        await space.apply({**BUS, "spec": {"kafka": None, "jetstream": {"version": "1.0"}}})
        await settled(space, Valid=("True", "Valid"))
        said = await space.condition("EventBus", "default", "Deployed", "False")
        assert "2.10.29" in said["message"]
        await space.apply(BUS)
        await settled(space, Deployed=("True", "Deployed"))


async def test_a_bus_that_exists_is_passed_on(space):
    exotic = {"url": "nats://nats.infra:4222", "accessSecret": {"name": "a", "key": "k"}}
    await space.apply({**BUS, "spec": {"jetstreamExotic": exotic}})
    async with controlled(space.cluster, space.name):
        await settled(space, Deployed=("True", "Skipped"), Ready=("True", "Ready"))
        bus = await space.get("EventBus", "default")
        assert bus["status"]["config"] == {"jetstream": exotic}


async def test_what_argo_events_made_is_taken_over_in_place(space):
    """Its StatefulSet goes on with its selector and claims, its keys and passwords stay."""
    await make_as_argo_events_does(space)
    async with controlled(space.cluster, space.name):
        await settled(space, Deployed=("True", "Deployed"))
        bus = await space.get("EventBus", "default")
        assert bus["metadata"]["finalizers"] == ["tocsin.dev/eventbus"]
        assert "persistence" not in str(bus["status"]["conditions"])
        servers = await space.get("StatefulSet", SERVERS)
        assert servers["spec"]["selector"]["matchLabels"] == THEIRS
        assert servers["metadata"]["labels"]["controller"] == "tocsin"
        main = servers["spec"]["template"]["spec"]["containers"][0]
        assert main["image"] == "nats:2.10.29"
        data = (await space.get("Secret", f"{SERVERS}-server"))["data"]
        assert base64.b64decode(data["encryption"]) == b"aB3dE5gH7jK9"
        data = (await space.get("Secret", f"{SERVERS}-client-auth"))["data"]
        assert b"password: ijkl" in base64.b64decode(data["client-auth"])
        assert b"BEGIN CERTIFICATE" in base64.b64decode(data["ca-cert"])
        service = await space.get("Service", f"{SERVERS}-svc")
        assert service["spec"]["selector"] == THEIRS


THEIRS = {
    "controller": "eventbus-controller",
    "eventbus-name": "default",
    "owner-name": "default",
}


async def make_as_argo_events_does(space):
    bus = {**BUS, "metadata": {"name": "default", "finalizers": ["eventbus-controller"]}}
    bus = await space.apply(bus)
    owner = {
        "apiVersion": bus["apiVersion"],
        "kind": "EventBus",
        "name": "default",
        "uid": bus["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    claim = {
        "metadata": {"name": f"{SERVERS}-vol"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    pod = {
        "containers": [
            {
                "name": "main",
                "image": "nats:2.8.1",
                "volumeMounts": [{"name": f"{SERVERS}-vol", "mountPath": "/data/jetstream"}],
            }
        ]
    }
    logins = {"client-auth": "username: abcdefgh\npassword: ijklmnopqrstuvwx\n"}
    made = [
        ("Secret", f"{SERVERS}-server", {"stringData": {"encryption": "aB3dE5gH7jK9"}}),
        ("Secret", f"{SERVERS}-client-auth", {"stringData": logins}),
        (
            "Service",
            f"{SERVERS}-svc",
            {
                "spec": {
                    "clusterIP": "None",
                    "selector": THEIRS,
                    "publishNotReadyAddresses": True,
                    "ports": [{"name": "tcp-client", "port": 4222}],
                }
            },
        ),
        (
            "StatefulSet",
            SERVERS,
            {
                "spec": {
                    "replicas": 3,
                    "serviceName": f"{SERVERS}-svc",
                    "podManagementPolicy": "Parallel",
                    "selector": {"matchLabels": THEIRS},
                    "template": {"metadata": {"labels": THEIRS}, "spec": pod},
                    "volumeClaimTemplates": [claim],
                }
            },
        ),
    ]
    for kind, name, rest in made:
        metadata = {"name": name, "labels": THEIRS, "ownerReferences": [owner]}
        version = "apps/v1" if kind == "StatefulSet" else "v1"
        body = {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
        await asyncio.to_thread(space.cluster.call, "POST", PATHS[kind].format(space.name), body)
