"""A Pub/Sub server for tests: started on a free port, killed, restarted; it keeps nothing.

There are two. `emulator` is Google's, in Java, of the Debian package of the Google Cloud SDK; the
package is in no registry that a new machine has, so without it its tests are skipped. `stand-in`
is what Google tests its Go client with, built from its Go module by `tests/pubsub/build.sh`:
every machine with Go has it, and under CI=true its absence fails. The stand-in cuts streams, lacks
permissions and fails where it is told to; the emulator also pushes.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

BUILD = Path(__file__).parent / "pubsub" / "build.sh"
ROOTS = ("/usr/lib/google-cloud-sdk", "/usr/share/google-cloud-sdk", "~/google-cloud-sdk")
SERVERS = ("emulator", "stand-in")
PROJECT = "shop-project"


def find_emulator() -> list[str] | None:
    """Return the command of Google's emulator without its options, None where there is none."""
    given = os.environ.get("CLOUDSDK_ROOT_DIR")
    for root in (given, *ROOTS) if given else ROOTS:
        folder = Path(root).expanduser() / "platform/pubsub-emulator/lib"
        for jar in folder.glob("cloud-pubsub-emulator-*-all.jar"):
            if shutil.which("java"):
                return ["java", "-Xmx512m", "-jar", str(jar)]
    return None


def find_stand_in() -> list[str] | None:
    """Return the command of the stand-in without its options; builds it where it is missing."""
    if shutil.which("go") is None:
        return None
    done = subprocess.run([BUILD], stdout=subprocess.PIPE, check=False)
    return [done.stdout.decode().strip()] if done.returncode == 0 else None


def any_server() -> str:
    """Return the emulator where it is, else the stand-in."""
    return "emulator" if find_emulator() else "stand-in"


def command(server: str, port: int, *more: str) -> list[str]:
    """Return how a server is started; skip the test where there is none."""
    if server == "emulator":
        found = find_emulator()
        if found is None:
            pytest.skip(
                "needs the Pub/Sub emulator: install google-cloud-cli-pubsub-emulator from"
                " https://cloud.google.com/sdk/docs/install#deb"
            )
        return [*found, "--host=127.0.0.1", f"--port={port}"]
    found = find_stand_in()
    if found is None:
        reason = "needs the Pub/Sub stand-in: install Go 1.24 or later (see tests/pubsub/build.sh)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return [*found, "-port", str(port), *more]


class Emulator:
    """One server, and a client that publishes and asks."""

    def __init__(self, folder: Path, server: str, *more: str) -> None:
        self.server, self.port = server, free_port()
        self._log, self._more = folder / "pubsub.log", more
        self._process: asyncio.subprocess.Process | None = None
        self._channel: Any = None

    @property
    def host(self) -> str:
        """The value of PUBSUB_EMULATOR_HOST."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    # ------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start, on the port of the last time, with nothing in it; wait until it answers."""
        import grpc.aio

        line = await asyncio.to_thread(command, self.server, self.port, *self._more)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*line, stdout=log, stderr=log)
        soon = [(f"grpc.{end}_reconnect_backoff_ms", 50) for end in ("initial", "max")]
        self._channel = grpc.aio.insecure_channel(
            self.host, options=[("grpc.use_local_subchannel_pool", 1), *soon]
        )
        try:
            async with asyncio.timeout(120):
                await self._channel.channel_ready()
        except TimeoutError:
            pytest.fail(f"the Pub/Sub server does not answer:\n{self._log.read_text()}")

    async def kill(self) -> None:
        """End it at once; all that was in it is forgotten."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def restart(self) -> None:
        """Kill it and start it with nothing in it."""
        await self.kill()
        await self.start()

    # ------------------------------------------------------------------------ use

    async def call(self, method: str, request: Any) -> Any:
        """Call a method such as `Publisher/CreateTopic`. Raises grpc.aio.AioRpcError."""
        from google.pubsub_v1.types import pubsub

        answers = {
            "CreateTopic": pubsub.Topic,
            "Publish": pubsub.PublishResponse,
            "CreateSubscription": pubsub.Subscription,
            "GetSubscription": pubsub.Subscription,
            "ListSubscriptions": pubsub.ListSubscriptionsResponse,
            "Pull": pubsub.PullResponse,
        }
        answer = answers.get(method.partition("/")[2])
        ask = self._channel.unary_unary(
            f"/google.pubsub.v1.{method}",
            request_serializer=type(request).serialize,
            response_deserializer=answer.deserialize if answer else None,
        )
        return await ask(request, timeout=30, wait_for_ready=True)

    async def topic(self, name: str, project: str = PROJECT) -> str:
        """Make a topic and return its path."""
        from google.pubsub_v1.types import pubsub

        path = f"projects/{project}/topics/{name}"
        await self.call("Publisher/CreateTopic", pubsub.Topic(name=path))
        return path

    async def subscribe(self, topic: str, name: str, **more: Any) -> str:
        """Make a subscription to a topic and return its path."""
        from google.pubsub_v1.types import pubsub

        path = f"{topic.rpartition('/topics/')[0]}/subscriptions/{name}"
        made = pubsub.Subscription(name=path, topic=topic, **more)
        await self.call("Subscriber/CreateSubscription", made)
        return path

    async def publish(self, topic: str, messages: Iterable[bytes], **attributes: str) -> list[str]:
        """Publish messages that have the same attributes; return their ids."""
        from google.pubsub_v1.types import pubsub

        waiting = [pubsub.PubsubMessage(data=data, attributes=attributes) for data in messages]
        ids: list[str] = []
        for start in range(0, len(waiting), 500):
            asked = pubsub.PublishRequest(topic=topic, messages=waiting[start : start + 500])
            ids += (await self.call("Publisher/Publish", asked)).message_ids
        return ids

    async def subscriptions(self, project: str = PROJECT) -> dict[str, Any]:
        """Return all subscriptions of a project by name."""
        from google.pubsub_v1.types import pubsub

        asked = pubsub.ListSubscriptionsRequest(project=f"projects/{project}")
        found = await self.call("Subscriber/ListSubscriptions", asked)
        return {one.name.rpartition("/")[2]: one for one in found.subscriptions}

    async def left(self, subscription: str) -> list[bytes]:
        """Return messages that a subscription would deliver now; they are leased for a while."""
        from google.pubsub_v1.types import pubsub

        asked = pubsub.PullRequest(
            subscription=subscription, max_messages=1000, return_immediately=True
        )
        found = await self.call("Subscriber/Pull", asked)
        return [one.message.data for one in found.received_messages]


@asynccontextmanager
async def emulator(folder: Path, server: str = "", *more: str) -> AsyncIterator[Emulator]:
    """Yield a running server; without a name the emulator where it is, else the stand-in."""
    one = Emulator(folder, server or any_server(), *more)
    try:
        await one.start()
        yield one
    finally:
        await one.kill()
