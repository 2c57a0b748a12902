"""Clients and answers that are kept, driven to their bounds."""

from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from aiohttp.test_utils import TestServer
from aiohttp.web import Application, Request, Response

from services import awssqs, opened
from services.bounded import Bounded
from services.email import REMEMBERED as MAILS
from services.opened import Clients
from services.slack import PEOPLE
from services.web import KEPT
from spine import aws, nats_client
from spine.http import client as http
from spine.http import url as gourl
from spine.http.client import HttpClient, open_client
from spine.kube import session
from spine.nats_client import Peers


async def test_clients_that_nobody_uses(env) -> None:
    closed: list[int] = []

    def service(number: int) -> Any:
        @asynccontextmanager
        async def opening(_: Any) -> Any:
            try:
                yield number
            finally:
                closed.append(number)

        return SimpleNamespace(kind="k", model_dump_json=lambda: str(number), open=opening)

    async with Clients(env) as clients:
        for number in range(opened.KEPT + 3):
            async with clients.of(service(number)) as found:
                assert found == number
        assert closed == [0, 1, 2]
        assert len(clients._kept) == opened.KEPT


async def test_urls_of_queues() -> None:
    async def call(what: str, name: str, **asked: Any) -> Any:
        return {"QueueUrl": f"http://sqs/{asked['QueueName']}"}

    one = awssqs._Client(SimpleNamespace(account=""), SimpleNamespace(call=call))  # type: ignore[arg-type]  # all that it asks
    for number in range(awssqs._KEPT + 3):
        await one._url(f"q{number}")
    assert len(one._urls) == awssqs._KEPT


def test_people_and_mails() -> None:
    for most in (PEOPLE, MAILS):
        one: Bounded[int, int] = Bounded(most, 60.0, lambda: 0.0)
        for number in range(most + 3):
            one.put(number, number)
        assert len(one._values) == most
        assert one.get(2) is None


async def test_connections_to_nats() -> None:
    peers, servers = Peers(), [object() for _ in range(nats_client._KEPT + 3)]
    for server in servers:
        await peers._peer(server)  # type: ignore[arg-type]  # nothing is connected yet
    assert list(peers._open) == servers[3:]


def test_tls_contexts(monkeypatch) -> None:
    monkeypatch.setattr(http, "tls_context", lambda tls: tls)
    one = HttpClient(None)  # type: ignore[arg-type]  # nothing is sent
    for number in range(http._CONTEXTS + 3):
        one._context(number)  # type: ignore[arg-type]  # it is a key
    assert len(one._contexts) == http._CONTEXTS


async def test_connections_to_aws_and_to_an_api_server(tmp_path) -> None:
    file = tmp_path / "config"
    file.write_text(KUBECONFIG)
    async with session.open_session(str(file)) as kube:
        connector = kube._client.connector
        assert connector is not None
        assert connector.limit == session.CONNECTIONS
    assert aws._config(1.0).max_pool_connections == aws.CONNECTIONS


async def test_answers_are_read_so_far() -> None:
    async def answer(_: Request) -> Response:
        return Response(body=bytes(4 * KEPT))

    application = Application()
    application.router.add_get("/", answer)
    async with TestServer(application) as server, open_client() as client:
        url = gourl.parse(str(server.make_url("/")))
        found = await client.send(http.Request("GET", url, [], keep=KEPT), 30.0)
    assert len(found.body) == KEPT


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: c
clusters: [{name: k, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
"""
