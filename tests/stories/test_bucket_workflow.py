"""Story 2: a Workflow for every JSON file in a bucket, from manifests of years ago, unchanged.

On the real Pub/Sub server of this machine, a real bus and a real API server, with exactly the
rights that `tocsin rbac` prints. TOCSIN_STORY_MESSAGES=10000 makes the long one as long as that.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from bucket_kit import Wire, apply_published, forget_workflows, names_of, publish, wire, workflows
from kube_cluster import Cluster
from pubsub_emulator import SERVERS, Emulator, emulator
from tocsin_run import Run, started, tocsin

ROOT = Path(__file__).parents[2]
OWN = ROOT / "examples" / "bucket-workflow"
SHARED = ROOT.parent / "shared"
PUBLISHED = SHARED / "stories" / "bucket-workflow"
CRDS = ROOT / "tests" / "cluster" / "crds"
MANY = int(os.environ.get("TOCSIN_STORY_MESSAGES", "1000"))

pytestmark = pytest.mark.timeout(240 + MANY // 10)


@dataclass
class Story:
    """Everything that runs."""

    cluster: Any
    server: Emulator
    wire: Wire
    run: Run
    folder: Path
    objects: dict[str, Any]
    """The manifests by kind."""

    @property
    def sensor(self) -> str:
        return str(self.objects["Sensor"]["metadata"]["name"])

    @property
    def dependency(self) -> str:
        return str(self.objects["Sensor"]["spec"]["dependencies"][0]["name"])

    @property
    def trigger(self) -> str:
        return str(self.objects["Sensor"]["spec"]["triggers"][0]["template"]["name"])

    @property
    def topic(self) -> str:
        (event,) = self.objects["EventSource"]["spec"]["pubSub"].values()
        return f"projects/{event['projectID']}/topics/{event['topic']}"

    def made(self) -> Counter[str]:
        """Return how many Workflows there are for each object."""
        return names_of(workflows(self.cluster))

    async def some(self, wanted: float, seconds: float = 90.0) -> None:
        """Wait until so many Workflows are there."""
        found = 0
        try:
            async with asyncio.timeout(seconds):
                while (found := (await asyncio.to_thread(self.made)).total()) < wanted:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            text = self.run.text[-3000:]
            raise AssertionError(f"{found} of {wanted} Workflows:\n{text}") from None

    async def until(self, wanted: int, seconds: float = 90.0) -> Counter[str]:
        """Wait until so many Workflows are there, and a while longer; return those that are."""
        await self.some(wanted, seconds)
        await asyncio.sleep(2)  # what is one too many may come, too
        return self.made()

    async def why(self) -> dict[str, str]:
        """Return what is said of each message, by its id."""
        words = ("why", self.sensor, "-o", "json", "-n", "0")
        code, out, problem = await tocsin(*words, cwd=self.folder)
        assert code == 0, problem
        return {one["id"]: one["text"] for one in map(json.loads, out.splitlines())}


@asynccontextmanager
async def told(
    cluster: Any, manifests: Path, folder: Path, server: str = "", **env: str
) -> AsyncIterator[Story]:
    """Yield the story once everything is ready."""
    texts = [file.read_text() for file in manifests.glob("*.yaml")]
    objects = {one["kind"]: one for text in texts for one in yaml.safe_load_all(text)}
    account = objects["Sensor"]["spec"]["template"]["serviceAccountName"]
    config = await with_rights(cluster, manifests, folder, account)
    forget_workflows(cluster)
    async with emulator(folder, server) as pubsub, wire(pubsub.host) as line:
        words = ("run", str(manifests), "--kubeconfig", config)
        async with started(folder, *words, PUBSUB_EMULATOR_HOST=line.host, **env) as run:
            await run.until("Ctrl-C stops", 60)
            yield Story(cluster, pubsub, line, run, folder, objects)
            assert await run.stop() in {0, 130}


async def with_rights(cluster: Any, manifests: Path, folder: Path, account: str) -> str:
    """Give an account what `tocsin rbac` prints; return its kubeconfig."""
    words = ("rbac", str(manifests), "--kubeconfig", cluster.kubeconfig)
    code, printed, problems = await tocsin(*words, cwd=folder)
    assert code == 0, problems
    rules = folder / "rbac.yaml"
    rules.write_text("\n---\n".join(yaml.safe_dump(d) for d in yaml.safe_load_all(printed) if d))
    cluster.apply(rules)
    return str(cluster.token_for(account, "default"))


@pytest.fixture
def ready(cluster):
    """The cluster with the kinds of Argo Workflows."""
    cluster.apply(CRDS / "argo-workflows.yaml")
    return cluster


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A cluster of its own that has Argo Workflows' published kind, which refuses what is none."""
    file = SHARED / "cluster" / "crds" / "argoproj.io_workflows.yaml"
    if not file.is_file():
        pytest.skip("the published CRDs are not beside the project")
    one = Cluster(tmp_path_factory.mktemp("strict"))
    try:
        one.start()
        apply_published(one, file)
        yield one
    finally:
        one.stop()


OBJECTS = ("2026/11/sales.json", "2026/11/", "notes.txt")


async def tell(story: Story) -> None:
    """A JSON file, a folder and a text file: one Workflow, and two answers to why there is none."""
    await publish(story.server, story.topic, OBJECTS)

    assert await story.until(1) == {"2026/11/sales.json": 1}
    said = await until_said(story, 3)
    for name in OBJECTS[1:]:
        found = f'attributes.objectId is "{name}", not = ^.*.json$ (string)'
        assert f"did not fire: dependency {story.dependency}: {found}" in said.values(), said
    (fired,) = [text for text in said.values() if not text.startswith("did not fire")]
    assert fired.startswith(f"fired: trigger {story.trigger} is to create Workflow "), fired
    assert story.run.text.count("NATS Streaming ended") == 1
    for shape in ("filters.name", "k8s.group", "k8s.version", "k8s.resource", "credentialsFile"):
        assert story.run.text.count(f"{shape}: warning: old shape") == 1, shape


async def until_said(story: Story, wanted: int) -> dict[str, str]:
    async with asyncio.timeout(90):
        while len(said := await story.why()) < wanted:
            await asyncio.sleep(0.3)
    return said


@pytest.mark.parametrize("server", SERVERS)
async def test_the_story_from_our_own_manifests(ready, tmp_path, server):
    async with told(ready, OWN, tmp_path, server) as story:
        await tell(story)


async def test_the_story_from_the_manifests_that_its_user_published(ready, tmp_path):
    if not PUBLISHED.is_dir():
        pytest.skip("the stories are not beside the project")
    async with told(ready, PUBLISHED, tmp_path) as story:
        await tell(story)


@pytest.mark.parametrize("manifests", [OWN, PUBLISHED], ids=["own", "published"])
async def test_the_story_where_workflows_are_what_argo_takes(strict, tmp_path, manifests):
    if not manifests.is_dir():
        pytest.skip("the stories are not beside the project")
    async with told(strict, manifests, tmp_path) as story:
        await tell(story)


async def test_the_converted_manifests_tell_the_same_story(ready, tmp_path):
    folder = tmp_path / "manifests"
    folder.mkdir()
    for file in OWN.glob("*.yaml"):
        (folder / file.name).write_bytes(file.read_bytes())
    code, printed, problem = await tocsin("convert", str(folder), cwd=tmp_path)
    assert (code, problem) == (0, "")
    assert printed.endswith("8 changes in 3 files\n")
    code, printed, _ = await tocsin("lint", str(folder), cwd=tmp_path)
    assert "old shape" not in printed
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pubsub-reader"},
              "stringData": {"key.json": "{}"}}  # fmt: skip
    (folder / "secret.yaml").write_text(yaml.safe_dump(secret))
    async with told(ready, folder, tmp_path) as story:
        await publish(story.server, story.topic, OBJECTS)
        assert await story.until(1) == {"2026/11/sales.json": 1}


# ---------------------------------------------------------------------------- each exactly once


def mixed(number: int) -> tuple[list[str], Counter[str]]:
    """Return names of objects, one in ten of them of no JSON file, and what is to be made."""
    names = [f"in/{n}/" if n % 10 == 9 else f"in/{n}.json" for n in range(number)]
    return names, Counter(name for name in names if name.endswith(".json"))


@pytest.mark.parametrize(("server", "cuts"), [("stand-in", 4), ("emulator", 1)])
async def test_a_stream_that_is_cut_in_the_middle(ready, tmp_path, server, cuts):
    """What was in hand comes again when its lease is over.

    Google's emulator then gives a share of it to the streams that were cut once more, and so on:
    with every cut its end takes longer.
    """
    names, wanted = mixed(100 * cuts)
    async with told(ready, OWN, tmp_path, server) as story:
        for start in range(0, len(names), 100):
            await publish(story.server, story.topic, names[start : start + 100])
            await story.run.until(lambda: story.wire.open)
            story.wire.cut()
        assert await story.until(wanted.total(), 210) == wanted
        assert story.wire.cuts >= cuts


async def test_a_sensor_that_is_killed_in_the_middle(ready, tmp_path):
    names, wanted = mixed(400)
    async with told(ready, OWN, tmp_path) as story:
        await publish(story.server, story.topic, names)
        for share in (0.1, 0.4, 0.7):
            await story.some(share * wanted.total())
            victim = story.run.pid_of("Sensor", story.sensor)
            os.kill(victim, signal.SIGKILL)
            await story.run.until(lambda v=victim: story.run.pid_of("Sensor", story.sensor) != v)
        assert await story.until(wanted.total(), 180) == wanted


async def test_an_event_source_that_is_killed_in_the_middle(ready, tmp_path):
    """It has messages in hand then, and more come while it is gone."""
    names, wanted = mixed(400)
    async with told(ready, OWN, tmp_path, "stand-in") as story:
        await publish(story.server, story.topic, names[:300])
        source = next(p for p in story.run.state()["processes"] if p["kind"] == "EventSource")
        os.kill(source["pid"], signal.SIGKILL)
        await publish(story.server, story.topic, names[300:])
        assert await story.until(wanted.total(), 180) == wanted


async def test_many_messages(ready, tmp_path):
    names, wanted = mixed(MANY)
    async with told(ready, OWN, tmp_path) as story:
        await publish(story.server, story.topic, names)
        assert await story.until(wanted.total(), 60 + MANY / 20) == wanted
