"""SQS to the bus, beside bare clients that only receive and delete.

Both sides get 10,000 messages of 1 KiB that wait for them, in turns. A moto server takes several
milliseconds of a core for each message, whoever asks, so it would be all that is measured: a
stand-in gives them, which is quick.
"""

import asyncio
import os
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.sqs_server import COUNT
from benchmarks.stage import free_port, stage
from benchmarks.streams import ours
from spine.aws import Access, open_client

ROUNDS = 3
BATCH = 10
"""Messages of one call; SQS gives no more."""
ABREAST = (1, 8)
"""Loops of bare clients; ours are up to eight, as long as batches come full."""
REGION = "eu-central-1"

Say = Callable[[str, str], None]
Measured = tuple[float, float]
"""Messages a second, and processor seconds of the receiving process for all of them."""


async def measure(say: Say) -> None:
    """Print what receiving costs."""
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "anybody")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "anything")
    bare: dict[int, list[Measured]] = {loops: [] for loops in ABREAST}
    measured: list[Measured] = []
    async with stage() as here:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        await here.start("benchmarks.sqs_server", str(port))
        await _up(port)
        async with open_client("sqs", Access(REGION, url), "measuring") as sqs:
            for number in range(ROUNDS):
                for loops in ABREAST:
                    bare[loops].append(await _bare(sqs, f"bare-{loops}-{number}", loops))
                measured.append(await ours(here, _source(f"ours-{number}", url)))
    for loops, found in bare.items():
        say(f"sqs, bare client, {loops} at a time", _text(found))
    ratios = " and ".join(
        f"{statistics.median(o[0] / b[0] for o, b in zip(measured, found, strict=True)):.2f}"
        for found in bare.values()
    )
    say("sqs, to the bus", f"{_text(measured)}   ratios {ratios}")


async def _up(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


def _text(found: list[Measured]) -> str:
    rate = statistics.median(one[0] for one in found)
    used = statistics.median(one[1] for one in found) / COUNT * 1e6
    return f"{rate:8.0f} /s   {used:5.0f} us of CPU for each"


def _source(queue: str, url: str) -> dict[str, Any]:
    event = {"region": REGION, "queue": queue, "endpoint": url, "jsonBody": True}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": {"name": queue, "namespace": "bench"},
        "spec": {"sqs": {"message": event}},
    }


async def _bare(sqs: Any, queue: str, loops: int) -> Measured:
    """Return messages a second of loops that receive and delete, and processor seconds."""
    url = (await sqs.get_queue_url(QueueName=queue))["QueueUrl"]
    count = 0

    async def loop() -> None:
        nonlocal count
        while count < COUNT:
            found = await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=BATCH)
            entries = [
                {"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]}
                for n, one in enumerate(found.get("Messages") or [])
            ]
            if entries:
                await sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            count += len(entries)

    began, used = time.monotonic(), time.process_time()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(loops):
            tasks.create_task(loop())
    return COUNT / (time.monotonic() - began), time.process_time() - used
