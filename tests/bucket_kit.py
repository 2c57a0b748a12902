"""What story 2 is told with: messages of Cloud Storage, a wire that can be cut, Workflows.

`from bucket_kit import Wire, finalized, publish, workflows`.
"""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from listening import stop_listening

PATH = "/apis/argoproj.io/v1alpha1/namespaces/default/workflows"
_generations = itertools.count(1_700_000_000_000_000)


def finalized(name: str, bucket: str = "reports") -> tuple[bytes, dict[str, str]]:
    """Return data and attributes of the message that tells of a new object.

    https://cloud.google.com/storage/docs/pubsub-notifications
    """
    generation = str(next(_generations))
    time = "2026-11-21T08:50:00.125Z"
    content = {"json": "application/json", "txt": "text/plain"}.get(name.rpartition(".")[2], "")
    resource = {
        "kind": "storage#object",
        "id": f"{bucket}/{name}/{generation}",
        "name": name,
        "bucket": bucket,
        "generation": generation,
        "metageneration": "1",
        "contentType": content or "application/x-www-form-urlencoded;charset=UTF-8",
        "timeCreated": time,
        "updated": time,
        "size": "0" if name.endswith("/") else "5120",
    }
    attributes = {
        "notificationConfig": f"projects/_/buckets/{bucket}/notificationConfigs/1",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": bucket,
        "objectId": name,
        "objectGeneration": generation,
        "eventTime": time,
    }
    return json.dumps(resource, indent=2).encode(), attributes


async def publish(server: Any, topic: str, names: Iterable[str]) -> list[str]:
    """Publish a message for each object to a server of `pubsub_emulator`; return their ids."""
    from google.pubsub_v1.types import pubsub

    found = (finalized(name) for name in names)
    messages = [pubsub.PubsubMessage(data=data, attributes=more) for data, more in found]
    ids: list[str] = []
    for start in range(0, len(messages), 500):
        asked = pubsub.PublishRequest(topic=topic, messages=messages[start : start + 500])
        ids += (await server.call("Publisher/Publish", asked)).message_ids
    return ids


# ---------------------------------------------------------------------------- the wire


class Wire:
    """A way to a server that can be cut while it is used."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._writers: set[asyncio.StreamWriter] = set()
        self.host = ""
        self.cuts = 0
        """Connections that were cut."""

    @property
    def open(self) -> bool:
        """Whether anybody is connected."""
        return bool(self._writers)

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until one side ends it."""
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(reader, far_writer))
                tasks.create_task(self._copy(far_reader, writer))
        finally:
            for one in (writer, far_writer):
                one.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        self._writers.discard(writer)

    def cut(self) -> None:
        """Cut every connection at once, without a word."""
        self.cuts += (len(self._writers) + 1) // 2  # one may have lost its other end
        for writer in list(self._writers):
            writer.transport.abort()
        self._writers.clear()


@asynccontextmanager
async def wire(target: str, address: str = "127.0.0.1") -> AsyncIterator[Wire]:
    """Yield a wire to `host:port` that begins at an address of this machine; see `host`."""
    one = Wire(target)
    server = await asyncio.start_server(one.connect, address, 0)
    one.host = f"{address}:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        await stop_listening(server)
        one.cut()


# ---------------------------------------------------------------------------- the cluster


def workflows(cluster: Any) -> list[dict[str, Any]]:
    """Return all Workflows of the default namespace, a page at a time."""
    found: list[dict[str, Any]] = []
    more = ""
    while True:
        page = cluster.call("GET", f"{PATH}?limit=500{more}")
        found += page["items"]
        if not (token := page["metadata"].get("continue")):
            return found
        more = f"&continue={token}"


def forget_workflows(cluster: Any) -> None:
    """Delete all Workflows of the default namespace."""
    cluster.call("DELETE", PATH)


def names_of(found: Iterable[dict[str, Any]]) -> Counter[str]:
    """Return how many Workflows were made for each object."""
    return Counter(one["spec"]["arguments"]["parameters"][0]["value"] for one in found)


def apply_published(cluster: Any, file: Path) -> None:
    """Apply a published CRD; they are large, and read by the quick parser."""
    made = yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    cluster.call(
        "PATCH",
        f"{path}/{made['metadata']['name']}?fieldManager=tests&force=true",
        made,
        Content_Type="application/apply-patch+yaml",
    )
    cluster._until_served(PATH)
