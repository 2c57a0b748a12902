"""`tocsin run --watch`: an edit restarts what it concerns, and nothing else."""

import asyncio
from pathlib import Path

import httpx
import pytest
from nats_server import find_binary
from ports import free_port
from sink import sink
from tocsin_run import UP, Run, started

BUS = """\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default}
spec: {jetstream: {version: latest}}
"""
SOURCE = """\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: %(name)s}
spec:
  webhook:
    e: {port: "%(port)d", endpoint: /e%(more)s}
"""
SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: %(name)s}
spec:
  dependencies:
    - {name: dep, eventSourceName: %(source)s, eventName: e}
  triggers:
    - template:
        name: out
        http:
          url: %(sink)s/%(name)s
          payload:
            - {src: {dependencyName: dep, dataKey: body.id}, dest: id}
            - {src: {dependencyName: dep, value: %(word)s}, dest: word}
"""
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: hub}\nstringData: {token: %s}\n"


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


async def post(port: int, number: int, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(timeout=60) as client:
        url = f"http://127.0.0.1:{port}/e"
        return (await client.post(url, json={"id": number}, headers=headers)).status_code


def words(target, path: str) -> dict[str, str]:
    return {body["id"]: body["word"] for _, where, body in target.requests if where == path}


async def replaced(file: Path, text: str) -> None:
    """Write a file as editors do: another one takes its place."""
    draft = file.with_suffix(".swp")
    draft.write_text(text)
    draft.replace(file)


async def test_edits(tmp_path):
    async with sink() as target:
        first, second = free_port(), free_port()

        def sensor(name: str, source: str, word: str) -> str:
            values = {"name": name, "source": source, "sink": target.url, "word": word}
            return SENSOR % values

        def write(name: str, text: str) -> None:
            (tmp_path / f"{name}.yaml").write_text(text)

        write("bus", BUS)
        write("hook", SOURCE % {"name": "hook", "port": first, "more": ""})
        write("show", sensor("show", "hook", "old"))
        async with started(tmp_path, "run", ".", "--watch") as run:
            await run.until(UP)
            await run.until("watching .")
            hook, show = run.pid_of("EventSource", "hook"), run.pid_of("Sensor", "show")

            # a changed Sensor: it alone is another process, and no event is lost meanwhile
            await replaced(tmp_path / "show.yaml", sensor("show", "hook", "new"))
            for number in range(20):
                assert await post(first, number) == 200
                await asyncio.sleep(0.05)
            await run.until("manifests changed: sensor show changed")
            await post(first, 20)
            await run.until(lambda: len(target.seen("/show")) == 21)
            assert words(target, "/show")["20"] == "new"
            assert set(target.ids.values()) == {1}
            assert run.pid_of("EventSource", "hook") == hook
            assert run.pid_of("Sensor", "show") != show
            show = run.pid_of("Sensor", "show")

            # a broken edit: reported, and what runs goes on
            await replaced(tmp_path / "show.yaml", "a: [")
            await run.until("what runs is kept as it was")
            assert "show.yaml:" in run.text
            await post(first, 21)
            await run.until(lambda: "21" in target.seen("/show"))
            assert run.pid_of("Sensor", "show") == show
            await replaced(tmp_path / "show.yaml", sensor("show", "hook", "new"))

            # new objects
            write("other", SOURCE % {"name": "other", "port": second, "more": ""})
            write("other-sensor", sensor("other", "other", "here"))
            await run.until(lambda: _is_up(run, "EventSource", "other"))
            await run.until("source other new")
            await run.until("sensor other new")
            assert await post(second, 1) == 200
            await run.until(lambda: words(target, "/other") == {"1": "here"})
            assert run.pid_of("Sensor", "show") == show

            # what needs another start
            await replaced(tmp_path / "bus.yaml", BUS.replace("latest", "2.10.0"))
            await run.until("warning: an EventBus was changed: that takes effect when")

            # removed ones
            (tmp_path / "other-sensor.yaml").unlink()
            (tmp_path / "other.yaml").unlink()
            await run.until("source other removed")
            with pytest.raises(httpx.ConnectError):
                await post(second, 2)
            assert await post(first, 22) == 200
            await run.until(lambda: "22" in target.seen("/show"))
            assert await run.stop() == 0


def _is_up(run: Run, kind: str, name: str) -> bool:
    found = [p for p in run.state()["processes"] if (p["kind"], p["name"]) == (kind, name)]
    return bool(found)


async def test_a_changed_secret_concerns_those_that_use_it(tmp_path):
    async with sink() as target:
        port = free_port()
        more = ", authSecret: {name: hub, key: token}"
        values = {"name": "show", "source": "hook", "sink": target.url, "word": "x"}
        (tmp_path / "all.yaml").write_text(
            BUS + "---\n" + SOURCE % {"name": "hook", "port": port, "more": more}
            + "---\n" + SENSOR % values
        )  # fmt: skip
        (tmp_path / "secret.yaml").write_text(SECRET % "one")
        async with started(tmp_path, "run", ".", "--watch") as run:
            await run.until("watching .")
            sensor = run.pid_of("Sensor", "show")
            assert await post(port, 1, "one") == 200

            await replaced(tmp_path / "secret.yaml", SECRET % "two")

            await run.until("manifests changed: source hook changed")
            assert await post(port, 2, "one") == 401
            assert await post(port, 3, "two") == 200
            await run.until(lambda: target.seen("/show") == {"1", "3"})
            assert run.pid_of("Sensor", "show") == sensor
            await run.stop()
