"""`make demo-bucket`: manifests of years ago make a Workflow of a file in a bucket.

Everything is started on loopback and gone in the end: a Pub/Sub server, a Kubernetes API server
with the kind Workflow, and `tocsin run` with exactly the rights that `tocsin rbac` prints. Where
no API server can be had, `tocsin run --dry-run` tells what would be made. Another folder of
manifests can be given, such as one's own.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from bucket_kit import publish, workflows
from kube_cluster import Cluster, assets
from pubsub_emulator import any_server, emulator, find_stand_in
from tocsin_run import started, tocsin

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "examples" / "bucket-workflow"
CRDS = ROOT / "tests" / "cluster" / "crds" / "argo-workflows.yaml"
OBJECTS = ("2026/11/sales.json", "2026/11/", "notes.txt")
PATIENCE = 60.0


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster | None]:
    """Yield an API server that knows Workflows; None where there is none."""
    if assets() is None:
        yield None
        return
    one = Cluster(folder)
    try:
        one.start()
        one.apply(CRDS)
        yield one
    finally:
        one.stop()


async def rights(api: Cluster, manifests: Path, folder: Path, sensor: dict[str, Any]) -> list[str]:
    """Give the Sensor's account its rights; return the option that makes us that account."""
    words = ("rbac", str(manifests), "--kubeconfig", api.kubeconfig)
    code, printed, problem = await tocsin(*words, cwd=folder)
    if code:
        raise SystemExit(problem)
    rules = folder / "rbac.yaml"
    rules.write_text("\n---\n".join(yaml.safe_dump(d) for d in yaml.safe_load_all(printed) if d))
    api.apply(rules)
    account = sensor["spec"]["template"]["serviceAccountName"]
    return ["--kubeconfig", api.token_for(account, "default")]


async def main(manifests: Path, folder: Path) -> None:
    server = any_server()
    if server == "stand-in" and find_stand_in() is None:
        raise SystemExit("needs a Pub/Sub server: install Google's emulator, or Go to build one")
    texts = [file.read_text() for file in sorted(manifests.glob("*.yaml"))]
    objects = {one["kind"]: one for text in texts for one in yaml.safe_load_all(text)}
    (event,) = objects["EventSource"]["spec"]["pubSub"].values()
    topic = f"projects/{event['projectID']}/topics/{event['topic']}"
    sensor = objects["Sensor"]

    say(f"Pub/Sub ({server}) and, if there is none yet, building an API server: the first time"
        " takes minutes")  # fmt: skip
    with cluster(folder / "cluster") as api:
        options = ["--dry-run"]
        if api is not None:
            options = await rights(api, manifests, folder, sensor)
        async with emulator(folder, server) as pubsub:
            say(f"tocsin run {manifests.name}{' --dry-run' if api is None else ''}")
            words = ("run", str(manifests), *options)
            async with started(folder, *words, PUBSUB_EMULATOR_HOST=pubsub.host) as run:
                try:
                    await run.until("Ctrl-C stops", PATIENCE)
                    print(run.text)
                    await play(pubsub, topic, api, run, sensor["metadata"]["name"])
                finally:
                    await run.stop()
    say("stopped and cleaned up")


async def play(pubsub: Any, topic: str, api: Cluster | None, run: Any, sensor: str) -> None:
    say(f"the bucket tells of {', '.join(OBJECTS)}")
    seen = len(run.lines)
    await publish(pubsub, topic, OBJECTS)
    if api is None:
        await run.until(lambda: len(run.lines) > seen, PATIENCE)
        say("no API server: this would be made")
        print("\n".join(run.lines[seen:]))
    else:
        await run.until(lambda: workflows(api), PATIENCE)
        say("kubectl get workflows")
        for made in workflows(api):
            (given,) = made["spec"]["arguments"]["parameters"]
            print(f"{made['metadata']['name']}  {given['name']}={given['value']}")
    said = ""
    for _ in range(20):
        _, said, problem = await tocsin("why", sensor, cwd=run.folder)
        if said.count("did not fire") == len(OBJECTS) - 1:
            break
        await asyncio.sleep(0.5)
    say(f"tocsin why {sensor}")
    print(said or problem, end="")


if __name__ == "__main__":
    given = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else MANIFESTS
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as place:
        asyncio.run(main(given, Path(place)))
