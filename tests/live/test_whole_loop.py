"""From `kubectl apply` to an action and back to nothing, with a controller that runs in a pod.

The API server, its controllers and kubectl are real, and so are all processes; what a node does is
done by the test kubelet. Nothing is applied but what `tocsin install` prints and the examples.
"""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
import yaml
from bucket_kit import names_of, publish, wire
from pubsub_emulator import any_server, emulator
from tocsin_run import tocsin

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "examples" / "quickstart"
FILES = [QUICKSTART / "orders.yaml", QUICKSTART / "inbox.yaml"]
BUCKET = ROOT / "examples" / "bucket-workflow"
WORKFLOWS = ROOT / "tests" / "cluster" / "crds" / "argo-workflows.yaml"
SHOP, BUCKETS, OWN = "loop-shop", "loop-buckets", "loop-system"
KINDS = "eventbus,eventsources,sensors"
ALL = f"all,secrets,configmaps,pvc,pdb,serviceaccounts,roles,rolebindings,{KINDS}"

PATIENCE = 120.0

pytestmark = pytest.mark.timeout(600)


class Shell:
    """Somebody at a shell, with kubectl and one namespace."""

    def __init__(self, nodes, namespace):
        self.nodes, self.namespace = nodes, namespace

    async def kubectl(self, *words, given="", right=True):
        """Run kubectl and return what it printed; of a failure that is wanted, its errors."""
        words = ("--namespace", self.namespace, *words)
        done = await asyncio.to_thread(self.nodes.cluster.kubectl, *words, given=given)
        assert (done.returncode == 0) == right, f"{words}: {done.stderr}{done.stdout}\n{self.nodes}"
        return done.stdout if right else done.stderr

    async def apply(self, *made):
        """Apply objects, or change those that there are."""
        await self.kubectl("apply", "-f", "-", given=yaml.safe_dump_all(made))

    async def ready(self, *names):
        """Wait until objects are ready, as they were last edited."""
        for name in names:
            found = json.loads(await self.kubectl("get", name, "-o", "json"))
            seen = f"jsonpath={{.status.observedGeneration}}={found['metadata']['generation']}"
            await self.kubectl("wait", f"--for={seen}", name, "--timeout=180s")
        await self.kubectl("wait", "--for=condition=Ready", *names, "--timeout=180s")

    async def names(self, kinds):
        """Return what there is, as `kind/name`."""
        return sorted((await self.kubectl("get", kinds, "-o", "name")).split())

    def said(self, selector):
        """Return what the pods of an object said that there are now."""
        return "".join(map(self.nodes.logs, self.nodes.pods(self.namespace, selector)))

    async def until_said(self, words, selector):
        """Wait until a pod has said something."""
        await self.nodes.until(lambda: words in self.said(selector), PATIENCE, f"{words!r}")


@pytest.fixture(scope="module")
def installed(cluster, nodes):
    """A controller in a pod, for two namespaces, with the rights of the chart."""
    for name in (SHOP, BUCKETS):
        nodes.namespace(name)
    options = (
        *("--namespace", OWN, "--name", "loop", "--no-webhook"),
        *("--set", f"namespaces={{{SHOP},{BUCKETS}}}", "--set", "controller.replicas=1"),
        *("--image", "tocsin:test"),
    )
    code, printed, problem = asyncio.run(tocsin("install", *options, cwd=ROOT))
    assert code == 0, problem
    done = cluster.kubectl("apply", "-f", "-", given=printed)
    assert done.returncode == 0, done.stderr
    yield nodes
    _, printed, _ = asyncio.run(tocsin("install", *options, "--no-crds", cwd=ROOT))
    cluster.kubectl("delete", "--wait=false", "-f", "-", given=printed)


def objects(*files):
    """Return the objects of manifests by kind and name."""
    found = [one for file in files for one in yaml.safe_load_all(file.read_text())]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


async def post(nodes, namespace, order, total):
    """Send an order to the quickstart, as soon as it listens."""
    url = nodes.reach(f"orders-eventsource-svc.{namespace}", 12000) + "/orders"
    body = {"id": order, "total": total, "customer": {"name": "Ada"}}

    async def sent():
        try:
            async with httpx.AsyncClient() as client:
                return (await client.post(url, json=body)).status_code == 200
        except httpx.HTTPError:
            return False

    await nodes.until(sent, what=f"an answer of {url}")


def placed(order):
    """Return what the quickstart's inbox logs of an order, in a log that is JSON."""
    return f'\\"order\\":{order},'


async def test_the_quickstart_from_apply_to_nothing_left(installed):
    nodes, shell = installed, Shell(installed, SHOP)
    before = await shell.names(ALL)
    words = [word for file in FILES for word in ("-f", str(file))]
    inbox, sensor = "owner-name=inbox,sensor-name=inbox", "sensor-name=large-orders"
    edited = objects(*FILES)["Sensor", "large-orders"]

    await shell.kubectl("apply", *words)
    names = await shell.names(KINDS)
    await shell.ready(*names)
    assert len(names) == 5
    assert "deployment.apps/orders-eventsource" in await shell.names("deployments")
    (pod,) = nodes.ready(SHOP, sensor)
    mounted = json.loads(nodes.exec(pod, "cat", "/etc/tocsin/object.json").stdout)
    assert mounted["spec"]["triggers"] == edited["spec"]["triggers"]
    who = nodes.exec(pod, "sh", "-c", "echo $(id -u) $POD_NAME").stdout.split()
    assert who == ["65532", pod["metadata"]["name"]]

    await post(nodes, SHOP, 1, 250)
    await shell.until_said(placed(1), inbox)

    # an edit rolls out, and the next event is judged by it
    edited["spec"]["dependencies"][0]["filters"]["data"][0]["value"] = ["300"]
    await shell.apply(edited)
    await shell.ready("sensor/large-orders")
    await nodes.until(lambda: len(nodes.pods(SHOP, sensor)) == 1)
    (new,) = await nodes.until(lambda: nodes.ready(SHOP, sensor))
    assert new["metadata"]["name"] != pod["metadata"]["name"]
    await post(nodes, SHOP, 2, 250)
    await post(nodes, SHOP, 3, 350)
    await shell.until_said(placed(3), inbox)
    assert placed(2) not in shell.said(inbox)

    # a wrong one is refused, and all stays as it was
    edited["spec"]["dependencies"][0]["filters"]["data"][0]["comparator"] = "=>"
    told = await shell.kubectl(
        "apply", "-f", "-", given=yaml.safe_dump(edited), right=False
    )  # fmt: skip
    where = "spec.dependencies[0].filters.data[0].comparator"
    assert 'Sensor "large-orders" is invalid' in told
    assert f'{where}: Unsupported value: "=>": supported values: "", "=", "!="' in told

    # suspended, nothing runs and nothing is lost
    await shell.kubectl(
        "patch", "sensor/large-orders", "--type=merge", "--patch", '{"spec":{"suspend":true}}'
    )
    await nodes.until(lambda: not nodes.pods(SHOP, sensor), what="no pod")

    async def suspended():
        return "Suspended" in await shell.kubectl("get", "sensor/large-orders", "-o", "yaml")

    await nodes.until(suspended)
    await post(nodes, SHOP, 4, 400)
    assert placed(4) not in shell.said(inbox)
    await shell.kubectl(
        "patch", "sensor/large-orders", "--type=merge", "--patch", '{"spec":{"suspend":false}}'
    )
    await shell.until_said(placed(4), inbox)

    # and what was applied leaves nothing
    await shell.kubectl("delete", "--timeout=180s", *words)

    async def nothing():
        return set(await shell.names(ALL)) <= {*before, "configmap/kube-root-ca.crt"}

    await nodes.until(nothing, PATIENCE, f"nothing but {before}")


async def test_a_workflow_for_a_file_in_a_bucket_by_plain_kubectl(installed, tmp_path):
    """Story 2. Beside the manifests of old: the address of the Pub/Sub server of the tests."""
    nodes, shell = installed, Shell(installed, BUCKETS)
    nodes.cluster.apply(WORKFLOWS)
    manifests = objects(*BUCKET.glob("*.yaml"))
    source = manifests["EventSource", "uploads"]
    event = source["spec"]["pubSub"]["finalized"]
    topic = f"projects/{event['projectID']}/topics/{event['topic']}"
    words = ("rbac", str(BUCKET), "--namespace", BUCKETS, "--kubeconfig", nodes.cluster.kubeconfig)
    code, rights, problem = await tocsin(*words, cwd=tmp_path)
    assert code == 0, problem

    async with (
        emulator(tmp_path, any_server()) as pubsub,
        wire(pubsub.host, nodes.host) as line,
    ):
        env = [{"name": "PUBSUB_EMULATOR_HOST", "value": line.host}]
        source["spec"]["template"]["container"]["env"] = env
        await shell.kubectl("apply", "-f", "-", given=rights)
        await shell.kubectl(
            "create", "secret", "generic", "pubsub-reader", "--from-literal=key.json={}"
        )
        await shell.apply(*manifests.values())
        await shell.ready(*await shell.names(KINDS))
        await publish(pubsub, topic, ["2026/11/sales.json", "2026/11/", "notes.txt"])

        async def made():
            return json.loads(await shell.kubectl("get", "workflows", "-o", "json"))["items"]

        await nodes.until(made, PATIENCE, "a Workflow")
        assert names_of(await made()) == {"2026/11/sales.json": 1}
        await shell.kubectl("delete", "--timeout=180s", KINDS, "--all")
