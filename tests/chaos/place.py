"""Where a storm takes place: the servers, the sources, the Sensors' replicas, and the target."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from nats_server import find_binary

from chaos import target
from chaos.network import Network, Node
from chaos.processes import Process

ROOT = Path(__file__).resolve().parent.parent.parent
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
METRICS, HOOKS, SINK = 7777, 12000, 9000
LANES, RESET_LANES = 6, 2
EVERY = 3
"""Seconds between resets of the lanes with resets."""
CLAIM_AFTER = 5


class Place:
    """All processes of a storm, by name."""

    def __init__(
        self, folder: Path, *, servers: int, replicas: int, disk: str, note: Callable[[str], None]
    ) -> None:
        self.folder, self.note = folder, note
        self.network = Network()
        self.servers = [f"nats{n + 1}" for n in range(servers)]
        self.events = [f"sensor-events{n + 1}" for n in range(replicas)]
        self.pairs = [f"sensor-pairs{n + 1}" for n in range(2)]
        self.sources = ["hooks", "queue"]
        self.names = [*self.servers, *self.sources, *self.events, *self.pairs, "redis", "target"]
        self._disk = disk
        for name in self.names:
            self.network.add(name)
        self.all: dict[str, Process] = {}
        self.clocks: dict[str, Path] = {}
        self.asking = Asking(self.node("target"))

    def node(self, name: str) -> Node:
        return self.network.nodes[name]

    def __getitem__(self, name: str) -> Process:
        return self.all[name]

    @property
    def ours(self) -> list[str]:
        """Names of Tocsin's own processes."""
        return [*self.sources, *self.events, *self.pairs]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"nats://{self.node(name).address}:4222" for name in self.servers)

    # ------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start everything, in the order in which a user would."""
        await self.asking.start()
        for name in self.servers:
            self._server(name)
        self._redis()
        bus = self.folder / "bus.json"
        limits = {"replicas": len(self.servers), "maxBytes": "512Mi"}
        bus.write_text(
            json.dumps(
                {"jetstream": {"url": ",".join(self.urls), "streamConfig": yaml.dump(limits)}}
            )
        )
        for name in (*self.servers, "redis"):
            await self.all[name].start()
        for name in self.servers:
            await self.all[name].until_ready(8222, "/healthz")
        self._manifest("hooks", hooks())
        self._manifest("queue", queue(self.node("redis").address))
        url = f"http://{self.node('target').address}:{SINK}"
        self._manifest("sensor-events", events_sensor(url))
        self._manifest("sensor-pairs", pairs_sensor(url))
        for name in self.ours:
            self._tocsin(name)
        for name in (*self.events, *self.pairs, *self.sources):  # durables before any source
            await self.all[name].start()
            if name in {self.events[-1], self.pairs[-1], self.sources[-1]}:
                await self.ready()

    async def ready(self, seconds: float = 180.0) -> None:
        """Wait until all of ours that run are ready."""
        up = [p for name in self.ours if (p := self.all.get(name)) is not None and p.starts]
        await asyncio.gather(*(one.until_ready(METRICS, seconds=seconds) for one in up))

    async def stop(self) -> None:
        """End everything; ours as a pod is ended."""
        for process in self.all.values():
            process.send(18)  # SIGCONT
        ours = [self.all[n] for n in self.ours if n in self.all]
        await asyncio.gather(*(p.terminate() for p in ours))
        await self.kill()

    async def kill(self) -> None:
        """End everything at once."""
        await asyncio.gather(*(p.kill() for p in self.all.values()))
        await self.asking.kill()
        for name in self.servers:
            subprocess.run(["umount", "-l", str(self.store(name))], check=False, stderr=-3)

    # ------------------------------------------------------------------------ parts

    def store(self, name: str) -> Path:
        return self.folder / f"store-{name}"

    def _server(self, name: str) -> None:
        store, node = self.store(name), self.node(name)
        store.mkdir()
        options = f"size={self._disk},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(store)], check=True)
        routes = [f"nats://{self.node(n).address}:6222" for n in self.servers]
        cluster = (
            f'cluster {{ name: storm, listen: "{node.address}:6222", '
            f"routes: {json.dumps(routes)} }}"
            if len(self.servers) > 1
            else ""
        )
        config = self.folder / f"{name}.conf"
        config.write_text(
            f'server_name: {name}\nlisten: "{node.address}:4222"\nhttp: "{node.address}:8222"\n'
            f'jetstream {{ store_dir: "{store}/js", max_file_store: 64GB }}\n'
            f"max_payload: 8MB\n{cluster}\n"
        )
        self._add(name, [find_binary(), "-c", str(config)])

    def wipe(self, name: str) -> None:
        """Throw the store of a server that is down away."""
        shutil.rmtree(self.store(name) / "js", ignore_errors=True)

    def _redis(self) -> None:
        folder = self.folder / "redis"
        folder.mkdir()
        words = ["redis-server", "--port", "6379", "--dir", str(folder), "--save", ""]
        words += ["--bind", self.node("redis").address, "--protected-mode", "no"]
        self._add("redis", [*words, "--appendonly", "yes", "--appendfsync", "everysec"])

    def _manifest(self, name: str, document: dict[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(document))

    def _tocsin(self, name: str) -> None:
        verb = "sensor" if name.startswith("sensor") else "eventsource"
        file = name.rstrip("0123456789")
        words = [sys.executable, "-m", "tocsin", verb, "-f", f"{file}.json"]
        words += ["--bus-config", "bus.json", "--host", self.node(name).address]
        words += ["--metrics-port", str(METRICS), "--log-format", "text", "--log-level", "warn"]
        words += ["--secrets-dir", str(self.folder), "--config-dir", str(self.folder)]
        env = {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        if FAKETIME.exists() and name in {"hooks", self.events[-1], self.pairs[-1]}:
            self.clocks[name] = clock = self.folder / f"{name}.clock"
            clock.write_text("+0\n")
            env |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DISABLE_SHM": "1",
                "NO_FAKE_STAT": "1",
            }
        self._add(name, words, env)

    def _add(self, name: str, words: list[str], env: dict[str, str] | None = None) -> None:
        self.all[name] = Process(name, self.node(name), words, self.folder, self.note, env)


# ---------------------------------------------------------------------------- the target


class Asking:
    """The target, as it is spoken to."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._process: asyncio.subprocess.Process | None = None
        self._ids = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.on_pair: Callable[[str, int, int], None] = lambda _path, _a, _b: None

    async def start(self) -> None:
        words = [sys.executable, target.__file__, self._node.address, str(SINK)]
        self._process = await asyncio.create_subprocess_exec(
            *self._node.prefix, *words, stdin=-1, stdout=-1, limit=2**28
        )
        self._reading = asyncio.create_task(self._read())
        async with asyncio.timeout(90):
            await self._ready.wait()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "pair" in said:
                self.on_pair(*said["pair"])
            elif "answer" in said:
                answer = self._answers.pop(said["answer"], None)
                if answer is not None and not answer.done():
                    answer.set_result(said["value"])
            else:
                self._ready.set()

    async def ask(self, what: str, **more: Any) -> Any:
        """Ask, and return the answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._ids)
        self._answers[number] = answer = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "ask": what, **more}) + "\n"
        self._process.stdin.write(line.encode())
        async with asyncio.timeout(60):
            return await answer

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)


# ---------------------------------------------------------------------------- the manifests


def hooks() -> dict[str, Any]:
    """The webhooks: one for the mass, one for each lane, two for the pairs that run free."""
    names = ["each", *lanes(), "c", "d"]
    webhook = {
        name: {"port": str(HOOKS), "endpoint": f"/{name}", "method": "POST"} for name in names
    }
    return _object("EventSource", "hooks", {"webhook": webhook})


def queue(address: str) -> dict[str, Any]:
    """The queue source."""
    stream = {
        "hostAddress": f"{address}:6379",
        "db": 0,
        "streams": ["work"],
        "maxMsgCountPerRead": 200,
        "claimAfter": CLAIM_AFTER,
    }
    return _object("EventSource", "queue", {"redisStream": {"work": stream}})


def lanes() -> list[str]:
    return [f"l{n}" for n in range(LANES)] + [f"r{n}" for n in range(RESET_LANES)]


def events_sensor(url: str) -> dict[str, Any]:
    """Does something once for each event, and something that is retried for some."""
    some = {"data": [{"path": "body.k", "type": "string", "value": ["^r$"]}]}
    dependencies = [
        _dependency("e", "hooks", "each"),
        _dependency("r", "hooks", "each", filters=some),
        _dependency("q", "queue", "work"),
    ]
    retry = {"steps": 4, "duration": "200ms", "factor": 2, "jitter": 0.1}
    triggers = [
        _trigger("each", "e", f"{url}/each", {"n": ("e", "body.n")}),
        _trigger("queue", "q", f"{url}/queue", {"n": ("q", "values.n")}),
        _trigger("retry", "r", f"{url}/retry", {"n": ("r", "body.n")}) | {"retryStrategy": retry},
    ]
    return _object("Sensor", "events", {"dependencies": dependencies, "triggers": triggers})


def pairs_sensor(url: str) -> dict[str, Any]:
    """Waits for two: in lanes, in lanes with resets, and free."""
    dependencies, triggers = [], []
    for lane in lanes():
        for side in "ab":
            which = {"data": [{"path": "body.s", "type": "string", "value": [f"^{side}$"]}]}
            dependencies.append(_dependency(f"{lane}{side}", "hooks", lane, filters=which))
        body = {side: (f"{lane}{side}", "body.n") for side in "ab"}
        made = _trigger(lane, f"{lane}a && {lane}b", f"{url}/pair/{lane}", body)
        if lane.startswith("r"):
            made["template"]["conditionsReset"] = [{"byTime": {"cron": f"@every {EVERY}s"}}]
        triggers.append(made)
    dependencies += [_dependency("c", "hooks", "c"), _dependency("d", "hooks", "d")]
    free = {"a": ("c", "body.n"), "b": ("d", "body.n")}
    triggers.append(_trigger("free", "c && d", f"{url}/pair/free", free))
    return _object("Sensor", "pairs", {"dependencies": dependencies, "triggers": triggers})


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns"}
    return {
        "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec,
    }  # fmt: skip


def _dependency(name: str, source: str, event: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "eventSourceName": source, "eventName": event, **more}


def _trigger(
    name: str, conditions: str, url: str, body: dict[str, tuple[str, str]]
) -> dict[str, Any]:
    payload = [
        {"src": {"dependencyName": dependency, "dataKey": key}, "dest": dest}
        for dest, (dependency, key) in body.items()
    ]
    http = {"url": url, "method": "POST", "payload": payload, "timeout": 10}
    return {"template": {"name": name, "conditions": conditions, "http": http}}


def fill(folder: Path) -> None:
    """Take all that is left on the disk of a folder."""
    with suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        free = os.statvfs(folder)
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
    with suppress(OSError), (folder / "ballast2").open("wb", buffering=0) as file:
        while True:  # what rounding left
            file.write(b"0" * 4096)


def unfill(folder: Path) -> None:
    """Give the disk back."""
    for name in ("ballast", "ballast2"):
        (folder / name).unlink(missing_ok=True)
