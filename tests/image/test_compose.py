"""`compose.yaml`: what stands in it, and that its servers become one bus of three copies."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from nats_server import find_binary
from ports import free_port

from eventbus import open_bus
from eventbus.bus import EVENTS
from eventbus.config import BusConfig
from spine.errors import BusError
from spine.manifest import read
from spine.model import load
from spine.secrets import GivenSecrets
from tocsin.cli import cli

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVERS = ["nats-1", "nats-2", "nats-3"]
OURS = ["source", "sensor"]
FILES = ROOT / "compose"


def test_services_are_bounded() -> None:
    services = COMPOSE["services"]
    assert sorted(services) == sorted([*SERVERS, *OURS])
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "configs" not in service, name  # Docker Compose refuses those that are no files
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).exists(), volume
    for name in OURS:
        assert services[name]["user"] == "65532:65532"
        assert sorted(services[name]["depends_on"]) == SERVERS


@pytest.mark.parametrize("name", OURS)
def test_commands_are_ours_and_their_files_are_there(name: str) -> None:
    verb, *options = COMPOSE["services"][name]["command"]
    shown = CliRunner().invoke(cli, [verb, "--help"]).output
    for option in options[::2]:
        assert option in shown
    given = dict(zip(options[::2], options[1::2], strict=True))
    manifest = given["--file"].replace("/manifests", str(ROOT / "examples/quickstart"))
    kind = {"eventsource": "EventSource", "sensor": "Sensor"}[verb]
    assert len(read([manifest]).of(kind)) == 1
    assert given["--bus-config"] == "/etc/tocsin/bus.json"
    config = load(BusConfig, json.loads((FILES / "bus.json").read_text()), what="bus")
    settings = config.settings()
    assert settings is not None
    assert settings.replicas == len(SERVERS)


async def test_servers_are_one_bus_and_one_may_go(tmp_path) -> None:
    ports = [free_port() for _ in range(9)]
    places = {name: ports[3 * n : 3 * n + 3] for n, name in enumerate(SERVERS)}
    running = {}
    for name, (client, routes, monitor) in places.items():
        text = (FILES / "nats.conf").read_text().replace('"/data"', f'"{tmp_path}/{name}"')
        text = text.replace("0.0.0.0:4222", f"127.0.0.1:{client}")
        text = text.replace("0.0.0.0:6222", f"127.0.0.1:{routes}")
        text = text.replace("0.0.0.0:8222", f"127.0.0.1:{monitor}")
        for other, (_, there, _) in places.items():
            text = text.replace(f"nats://{other}:6222", f"nats://127.0.0.1:{there}")
        file = tmp_path / f"{name}.conf"
        file.write_text(text)
        env = {**os.environ, **COMPOSE["services"][name]["environment"]}
        with (tmp_path / f"{name}.log").open("wb") as log:
            running[name] = await asyncio.create_subprocess_exec(
                find_binary(), "--config", str(file), env=env, stdout=log, stderr=log
            )
    try:
        bus = (FILES / "bus.json").read_text()
        for name, (client, _, _) in places.items():
            bus = bus.replace(f"nats://{name}:4222", f"nats://127.0.0.1:{client}")
        config = load(BusConfig, json.loads(bus), what="bus")
        async with open_bus(config, GivenSecrets(), give_up_after=60.0) as opened:
            assert await soon(lambda: opened.append(EVENTS, f"{EVENTS}.a.b", b"one"))
            running["nats-2"].send_signal(signal.SIGKILL)
            await running["nats-2"].wait()
            assert await soon(lambda: opened.append(EVENTS, f"{EVENTS}.a.b", b"two"))
            kept = await soon(lambda: opened.get(EVENTS, 1))
            assert kept is not None
            assert kept.data == b"one"
            found = await soon(lambda: opened.api.stream(EVENTS))
            assert found["config"]["num_replicas"] == len(SERVERS)
    finally:
        for one in running.values():
            if one.returncode is None:
                one.kill()
            await one.wait()


async def soon(ask):
    """Return an answer, however often it is asked for until there is a leader."""
    async with asyncio.timeout(90):
        while True:
            try:
                return await ask()
            except BusError:
                await asyncio.sleep(0.2)
