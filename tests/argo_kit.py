"""What Argo Events leaves on a JetStream bus, made with the client library and nothing of ours.

Layout as observed of Argo Events v1.9: stream `default`; a pull durable for each trigger and event,
called `group-` and the FNV-1a hash of `SENSOR-TRIGGER-DEPENDENCY`; a bucket called as the Sensor.
`from argo_kit import Argo, argo`.
"""

import base64
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StorageType, StreamConfig

NANO = 1_000_000_000


def fnv32a(text: str) -> int:
    found = 0x811C9DC5
    for byte in text.encode():
        found = ((found ^ byte) * 0x01000193) % 2**32
    return found


def group(sensor: str, trigger: str, dependency: str) -> str:
    return f"group-{fnv32a(f'{sensor}-{trigger}-{dependency}')}"


def cloud_event(number: int, name: str) -> dict[str, Any]:
    data = base64.b64encode(json.dumps({"n": number}).encode()).decode()
    return {
        "specversion": "1.0",
        "id": f"{name}{number:031x}",
        "source": "src",
        "type": "webhook",
        "subject": name,
        "datacontenttype": "application/json",
        "time": "2026-01-02T03:04:05.678901234Z",
        "data_base64": data,
    }


class Argo:
    """One installation's bus, for the Sensor `sensor`."""

    def __init__(self, client: Any, sensor: str) -> None:
        self.client, self.js, self.sensor = client, client.jetstream(timeout=30), sensor
        self.sequences: dict[tuple[str, int], int] = {}
        """Of events by name and number."""

    async def stream(self) -> None:
        await self.js.add_stream(
            StreamConfig(
                name="default",
                subjects=["default.*.*"],
                storage=StorageType.FILE,
                max_msgs=50_000,
                max_age=168 * 3600,
                duplicate_window=300,
            )
        )

    async def durable(
        self, trigger: str, dependency: str, event: str = "", ack_wait: float = 30.0
    ) -> str:
        name = group(self.sensor, trigger, dependency)
        await self.js.add_consumer(
            "default",
            ConsumerConfig(
                durable_name=name,
                deliver_policy=DeliverPolicy.NEW,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ack_wait,
                max_deliver=-1,
                max_ack_pending=65_536,
                max_waiting=512,
                filter_subject=f"default.src.{event or dependency}",
            ),
        )
        return name

    async def publish(self, name: str, *numbers: int) -> None:
        for number in numbers:
            event = cloud_event(number, name)
            ack = await self.js.publish(
                f"default.src.{name}",
                json.dumps(event).encode(),
                headers={"Nats-Msg-Id": event["id"]},
            )
            self.sequences[name, number] = ack.seq

    async def handle(
        self,
        trigger: str,
        dependency: str,
        count: int,
        but: Iterable[int] = (),
        *,
        due: bool = True,
    ) -> None:
        """Take the next events of a durable and acknowledge all but some, by their number.

        What is left is as good as waited for, unless it is not `due` yet.
        """
        bound = await self.js.pull_subscribe_bind(
            durable=group(self.sensor, trigger, dependency), stream="default"
        )
        left = set(but)
        for message in await bound.fetch(count, timeout=30):
            number = json.loads(base64.b64decode(json.loads(message.data)["data_base64"]))["n"]
            if number not in left:
                await message.ack_sync(timeout=30)
            elif due:
                await message.nak()
        await bound.unsubscribe()

    async def bucket(self, triggers: dict[str, str], dependencies: Iterable[str]) -> Any:
        """Make the bucket as a Sensor does when it starts; `triggers` have their conditions."""
        kv = await self.js.create_key_value(bucket=self.sensor, history=1, replicas=1)
        await kv.put("Deps", json.dumps({name: fnv32a(name) for name in dependencies}).encode())
        await kv.put("Triggers", json.dumps(list(triggers)).encode())
        for name, conditions in triggers.items():
            await kv.put(f"{name}/Expression", conditions.encode())
        return kv

    async def save(self, kv: Any, trigger: str, dependency: str, number: int) -> None:
        """Keep an event that waits for others."""
        sequence = self.sequences[dependency, number]
        ask = json.dumps({"seq": sequence}).encode()
        answer = await self.client.request("$JS.API.STREAM.MSG.GET.default", ask, timeout=30)
        held = {
            "StreamSeq": sequence,
            "ConsumerSeq": number,
            "Timestamp": json.loads(answer.data)["message"]["time"],
            "Event": cloud_event(number, dependency),
        }
        await kv.put(f"{trigger}/{dependency}", json.dumps(held).encode())

    async def places(self) -> dict[str, tuple[int, int, int]]:
        """Where all durables of Argo Events stand: floor, not acknowledged, not handed out."""
        infos = await self.js.consumers_info("default")
        return {
            info.name: (info.ack_floor.stream_seq, info.num_ack_pending, info.num_pending)
            for info in infos
            if info.name.startswith("group-")
        }


@asynccontextmanager
async def argo(url: str, sensor: str = "s") -> AsyncIterator[Argo]:
    """Yield the bus of an installation at an address, with its stream."""
    client = await nats.connect(url)
    try:
        found = Argo(client, sensor)
        await found.stream()
        yield found
    finally:
        await client.close()
