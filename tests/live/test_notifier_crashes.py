"""Nothing that was seen goes untold, whatever is killed: real processes, API server and bus.

Objects are ConfigMaps that turn bad and good again; each turn has a number, and its message bears
it. At the end: turns, minus those told, minus dead letters, are none; what came twice came with the
same key, and only where a process or the bus was killed.
"""

import asyncio
import json
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from aiohttp import ClientError, ClientSession, web
from cut_kit import line
from nats_server import NatsServer, nats_server
from ports import free_port
from tocsin_run import environment, tocsin

from delivery.action import Action
from delivery.dead import list_dead
from eventbus.bus import ACTIONS, DEAD, DECISIONS, STATE, Bus
from eventbus.jetstream import Options, connect
from spine.kube import Kube, open_kube

pytestmark = pytest.mark.timeout(240)

OBJECTS, TURNS = 30, 5
"""Each turn is two transitions."""
PREFIX = "notifications.argoproj.io"


# ---------------------------------------------------------------------------- who is told


@dataclass
class Receiver:
    """An HTTP endpoint that counts what it takes, by idempotency key."""

    keys: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    answer: Callable[[Any], Awaitable[int]] | None = None
    url: str = ""
    heads: list[dict[str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.heads.append(dict(request.headers))
        status = 200 if self.answer is None else await self.answer(body)
        if status == 200:
            self.keys[request.headers["Idempotency-Key"]].append(body)
        return web.Response(status=status, text=request.headers.get("Authorization", ""))

    @property
    def told(self) -> set[tuple[str, int]]:
        return {(body["object"], body["turn"]) for some in self.keys.values() for body in some}

    @property
    def twice(self) -> int:
        """How many came once more than once."""
        return sum(len(some) - 1 for some in self.keys.values())


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/{path:.*}", found.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        await runner.cleanup()


# ---------------------------------------------------------------------------- who tells


@dataclass
class Stage:
    """A namespace with a configuration, a bus, and replicas of a Notifier."""

    cluster: Any
    kube: Kube
    space: str
    server: NatsServer
    target: Receiver
    folder: Path
    stack: AsyncExitStack
    kubeconfig: str = ""
    number: int = 0
    said: list[Path] = field(default_factory=list)

    async def configure(self, **more: str) -> None:
        data = {
            "service.webhook.hook": yaml.safe_dump(
                {"url": self.target.url, "headers": [{"name": "Authorization", "value": "$token"}]}
            ),
            "trigger.on-bad": "- {when: obj.data.state == 'bad', send: [bad]}",
            "template.bad": yaml.safe_dump(
                {
                    "webhook": {
                        "hook": {
                            "method": "POST",
                            "body": '{"object": {{ .obj.metadata.name | toJson }},'
                            ' "turn": {{ .obj.data.turn }}}',
                        }
                    }
                }
            ),
        }
        await self.put("ConfigMap", "cm", {"data": {**data, **more}})

    async def put(self, kind: str, name: str, made: dict[str, Any], **annotations: str) -> None:
        """Create or replace an object."""
        metadata: dict[str, Any] = {"name": name, "annotations": annotations}
        body = {"apiVersion": "v1", "kind": kind, "metadata": metadata, **made}
        resource = await self.kube.discovery.kind("v1", kind)
        await self.kube.apply(resource, name, json.dumps(body).encode(), self.space)

    async def turn(self, name: str, state: str, turn: int, **more: str) -> None:
        """Have an object turn bad or good."""
        subscribe = {f"{PREFIX}/subscribe.on-bad.hook": "", **more}
        made = {"data": {"state": state, "turn": str(turn)}}
        await self.put("ConfigMap", name, made, **subscribe)

    async def turns(self, first: int, last: int, pause: float = 0.0) -> None:
        """Have all objects turn bad and good again, so many times."""
        for turn in range(first, last):
            for state in ("bad", "good"):
                for number in range(OBJECTS):
                    await self.turn(f"o{number}", state, turn)
                await asyncio.sleep(pause)

    @property
    def expected(self) -> set[tuple[str, int]]:
        return {(f"o{number}", turn) for number in range(OBJECTS) for turn in range(TURNS)}

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Bus]:
        async with connect(lambda: Options(servers=(self.server.url,))) as found:
            yield found

    async def dead(self) -> list[Any]:
        async with self.bus() as bus:
            return [entry.letter async for entry in list_dead(bus)]

    def manifest(self, **more: Any) -> Path:
        watch = {"apiVersion": "v1", "kind": "ConfigMap", "namespaces": [self.space]}
        made = {
            "apiVersion": "tocsin.dev/v1alpha1",
            "kind": "Notifier",
            "metadata": {"name": "teller", "namespace": self.space},
            "spec": {"watches": [watch], "configMap": "cm", "secret": "secret", **more},
        }
        file = self.folder / f"notifier-{self.space}.yaml"
        file.write_text(yaml.safe_dump(made))
        return file

    async def replica(
        self, *, bus: str = "", ready: bool = True, level: str = "debug", **more: Any
    ) -> "Replica":
        """Start a process, perhaps with another way to the bus; wait until it watches."""
        self.number += 1
        log, port = self.folder / f"replica-{self.space}-{self.number}.log", free_port()
        self.said.append(log)
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tocsin", "notifier", "-f", str(self.manifest(**more))),
                *(
                    "--bus",
                    bus or self.server.url,
                    "--metrics-port",
                    str(port),
                    "--host",
                    "127.0.0.1",
                ),
                *("--log-level", level),
                env=environment(KUBECONFIG=self.kubeconfig),
                cwd=self.folder,
                stdout=out,
                stderr=out,
            )
        found = Replica(process, port, log)
        self.stack.push_async_callback(found.end, signal.SIGKILL)
        if ready:
            await found.ready()
        return found

    async def all_told(self, seconds: float = 120.0) -> None:
        """Wait until nothing is missing."""
        try:
            await until(lambda: self.target.told >= self.expected, seconds)
        except AssertionError:
            raise AssertionError(await self.missing()) from None

    async def missing(self) -> str:
        """Return what is missing, and where it lies."""
        async with self.bus() as bus:
            readers = await bus.readers(ACTIONS)
            waiting = [
                msgspec.json.decode(one.data, type=Action) async for one in bus.read(ACTIONS)
            ]
        shown = [(one.content["object"], one.attempt, one.due) for one in waiting]
        missing = sorted(self.expected - self.target.told)
        return f"not told: {missing}; on the bus: {shown}; {readers}"

    def each_once_by_key(self) -> None:
        """Check that what came twice came with the same key."""
        keys = defaultdict(set)
        for key, bodies in self.target.keys.items():
            for body in bodies:
                keys[body["object"], body["turn"]].add(key)
        twice = {where: some for where, some in keys.items() if len(some) > 1}
        assert not twice, twice


@dataclass
class Replica:
    """One process."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def end(self, number: int) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    async def asked(self) -> tuple[int, str]:
        """Return what it says of its readiness."""
        try:
            where = f"http://127.0.0.1:{self.port}/readyz"
            async with ClientSession() as session, session.get(where) as answer:
                return answer.status, await answer.text()
        except ClientError as exc:
            return 0, str(exc)

    async def ready(self, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while (await self.asked())[0] != 200:
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)


async def until(
    true: Callable[[], object], seconds: float = 90.0, why: Callable[[], str] = str
) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(why()) from None


@asynccontextmanager
async def staged(cluster: Any, space: str, server: NatsServer, folder: Path) -> Any:
    async with (
        receiver() as target,
        open_kube(cluster.kubeconfig) as kube,
        AsyncExitStack() as stack,
    ):
        yield Stage(
            cluster, kube, space, server, target, folder, stack, kubeconfig=cluster.kubeconfig
        )


@pytest.fixture
async def stage(cluster, tmp_path, request) -> AsyncIterator[Stage]:
    space = cluster.namespace(request.node.name.replace("_", "-")[:50].strip("-"))
    async with nats_server(tmp_path) as server, staged(cluster, space, server, tmp_path) as found:
        await found.configure()
        await found.put("Secret", "secret", {"stringData": {"token": "Bearer s3cr3t-of-the-hook"}})
        yield found


# ---------------------------------------------------------------------------- what is killed


async def test_replicas_are_killed_and_stopped(stage):
    async def slowly(_: Any) -> int:
        await asyncio.sleep(0.02)
        return 200

    stage.target.answer = slowly
    first, second = await stage.replica(), await stage.replica()
    turning = asyncio.create_task(stage.turns(0, TURNS))
    await until(lambda: len(stage.target.told) > 20)
    await first.end(signal.SIGKILL)
    third = await stage.replica()
    await until(lambda: len(stage.target.told) > 60)
    killed = stage.target.twice
    assert await second.end(signal.SIGTERM) == 0, second.log.read_text()
    await stage.replica()
    await turning
    await stage.all_told()  # what the killed one held comes back after half a minute
    assert third.process.returncode is None
    stage.each_once_by_key()
    assert not await stage.dead()
    assert killed <= stage.target.twice <= 16, "at most what it had in hand"


async def test_a_stop_repeats_nothing(stage):
    async def slowly(_: Any) -> int:
        await asyncio.sleep(0.2)
        return 200

    stage.target.answer = slowly
    first, _ = await stage.replica(), await stage.replica()
    turning = asyncio.create_task(stage.turns(0, TURNS))
    await until(lambda: len(stage.target.told) > 10)
    assert await first.end(signal.SIGTERM) == 0
    first = await stage.replica()
    await until(lambda: len(stage.target.told) > 60)
    assert await first.end(signal.SIGTERM) == 0
    await turning
    await stage.all_told()
    assert stage.target.twice == 0
    assert "Traceback" not in "".join(log.read_text() for log in stage.said)


async def test_the_bus_is_killed_twice(stage):
    await stage.replica()
    await stage.replica()
    turning = asyncio.create_task(stage.turns(0, TURNS))
    for count in (20, 70):
        await until(lambda most=count: len(stage.target.told) > most)
        await stage.server.kill()
        await asyncio.sleep(0.5)
        await stage.server.start()
    await turning
    await stage.all_told()
    stage.each_once_by_key()
    assert not await stage.dead()
    assert stage.target.twice <= 2 * 2 * 16


async def test_the_way_to_the_bus_breaks_again_and_again(stage):
    async with line(int(stage.server.url.rpartition(":")[2])) as way:
        for _ in range(2):
            await stage.replica(bus=f"nats://127.0.0.1:{way.port}", level="info")
        turning = asyncio.create_task(stage.turns(0, TURNS))
        while not turning.done():
            await asyncio.sleep(0.15)
            await way.cut()
            await way.mend()
        await turning
        await stage.all_told()
    stage.each_once_by_key()
    assert not await stage.dead()
    said = "".join(log.read_text() for log in stage.said)
    assert "the connection to the bus at" in said
    assert "Traceback" not in said  # a write to what broke a moment ago is no bug


async def test_the_api_server_is_killed(tmp_path):
    from kube_cluster import Cluster

    cluster = Cluster(tmp_path / "cluster")
    try:
        cluster.start()
        space = cluster.namespace("killed")
        async with nats_server(tmp_path) as server, staged(cluster, space, server, tmp_path) as one:
            await one.configure()
            await one.put("Secret", "secret", {"stringData": {"token": "x"}})
            await one.replica()
            await one.turns(0, 2)
            cluster.kill_api()
            await asyncio.to_thread(cluster.start_api)
            await one.turn("probe", "bad", 0)  # told, it watches again: before, it may only list
            await until(lambda: ("probe", 0) in one.target.told)
            await one.turns(2, TURNS)
            await one.all_told()
            assert one.target.twice == 0
            one.each_once_by_key()
    finally:
        cluster.stop()


# ---------------------------------------------------------------------------- who does not answer


async def test_a_service_that_hangs_then_fails_then_is_well(stage):
    state, cut = "hangs", asyncio.Event()

    async def ill(_: Any) -> int:
        if state == "hangs":
            await cut.wait()
        return 200 if state == "well" else 500

    stage.target.answer = ill
    replica = await stage.replica()
    await stage.turns(0, TURNS)
    await until(lambda: len(stage.target.heads) >= 16)
    status, text = await replica.asked()
    assert status == 200, text
    state = "fails"
    cut.set()
    await until(lambda: len(stage.target.heads) >= 60)
    state = "well"
    await stage.all_told()
    stage.each_once_by_key()
    assert stage.target.twice == 0


async def test_a_refusal_is_a_dead_letter_that_is_listed_and_retried(stage):
    refused = {"o1"}

    async def picky(body: Any) -> int:
        return 400 if body["object"] in refused else 200

    stage.target.answer = picky
    await stage.replica()
    await stage.turns(0, 1)
    await until(lambda: len(stage.target.told) == OBJECTS - 1)
    async with stage.bus() as bus:
        async with asyncio.timeout(60):
            while not (found := [entry async for entry in list_dead(bus)]):
                await asyncio.sleep(0.05)
    assert len(found) == 1
    for name in ("teller", f"{stage.space}/teller"):
        words = ("dlq", "list", "--notifier", name, "--bus", stage.server.url)
        code, out, err = await tocsin(*words, cwd=stage.folder)
        assert (code, out.count("\n")) == (0, 1), err
        assert "400" in out
        assert "s3cr3t" not in out
    words = ("dlq", "list", "--notifier", "elsewhere/teller", "--bus", stage.server.url)
    assert (await tocsin(*words, cwd=stage.folder))[1] == ""
    refused.clear()
    words = ("dlq", "retry", str(found[0].sequence), "--bus", stage.server.url)
    code, _, err = await tocsin(*words, cwd=stage.folder)
    assert code == 0, err
    await until(lambda: ("o1", 0) in stage.target.told)
    assert not await stage.dead()


async def test_a_right_that_is_given_later(stage):
    """Nothing is read without it, readiness says why, and it goes on without a restart."""
    stage.kubeconfig = await asyncio.to_thread(stage.cluster.account, "poor", stage.space)
    role = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + stage.space
    names = {"resourceNames": ["cm", "secret"]}
    reads = {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get"], **names}
    lists = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"]}
    subject = {"kind": "ServiceAccount", "name": "poor", "namespace": stage.space}
    for name, rules in (("reads", reads), ("lists", lists)):
        made: dict[str, Any] = {"metadata": {"name": name}, "rules": [rules]}
        await asyncio.to_thread(stage.cluster.call, "POST", f"{role}/roles", made)
    binding = {"metadata": {"name": "reads"}, "subjects": [subject]}
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reads"}
    await asyncio.to_thread(stage.cluster.call, "POST", f"{role}/rolebindings", binding)
    replica = await stage.replica(ready=False)
    async with asyncio.timeout(60):
        while "forbidden" not in (said := await replica.asked())[1].lower():
            await asyncio.sleep(0.05)
    assert said[0] == 503
    await stage.turn("o1", "bad", 7)
    binding = {**binding, "metadata": {"name": "lists"}}
    binding["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "lists"}
    await asyncio.to_thread(stage.cluster.call, "POST", f"{role}/rolebindings", binding)
    await until(lambda: stage.target.told == {("o1", 7)})
    await replica.ready()


# ---------------------------------------------------------------------------- who shares a bus


async def test_two_of_one_name_on_one_bus(stage, cluster):
    """Each tells by its own services, and remembers for itself."""
    space = cluster.namespace(f"{stage.space[:40]}-twin")
    async with staged(cluster, space, stage.server, stage.folder) as twin:
        await twin.configure()
        await twin.put("Secret", "secret", {"stringData": {"token": "another"}})
        everywhere = {"apiVersion": "v1", "kind": "ConfigMap", "namespaces": [stage.space]}
        await stage.replica()
        await twin.replica(watches=[everywhere])
        await stage.turns(0, 2)
        expected = {(f"o{number}", turn) for number in range(OBJECTS) for turn in range(2)}
        for one in (stage, twin):
            await until(lambda of=one: of.target.told == expected)
            assert one.target.twice == 0
        tokens = [{head["Authorization"] for head in one.target.heads} for one in (stage, twin)]
    assert tokens == [{"Bearer s3cr3t-of-the-hook"}, {"another"}]


async def test_an_object_that_is_made_anew_is_another_one(stage):
    await stage.replica()
    kind = await stage.kube.discovery.kind("v1", "ConfigMap")
    for turn in range(3):
        await stage.turn("o1", "bad", turn)
        await until(lambda now=turn: ("o1", now) in stage.target.told)
        await stage.kube.delete(kind, "o1", stage.space)
    assert len(stage.target.keys) == 3
    async with stage.bus() as bus:
        async with asyncio.timeout(60):
            while [key for key in await bus.store(STATE).keys("notified/") if "uid" in key or key]:
                await asyncio.sleep(0.05)


async def test_what_went_while_nobody_watched_is_forgotten(stage):
    replica = await stage.replica()
    await stage.turn("o1", "bad", 0)
    await stage.turn("o2", "bad", 0)
    await until(lambda: len(stage.target.told) == 2)
    await replica.end(signal.SIGTERM)
    kind = await stage.kube.discovery.kind("v1", "ConfigMap")
    await stage.kube.delete(kind, "o1", stage.space)
    async with stage.bus() as bus:
        assert len(await bus.store(STATE).keys("notified/")) == 2
        await stage.replica()
        async with asyncio.timeout(60):
            while len(await bus.store(STATE).keys("notified/")) > 1:
                await asyncio.sleep(0.05)
    assert stage.target.twice == 0


# ---------------------------------------------------------------------------- what is edited


async def test_new_credentials_are_used_at_the_next_attempt(stage):
    async def guarded(_: Any) -> int:
        return 200 if stage.target.heads[-1]["Authorization"] == "new" else 503

    stage.target.answer = guarded
    await stage.replica()
    await stage.turn("o1", "bad", 0)
    await until(lambda: len(stage.target.heads) >= 2)
    await stage.put("Secret", "secret", {"stringData": {"token": "new"}})
    await until(lambda: stage.target.told == {("o1", 0)})
    assert not await stage.dead()


# ---------------------------------------------------------------------------- what is too much


async def test_large_objects_and_many_people(tmp_path, cluster, request):
    """With a bus that takes no more than NATS does by itself."""
    space = cluster.namespace("large-objects")
    async with (
        nats_server(tmp_path, max_payload="1MB") as server,
        staged(cluster, space, server, tmp_path) as one,
    ):
        whole = '{"object": "{{ .recipient }}", "turn": 0, "x": {{ .obj.data | toJson }}}'
        await one.configure(
            **{
                "trigger.all": "- {when: obj.data.state == 'bad', send: [all]}",
                "template.all": yaml.safe_dump(
                    {"webhook": {"hook": {"method": "POST", "body": whole}}}
                ),
            }
        )
        await one.put("Secret", "secret", {"stringData": {"token": "x"}})
        replica = await one.replica()
        huge = {"data": {"state": "bad", "turn": "1", "more": "x" * 1_030_000}}
        subscribe = f"{PREFIX}/subscribe"
        await one.put("ConfigMap", "huge", huge, **{f"{subscribe}.on-bad.hook": ""})
        await until(lambda: ("huge", 1) in one.target.told)
        huge["data"]["more"] = '"' * 500_000
        await one.put("ConfigMap", "wide", huge, **{f"{subscribe}.all.hook": "w"})
        async with asyncio.timeout(60):
            while not (letters := await one.dead()):
                await asyncio.sleep(0.1)
        assert "the bus takes" in letters[0].message
        everybody = ";".join(f"person-{number}" for number in range(1000))
        noted = {f"{subscribe}.on-bad.hook": everybody, "note": "n" * 200_000}
        await one.put("ConfigMap", "many", {"data": {"state": "bad", "turn": "2"}}, **noted)
        await until(lambda: len(one.target.keys) == 1001)
        await one.put("ConfigMap", "many", {"data": {"state": "bad", "turn": "3"}}, **noted)
        await asyncio.sleep(1)
        assert len(one.target.keys) == 1001
        assert one.target.twice == 0
        assert len(await one.dead()) == 1
        status, said = await replica.asked()
        assert status == 200, said


# ---------------------------------------------------------------------------- what nobody may see


async def test_secrets_are_nowhere(stage):
    """Neither in logs at debug, nor in records, decisions, pending messages and dead letters."""
    secrets = {"token": "Bearer s3cr3t-of-the-hook\n", "path": "p4th-of-the-hook"}
    await stage.put("Secret", "secret", {"stringData": secrets})
    await stage.configure(
        **{
            "service.webhook.gone": "url: http://127.0.0.1:1/$path",
            "service.webhook.echo": f"{{url: {stage.target.url}/$path, headers: [{{name: Authorization, value: $token}}]}}",  # noqa: E501 -- YAML
            "template.bad": yaml.safe_dump(
                {
                    "webhook": {
                        name: {
                            "method": "POST",
                            "body": '{"object": "x", "turn": 0, "s": "{{ .secrets.path }}"}',
                        }
                        for name in ("hook", "gone", "echo")
                    }
                }
            ),
        }
    )

    async def refuses(_: Any) -> int:
        return 400

    stage.target.answer = refuses
    replica = await stage.replica()
    subscribed = {f"{PREFIX}/subscribe.on-bad.{name}": "" for name in ("hook", "gone", "echo")}
    await stage.turn("o1", "bad", 0, **subscribed)
    async with asyncio.timeout(60):
        while len(await stage.dead()) < 2:
            await asyncio.sleep(0.1)
    await replica.end(signal.SIGTERM)
    shown = "".join(log.read_text() for log in stage.said)
    assert "could not tell by service" in shown
    async with stage.bus() as bus:
        for stream in (DEAD, DECISIONS, "tocsin-actions"):
            shown += "".join([repr(message) async for message in bus.read(stream)])
        store = bus.store(STATE)
        for key in await store.keys(""):
            shown += f"{key} {await store.get(key)}"
    for secret in ("s3cr3t-of", "p4th-of"):
        assert secret not in shown, shown[max(0, shown.index(secret) - 400) :][:800]
