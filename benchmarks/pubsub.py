"""Pub/Sub to the bus, beside bare clients that only receive and acknowledge.

Google's emulator where it is installed: it sets the pace of all. The stand-in of the tests
(`tests/pubsub`) is quicker, so that what we cost shows.
"""

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.stage import Stage, body, stage

COUNT = 10_000
PROJECT = "bench-project"

Say = Callable[[str, str], None]


@asynccontextmanager
async def server(name: str) -> AsyncIterator[Any]:
    """Start a server of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from pubsub_emulator import emulator  # type: ignore[import-not-found]  # a kit of the tests

    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        async with emulator(Path(folder), name) as one:
            yield one


def source(topic: str) -> dict[str, Any]:
    """Return an EventSource that receives from a topic."""
    event = {
        "projectID": PROJECT,
        "topic": topic,
        "subscriptionID": f"{topic}-sub",
        "jsonBody": True,
    }
    metadata = {"name": topic, "namespace": "bench"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "EventSource",
        "metadata": metadata,
        "spec": {"pubSub": {"message": event}},
    }


async def _filled(one: Any, name: str) -> str:
    """Make a topic with a subscription full of messages of 1 KiB; return the subscription."""
    topic = await one.topic(name, PROJECT)
    made = await one.subscribe(topic, f"{name}-sub")
    await one.publish(topic, [body(number=n) for n in range(COUNT)], objectId="a.json")
    return str(made)


async def ours(here: Stage, one: Any) -> tuple[float, float]:
    """Return messages a second on the bus, and processor seconds."""
    first = await here.ours("eventsource", source("warm"))  # what it takes to start is not it
    await first.stop()
    topic = await one.topic("ours", PROJECT)
    await one.subscribe(topic, "ours-sub")
    process = await here.ours("eventsource", source("ours"))
    used = process.cpu()
    # what waits is what is measured, so the source begins with nothing and gets all at once
    publishing = asyncio.create_task(
        one.publish(topic, [body(number=n) for n in range(COUNT)], objectId="a.json")
    )
    began = 0.0
    while (sent := await process.metric("argo_events_events_sent_total")) < COUNT:
        began = began or (time.monotonic() if sent else 0.0)
        await asyncio.sleep(0.02)
    rate = COUNT / (time.monotonic() - began)
    await publishing
    used = process.cpu() - used
    await process.stop()
    return rate, used


async def bare_stream(one: Any) -> float:
    """Return messages a second of a grpc.aio stream that acknowledges each answer."""
    import grpc.aio
    from google.pubsub_v1.types import pubsub

    subscription = await _filled(one, "stream")
    async with grpc.aio.insecure_channel(one.host) as channel:
        pull = channel.stream_stream(
            "/google.pubsub.v1.Subscriber/StreamingPull",
            request_serializer=pubsub.StreamingPullRequest.serialize,
            response_deserializer=pubsub.StreamingPullResponse.pb().FromString,
        )
        call = pull()
        await call.write(
            pubsub.StreamingPullRequest(
                subscription=subscription,
                stream_ack_deadline_seconds=60,
                max_outstanding_messages=1000,
            )
        )
        count, began = 0, 0.0
        async for answer in call:
            began = began or time.monotonic()
            count += len(answer.received_messages)
            ids = [message.ack_id for message in answer.received_messages]
            await one.call(
                "Subscriber/Acknowledge",
                pubsub.AcknowledgeRequest(subscription=subscription, ack_ids=ids),
            )
            if count >= COUNT:
                break
        rate = count / (time.monotonic() - began)
        call.cancel()
    return rate


async def bare_client(one: Any) -> float:
    """Return messages a second of Google's own client, which has threads."""
    subscription = await _filled(one, "client")
    os.environ["PUBSUB_EMULATOR_HOST"] = one.host

    def receive() -> float:
        from google.cloud import pubsub_v1

        client, full = pubsub_v1.SubscriberClient(), threading.Event()
        seen, began = 0, 0.0

        def take(message: Any) -> None:
            nonlocal seen, began
            began = began or time.monotonic()
            seen += 1
            message.ack()
            if seen >= COUNT:
                full.set()

        future = client.subscribe(subscription, take)
        full.wait(300)
        rate = seen / (time.monotonic() - began)
        future.cancel()
        future.result(60)  # its last acknowledgements
        client.close()
        return rate

    return await asyncio.to_thread(receive)


async def measure(say: Say) -> None:
    """Print what receiving costs."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # it tells of every child that is started
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from pubsub_emulator import find_emulator

    for name in ("emulator", "stand-in") if find_emulator() else ("stand-in",):
        async with server(name) as one, stage() as here:
            stream, client = await bare_stream(one), await bare_client(one)
            os.environ["PUBSUB_EMULATOR_HOST"] = one.host
            rate, used = await ours(here, one)
            say(f"pubsub {name}, bare stream", f"{stream:8.0f} /s")
            say(f"pubsub {name}, Google's client", f"{client:8.0f} /s")
            each = used / COUNT * 1e6
            say(
                f"pubsub {name}, to the bus",
                f"{rate:8.0f} /s   ratio {rate / stream:.2f}   {each:.0f} us of CPU for each",
            )
