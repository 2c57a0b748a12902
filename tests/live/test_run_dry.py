"""`tocsin run --dry-run`: everything but the effect, and nothing taken from what is real."""

import asyncio
import json

import pytest
from nats_server import find_binary, nats_server
from ports import free_port
from sink import sink
from tocsin_run import UP, behind_hook, started, tocsin

from eventbus.bus import EVENTS
from tocsin.bus_options import opened

MANIFESTS = behind_hook(
    """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: show}
spec:
  dependencies:
    - {name: dep, eventSourceName: hook, eventName: e}
  triggers:
    - template:
        name: out
        http:
          url: %(sink)s/
          payload:
            - {src: {dependencyName: dep, dataKey: body.id}, dest: id}
          secureHeaders:
            - name: X-Key
              valueFrom: {secretKeyRef: {name: keys, key: one}}
      retryStrategy: {steps: 1}
""",
    "e",
)
SECRET = ("--secret", "keys.one=hidden")


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


def write(folder, target) -> None:
    text = MANIFESTS % {"port": free_port(), "sink": target.url}
    (folder / "all.yaml").write_text(text)


async def send(folder, identity: str, *words: str) -> None:
    data = json.dumps({"id": identity})
    code, _, problem = await tocsin("send", "hook/e", "-d", data, *words, cwd=folder)
    assert code == 0, problem


async def test_actions_are_told_and_not_done_nor_later(tmp_path):
    async with sink() as target:
        write(tmp_path, target)
        async with started(tmp_path, "run", ".", "--dry-run", *SECRET) as run:
            await run.until(UP)
            assert "dry: actions are told, not done" in run.text
            await send(tmp_path, "dry")
            await run.until("would send POST http://127.0.0.1")
            assert '"body": "{\\"id\\":\\"dry\\"}"' in run.text
            assert "<Secret keys/one>" in run.text
            assert "hidden" not in run.text
            assert "Successfully" not in run.text

            async with asyncio.timeout(60):  # what came of it is told a moment after the deed
                while "done: would send POST" not in (await tocsin("why", "show", cwd=tmp_path))[1]:
                    pass
            assert await run.stop() == 0

        async with started(tmp_path, "run", ".", *SECRET) as run:
            await run.until(UP)
            await send(tmp_path, "real")
            await run.until(lambda: target.ids)
            assert target.ids == {"/ real": 1}
            await run.stop()


async def test_on_a_bus_of_others_it_reads_beside_the_real_sensor(tmp_path):
    real, dry = tmp_path / "real", tmp_path / "dry"
    real.mkdir()
    dry.mkdir()
    async with sink() as target, nats_server(tmp_path) as server:
        write(real, target)
        write(dry, target)
        bus = ("--bus", server.url)
        async with started(real, "run", ".", *bus, *SECRET) as running:
            await running.until(UP)
            async with started(dry, "run", ".", *bus, *SECRET, "--dry-run") as shadow:
                await shadow.until(UP)
                assert "Running 0 event sources and 1 sensor, dry" in shadow.text
                await send(real, "one", *bus)
                await shadow.until("would send POST")
                await running.until(lambda: target.ids)
                assert target.ids == {"/ one": 1}
                async with asyncio.timeout(60):
                    while (await tocsin("why", "show.dry-run", *bus, cwd=dry))[0]:
                        pass
                await shadow.stop()
            async with opened({}, server.url, "") as found:
                assert [one.durable for one in await found.readers(EVENTS)] == ["sensor-show"]
            await send(real, "two", *bus)
            await running.until(lambda: len(target.ids) == 2)
            await running.stop()
