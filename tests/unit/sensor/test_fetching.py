"""Fetching an object from a URL: bounded, and only from where it is allowed."""

import socket

import pytest
from aiohttp import web

from sensor.kubernetes.fetching import MOST, fetch
from spine.errors import ConfigError
from spine.http.egress import allowed

PAGES = {
    "/good": b"kind: ConfigMap\n",
    "/large": b"x" * (MOST + 1),
    "/odd": b"\xff\xfe",
}


@pytest.fixture
async def server():
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/moved":
            raise web.HTTPFound("/good")
        if request.path not in PAGES:
            raise web.HTTPNotFound
        return web.Response(body=PAGES[request.path])

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_the_text_behind_a_url(server):
    assert await fetch(f"{server}/good", verify=True) == "kind: ConfigMap\n"


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/large", "larger than 512 KiB"),
        ("/odd", "no UTF-8"),
        ("/none", "status 404"),
        ("/moved", "status 302"),
    ],
)
async def test_what_is_not_taken(server, path, problem):
    with pytest.raises(ConfigError, match=problem):
        await fetch(server + path, verify=True)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://a/b", "no URL of http or https"),
        ("good", "no URL of http or https"),
        ("http://169.254.169.254/latest/meta-data", "never fetched from"),
        ("http://[fe80::1]/", "never fetched from"),
        ("http://[fd00:ec2::254]/latest", "never fetched from"),
        ("http://[::ffff:169.254.169.254]/", "never fetched from"),
        ("http://127.0.0.1:1/", "fetching http://127.0.0.1:1/"),
    ],
)
async def test_where_it_is_not_fetched_from(url, problem):
    with pytest.raises(ConfigError, match=problem):
        await fetch(url, verify=True)


async def test_a_name_that_leads_to_a_refused_address(monkeypatch):
    def lookup(host: str, port: int, *_: object, **__: object) -> list:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", port))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(ConfigError, match=r"metadata\.test has the address 169\.254\.169\.254"):
        await fetch("http://metadata.test/", verify=True)


async def test_only_hosts_that_are_named(server, monkeypatch):
    monkeypatch.setenv("TOCSIN_EGRESS", "*.example.test, 127.0.0.1")
    assert await fetch(f"{server}/good", verify=True)
    with pytest.raises(ConfigError, match="TOCSIN_EGRESS does not allow"):
        await fetch("http://other.test/", verify=True)
    assert allowed("a.example.test")
    assert not allowed("example.test")
