"""What a process does without is not imported: not at its start, and not by its first event.

Each case runs the code of `tocsin eventsource` or `tocsin sensor` in an interpreter of its own,
on the bus in memory, until the first event is through, and looks at what is loaded then.
"""

import json
import pkgutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from ports import free_port
from tocsin_run import environment

from eventsource import sources
from tocsin import cli, spare

CLIENTS = {
    *("aiobotocore", "aiomqtt", "aiosmtplib", "asyncssh", "botocore", "cryptography", "dulwich"),
    *("google", "grpc", "jinja2", "jq", "jsonpath_ng", "kubernetes", "lupa", "paho", "paramiko"),
    *("redis", "ruamel", "watchfiles"),
}
"""Libraries of others for what few manifests have in them."""
LANGUAGES = {"spine.lang.jq", "spine.lang.lua", "spine.lang.jsonpath", "spine.lang.gotemplate"}
CLUSTER = {"spine.kube", "sensor.kubernetes", "eventsource.objects.watching"}
UNUSED = {"encodings.idna", "html.entities", "logging.config", "uvicorn.supervisors"}
"""What libraries import for what they are not used for here."""
NOWHERE = CLIENTS | LANGUAGES | CLUSTER | UNUSED | {"controller.workload", "controller.admission"}
PROGRAM = """
import asyncio, json, os, sys
from contextlib import asynccontextmanager

import click
from tocsin import cli

verb, handed = sys.argv[1], json.load(sys.stdin)
cli.cli.get_command(click.Context(cli.cli), verb)  # imports what the command imports
process, pod = sys.modules["tocsin.process"], sys.modules["tocsin." + verb].Pod()
import eventbus.jetstream  # what `open_bus` would import
from eventbus.memory import MemoryBus

bus = MemoryBus()


@asynccontextmanager
async def in_memory(*_, **__):
    yield bus


async def first_event():
    if verb == "sensor":
        from spine.event import Event
        await bus.publish(Event(id="1", source="s", type="webhook", subject="e", data=b'{"a": 1}'))
        done = lambda: 'argo_events_action_triggered_total{' in shown()
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", handed["port"])
        writer.write(b"POST /e HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        assert b"200" in await reader.readline()
        done = lambda: True
    while not done():
        await asyncio.sleep(0.01)
    print(json.dumps(sorted(sys.modules)))
    sys.stdout.flush()
    os._exit(0)


def shown():
    from prometheus_client import generate_latest
    return generate_latest(made.registry).decode()


class Watched:
    def metrics(self, checked):
        global made
        made = pod.metrics(checked)
        return made

    def runner(self, *args):
        return pod.runner(*args)


class Parent:
    def watch(self, gone):
        pass

    def tell(self, **report):
        if report.get("ready"):
            self.task = asyncio.create_task(first_event())


process.open_bus = in_memory
job = process.Job(bus={"jetstream": {"url": "h"}}, host="127.0.0.1", metrics_port=0,
                  supervised=True, **handed["job"])
process.serve(job, Watched(), Parent())
"""


@dataclass(frozen=True)
class Case:
    name: str
    verb: str
    spec: dict[str, Any]
    loaded: set[str] = field(default_factory=set)
    """What of NOWHERE has to be there, and would be missed if the test saw nothing."""
    without: set[str] = field(default_factory=set)
    """What must not be there besides."""

    def __str__(self) -> str:
        return self.name


def sensor(template: dict[str, Any], **dependency: Any) -> dict[str, Any]:
    dependencies = [{"name": "d", "eventSourceName": "s", "eventName": "e", **dependency}]
    return {"dependencies": dependencies, "triggers": [{"template": {"name": "t", **template}}]}


def sources_but(*used: str) -> set[str]:
    every = {module.name for module in pkgutil.iter_modules(sources.__path__)}
    assert every > set(used)
    return {f"eventsource.sources.{name}" for name in every - set(used)}


EQUAL = {"data": [{"path": "a", "type": "number", "value": ["1"]}]}
CASES = [
    Case("webhook", "eventsource", {"webhook": {"e": {"endpoint": "/e", "method": "POST"}}},
         without={"aiohttp", "sensor", "yaml", *sources_but("webhook")}),
    Case("log", "sensor", sensor({"log": {}}, filters=EQUAL),
         without={"aiohttp", "eventsource", "uvicorn"}),
    Case("http", "sensor", sensor({"http": {"url": "http://127.0.0.1:9/", "method": "POST"}}),
         without={"aiohttp", "eventsource", "uvicorn"}),
    Case("jq", "sensor", sensor({"log": {}}, transform={"jq": "."}), loaded={"spine.lang.jq"},
         without={"aiohttp", "eventsource", "uvicorn"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_a_process_needs_not_is_not_imported(case: Case):
    port, spec = free_port(), case.spec
    if case.verb == "eventsource":
        spec = {"webhook": {"e": {**spec["webhook"]["e"], "port": str(port)}}}
    kind = {"eventsource": "EventSource", "sensor": "Sensor"}[case.verb]
    manifest = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "s"},
        "spec": spec,
    }
    handed = {"port": port, "job": {"kind": kind, "object": manifest}}

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, case.verb],
        input=json.dumps(handed), capture_output=True, text=True, check=False, timeout=120,
        env=environment(),
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert case.loaded <= modules
    assert loaded(NOWHERE - case.loaded | case.without, modules) == []


def loaded(unwanted: set[str], modules: set[str]) -> list[str]:
    """Return the modules that are, or are inside of, what is not wanted."""
    return sorted(m for m in modules if any(m == u or m.startswith(f"{u}.") for u in unwanted))


def test_a_process_that_waits_for_work_has_imported_nothing_that_few_need():
    program = "import sys, tocsin.local, tocsin.spare as s; s.fork(0); print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, timeout=120, env=environment(),
    )  # fmt: skip

    modules = set(done.stdout.split())
    assert set(spare.SHARED) <= modules
    narrowed = {"aiohttp", "eventsource.spec", "notifier", *sources_but()}
    assert loaded(NOWHERE | narrowed, modules) == []


KUBECONFIG = {
    "current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
    "clusters": [{"name": "k", "cluster": {"server": "http://127.0.0.1:9"}}],
    "users": [{"name": "u", "user": {"token": "t"}}],
}
BLOCKING = {
    "cryptography",
    "google",
    "kubernetes.client",
    "kubernetes.config",
    "oauthlib",
    "requests",
}
"""The client of Kubernetes that blocks, and what it imports."""


def test_who_uses_a_cluster_imports_one_client_of_it(tmp_path):
    file = tmp_path / "config"
    file.write_text(json.dumps(KUBECONFIG))
    program = (
        "import asyncio, sys; from spine.kube.credentials import credentials\n"
        "for _ in range(2): found = asyncio.run(credentials(sys.argv[1]))\n"
        "assert found[0].host == 'http://127.0.0.1:9'\n"
        "print(*sys.modules)\n"
        "import kubernetes; assert kubernetes.client.ApiClient\n"
        "import kubernetes.aio; assert kubernetes.aio.dynamic and kubernetes.aio.client"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        capture_output=True, text=True, check=True, timeout=120, env=environment(),
    )  # fmt: skip

    modules = set(done.stdout.split())
    assert "kubernetes.aio.config" in modules
    assert loaded(BLOCKING | {"kubernetes.aio.dynamic"}, modules) == []


def test_help_imports_no_client_of_others():
    unwanted = CLIENTS | {"aiohttp", "uvicorn"}
    program = (
        "import sys; from tocsin.cli import main\n"
        "for verb in sys.argv[1:]:\n"
        "    try: main([verb, '--help'])\n"
        "    except SystemExit: pass\n"
        "    print('after', verb, *sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, *cli.VERBS],
        capture_output=True, text=True, check=True, timeout=120, env=environment(),
    )  # fmt: skip

    seen = [line.split() for line in done.stdout.splitlines() if line.startswith("after ")]
    assert [verb for _, verb, *_ in seen] == list(cli.VERBS)
    for _, verb, *modules in seen:
        assert (verb, loaded(unwanted, set(modules))) == (verb, [])
