"""The sftp source on an SFTP server: what it tells, whom it trusts, and what it survives."""

import asyncio
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hooks import running
from sftp_kit import PASSWORD, USER, SftpServer, new_key, public_of, sftp_server, text_of
from sftp_kit import sftp_server as another_server

from eventbus.memory import MemoryBus
from eventsource import runner
from eventsource.sources.sftp import Sftp
from spine.errors import ConfigError, SourceError
from spine.model import load
from spine.runtime import Backoff
from spine.secrets import KeyRef, SecretRef, Secrets

C, R = 1, 4


@pytest.fixture
async def server(tmp_path):
    async with sftp_server(tmp_path) as one:
        (one.root / "in").mkdir()
        yield one


@pytest.fixture
def soon(monkeypatch):
    """A source that failed is started again soon."""
    monkeypatch.setattr(runner, "RESTART", Backoff(0.1, 1.0, 0.0, 0, 0.1))


class Changing(Secrets):
    """Secrets that a test changes while they are used."""

    def __init__(self, server: SftpServer) -> None:
        self.values = {
            "address": server.address,
            "username": USER,
            "password": PASSWORD,
            "key": f"{text_of(server.user_key)}{public_of(server.host_key)}\n",
            "known": server.known_hosts,
        }

    def secret(self, ref: SecretRef) -> str:
        return self.values[ref.key]

    def config_map(self, ref: KeyRef) -> str:
        raise ConfigError("there is none")


def ref(key: str) -> dict[str, str]:
    return {"name": "sftp", "key": key}


def event(event_type: str = "CREATE|REMOVE", **more: Any) -> dict[str, Any]:
    found = {
        "eventType": event_type,
        "watchPathConfig": {"directory": "/in", "pathRegexp": "."},
        "address": ref("address"),
        "username": ref("username"),
        "password": ref("password"),
        "knownHosts": ref("known"),
        "pollIntervalDuration": "100ms",
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}


def spec(event_type: str = "CREATE|REMOVE", **more: Any) -> dict[str, Any]:
    return {"sftp": {"ev": event(event_type, **more)}}


def put(file: Path, text: str = "x") -> None:
    """Have a file there at once, with all that is in it: a listing may come at any moment."""
    beside = file.parent.with_name("beside")
    beside.write_text(text)
    beside.rename(file)


async def told(it: Any) -> list[tuple[str, int]]:
    found = [json.loads(one.data or b"") for one in await it.events()]
    return [(one["name"], one["op"]) for one in found]


async def until(met, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await met():
            await asyncio.sleep(0.02)


async def expect(it: Any, *events: tuple[str, int]) -> None:
    """Wait until these events, and no others, are told since the last time."""
    begun = getattr(it, "begun", 0)

    async def enough() -> bool:
        return len(await told(it)) >= begun + len(events)

    try:
        await until(enough)
    except TimeoutError:
        pass
    assert (await told(it))[begun:] == list(events)
    it.begun = begun + len(events)


# ---------------------------------------------------------------------------- what it tells


async def test_files_that_come_change_and_go(server):
    here = server.root / "in"
    (here / "old").write_text("x")
    async with running(spec(metadata={"team": "web"}), secrets=Changing(server)) as it:
        put(here / "a")
        await expect(it, ("a", C))
        put(here / "a", "xy")
        await expect(it, ("a", C))
        os.utime(here / "a", (1, 1))
        await expect(it, ("a", C))
        (here / "folder").mkdir()
        (here / "a").unlink()
        put(here / "b")
        await expect(it, ("a", R), ("b", C))
        (here / "b").rename(here / "c")
        await expect(it, ("b", R), ("c", C))
        (here / "old").unlink()
        await expect(it, ("old", R))
        events = await it.events()
    assert {one.type for one in events} == {"sftp"}
    assert json.loads(events[0].data or b"") == {"name": "a", "op": 1, "metadata": {"team": "web"}}


async def test_only_what_counts(server):
    here = server.root / "in"
    path = {"directory": "/in/", "pathRegexp": "^a"}
    more = {"watchPathConfig": path, "filter": {"expression": 'name != "ab"'}}
    async with running(spec("CREATE", **more), secrets=Changing(server)) as it:
        for name in ("ba", "ab", "aa", "ac"):
            put(here / name)
        await expect(it, ("aa", C), ("ac", C))


@pytest.mark.parametrize(
    "more",
    [
        {"knownHosts": None},
        {"password": None, "sshKeySecret": ref("key"), "knownHosts": None},
        {"password": None, "sshKeySecret": ref("key")},
        {"sshKeySecret": ref("key")},
    ],
    ids=["password", "key", "key and known hosts", "all"],
)
async def test_ways_to_log_in(server, more):
    async with running(spec(**more), secrets=Changing(server)) as it:
        put(server.root / "in" / "a")
        await expect(it, ("a", C))


# ---------------------------------------------------------------------------- whom it trusts


@pytest.mark.parametrize(
    ("more", "values", "message"),
    [
        ({}, {"password": "wrong"}, "it does not let us in (check key 'username' of Secret 'sftp'"),
        ({}, {"username": "nobody"}, "it does not let us in"),
        (
            {"password": None, "sshKeySecret": ref("key")},
            {"key": text_of(new_key())},
            "it does not let us in",
        ),
        (
            {},
            {"known": f"* {public_of(new_key())}"},
            "not the one that is known (if it is the right server, put its key into key 'known'",
        ),
        ({}, {"known": ""}, None),
        (
            {"password": None, "sshKeySecret": ref("key"), "knownHosts": None},
            {"key": f"{text_of(new_key())}{public_of(new_key())}"},
            "its host key is not the one that is known",
        ),
        ({}, {"address": "127.0.0.1:1"}, "connection refused"),
        ({}, {"address": "no-such-host.invalid"}, "connecting to the SFTP server of key 'address'"),
        (
            {"watchPathConfig": {"directory": "/none", "path": "a"}},
            {},
            "listing /none on the SFTP server of key 'address' of Secret 'sftp': No such file",
        ),
    ],
)
async def test_what_is_refused(server, env, more, values, message):
    secrets = Changing(server)
    secrets.values |= values
    source = load(Sftp, event(**more))
    with pytest.raises(SourceError if message else ConfigError) as caught:
        await run(source, env, secrets)
    text = str(caught.value)
    assert (message or "reading key 'known' of Secret 'sftp': it is empty") in text
    for hidden in (server.address, USER, *secrets.values.values()):
        assert not hidden or hidden not in text


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"address": "sftp://host"}, "reading key 'address' of Secret 'sftp': it is no address"),
        ({"address": "host:99999"}, "it is no address"),
        ({"key": "secret"}, "reading key 'key' of Secret 'sftp': it holds no private key"),
        ({"key": text_of(new_key())}, "it has no public key of the server"),
        ({"key": text_of(new_key(), "pass")}, "the private key has a passphrase"),
        ({"key": f"{text_of(new_key())}ssh-ed25519 AAAA\n"}, "the public key of the server is"),
    ],
)
async def test_what_can_never_work(server, env, values, message):
    secrets = Changing(server)
    secrets.values |= values
    source = load(Sftp, event(password=None, sshKeySecret=ref("key"), knownHosts=None))
    with pytest.raises(ConfigError) as caught:
        await run(source, env, secrets)
    assert message in str(caught.value)
    assert values.get("key", "-") not in str(caught.value)


async def run(source: Sftp, env: Any, secrets: Secrets) -> None:
    async def emit(*_: Any, **__: Any) -> None:
        raise AssertionError

    async with asyncio.timeout(60):
        await source.run(replace(env, secrets=secrets), emit)


async def test_a_password_that_changes(server, soon):
    secrets = Changing(server)
    async with running(spec(), secrets=secrets) as it:
        server.password = "another"
        await server.kill()
        await server.start()
        put(server.root / "in" / "a")

        async def refused() -> bool:
            return "does not let us in" in it.runner.problem

        await until(refused)
        secrets.values["password"] = "another"
        await expect(it, ("a", C))
        assert it.runner.problem == ""


async def test_credentials_that_change_are_taken_without_a_failure(server, caplog):
    secrets = Changing(server)
    async with running(spec(sshKeySecret=ref("key")), secrets=secrets) as it:
        secrets.values["password"] = "wrong by now, and the key is enough"
        put(server.root / "in" / "a")
        await expect(it, ("a", C))
        secrets.values["key"] = secrets.values["key"].strip()
        put(server.root / "in" / "b")
        await expect(it, ("b", C))
    assert "failed" not in caplog.text


async def test_another_server_is_begun_anew(server, tmp_path, soon):
    (tmp_path / "second").mkdir()
    async with another_server(tmp_path / "second") as second:
        (second.root / "in").mkdir()
        (second.root / "in" / "there").write_text("x")
        secrets = Changing(server)
        async with running(spec(), secrets=secrets) as it:
            put(server.root / "in" / "a")
            await expect(it, ("a", C))
            secrets.values |= {"address": second.address, "known": second.known_hosts}

            async def moved() -> bool:
                (second.root / "in" / "new").write_text(str(asyncio.get_running_loop().time()))
                return ("new", C) in await told(it)

            await until(moved)
            assert {name for name, _ in await told(it)} == {"a", "new"}


# ---------------------------------------------------------------------------- what it survives


async def test_a_server_that_is_killed_again_and_again(server, soon):
    here = server.root / "in"
    async with running(spec(), secrets=Changing(server)) as it:
        for turn in range(3):
            for number in range(50):
                (here / f"{turn}-before-{number}").write_text("x")
            await server.kill()
            for number in range(50):
                (here / f"{turn}-during-{number}").write_text("x")
            await server.start()
            for number in range(50):
                (here / f"{turn}-after-{number}").write_text("x")
        wanted = Counter(
            (f"{turn}-{when}-{number}", C)
            for turn in range(3)
            for when in ("before", "during", "after")
            for number in range(50)
        )

        async def all_of_them() -> bool:
            return Counter(await told(it)) >= wanted

        await until(all_of_them, 60)
        events = await it.events()
    # one that was written in two steps may be told twice: it was seen empty first
    assert set(await told(it)) == wanted.keys()
    assert len({one.id for one in events}) == len(events)


async def test_what_happened_while_nobody_watched(server):
    here = server.root / "in"
    bus = MemoryBus()
    for name in ("stays", "goes"):
        (here / name).write_text("x")
    async with running(spec(), secrets=Changing(server), bus=bus):
        pass
    (here / "goes").unlink()
    (here / "new").write_text("x")
    async with running(spec(), secrets=Changing(server), bus=bus) as it:
        await expect(it, ("goes", R), ("new", C))
    (here / "unseen").write_text("x")
    forgetful = spec(catchup=False)
    async with running(forgetful, secrets=Changing(server), bus=bus) as it:
        it.begun = 2
        put(here / "seen")
        await expect(it, ("seen", C))


async def test_a_folder_that_goes_and_returns(server, soon):
    here = server.root / "in"
    async with running(spec(), secrets=Changing(server)) as it:
        put(here / "a")
        await expect(it, ("a", C))
        here.rename(server.root / "aside")

        async def missing() -> bool:
            return "No such file" in it.runner.problem

        await until(missing)
        (server.root / "aside" / "b").write_text("x")
        (server.root / "aside").rename(here)
        await expect(it, ("b", C))


async def test_a_file_with_the_same_time_that_comes_again(server):
    def put(path: Path) -> None:
        path.with_name("tmp").write_text("x")
        os.utime(path.with_name("tmp"), (1, 1))
        path.with_name("tmp").rename(path)

    path = {"directory": "/in", "path": "a"}
    async with running(spec(watchPathConfig=path), secrets=Changing(server)) as it:
        for _ in range(3):
            put(server.root / "in" / "a")
            await expect(it, ("a", C))
            (server.root / "in" / "a").unlink()
            await expect(it, ("a", R))
        events = await it.events()
    assert len({one.id for one in events}) == 6
