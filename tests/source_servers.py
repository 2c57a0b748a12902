"""Servers that the examples of sources are led to, by kind.

`from source_servers import SERVERS`. Each is an async context manager that takes a folder and
yields what changes the settings of one event, so that it finds the server of the test; an
attribute `secrets` of it has values that come before those of the example.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from eventing_kit import eventing_server
from github_kit import github_server
from gitlab_kit import gitlab_server
from minio_kit import minio as minio_server
from mosquitto_kit import mosquitto
from moto_kit import moto_server
from nats_server import nats_server
from redis_kit import redis_server
from sftp_kit import sftp_server

Lead = Callable[[dict[str, Any]], None]


def without_login(event: dict[str, Any]) -> None:
    """Take away what proves somebody to a server that asks for nothing."""
    for name in ("username", "password", "auth", "tls"):
        event.pop(name, None)


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Lead]:
    async with redis_server(folder) as server:

        def lead(event: dict[str, Any]) -> None:
            without_login(event)
            event["hostAddress"] = server.address

        yield lead


@asynccontextmanager
async def nats(folder: Path) -> AsyncIterator[Lead]:
    async with nats_server(folder) as server:
        import nats as library

        client = await library.connect(server.url)
        await client.jetstream().add_stream(name="ORDERS", subjects=["shop.>"])
        await client.close()

        def lead(event: dict[str, Any]) -> None:
            without_login(event)
            event["url"] = server.url

        yield lead


@asynccontextmanager
async def minio(folder: Path) -> AsyncIterator[Lead]:
    async with minio_server(folder) as server:
        await server.bucket("reports")

        def lead(event: dict[str, Any]) -> None:
            event["endpoint"] = server.endpoint

        yield lead


@asynccontextmanager
async def mqtt(folder: Path) -> AsyncIterator[Lead]:
    async with mosquitto(folder) as server:

        def lead(event: dict[str, Any]) -> None:
            without_login(event)
            event["url"] = server.url

        yield lead


@asynccontextmanager
async def generic(_: Path) -> AsyncIterator[Lead]:
    async with eventing_server() as server:

        def lead(event: dict[str, Any]) -> None:
            without_login(event)
            event["url"], event["insecure"] = server.address, True
            del event["authSecret"]

        yield lead


@asynccontextmanager
async def sns(folder: Path) -> AsyncIterator[Lead]:
    async with moto_server(folder) as server:
        async with server.client("sns") as client:
            await client.create_topic(Name="orders")

        def lead(event: dict[str, Any]) -> None:
            event["endpoint"] = server.url

        yield lead


@asynccontextmanager
async def sqs(folder: Path) -> AsyncIterator[Lead]:
    async with moto_server(folder) as server:
        async with server.client("sqs") as client:
            await client.create_queue(QueueName="orders")

        def lead(event: dict[str, Any]) -> None:
            event["endpoint"] = server.url

        yield lead


@asynccontextmanager
async def sftp(folder: Path) -> AsyncIterator[Lead]:
    async with sftp_server(folder) as server:
        (server.root / "outgoing").mkdir()

        def lead(event: dict[str, Any]) -> None:
            """Do nothing: it is all in the Secret."""

        lead.secrets = {  # type: ignore[attr-defined]  # a function has attributes
            ("partner", "address"): server.address,
            ("partner", "known-hosts"): server.known_hosts,
        }
        yield lead


@asynccontextmanager
async def github(folder: Path) -> AsyncIterator[Lead]:
    async with github_server() as server:
        server.hooks.of = {"repos/shop/web": [], "repos/shop/api": []}
        server.tokens.add("change-me")

        def lead(event: dict[str, Any]) -> None:
            event["githubBaseURL"] = server.url

        yield lead


@asynccontextmanager
async def gitlab(folder: Path) -> AsyncIterator[Lead]:
    async with gitlab_server() as server:
        server.tokens.add("change-me")

        def lead(event: dict[str, Any]) -> None:
            event["gitlabBaseURL"] = server.url

        yield lead


SERVERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Lead]]] = {
    "generic": generic,
    "minio": minio,
    "github": github,
    "gitlab": gitlab,
    "mqtt": mqtt,
    "nats": nats,
    "redis": redis,
    "redis_stream": redis,
    "sftp": sftp,
    "sns": sns,
    "sqs": sqs,
}
