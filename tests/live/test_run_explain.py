"""`tocsin explain` and `tocsin why` beside a `tocsin run`."""

import asyncio
import json

import pytest
from nats_server import find_binary
from ports import free_port
from sink import sink
from tocsin_run import UP, behind_hook, started, tocsin

MANIFESTS = behind_hook(
    """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: show}
spec:
  dependencies:
    - name: dep
      eventSourceName: hook
      eventName: e
      filters:
        data: [{path: body.n, type: number, comparator: ">=", value: ["10"]}]
    - {name: other, eventSourceName: hook, eventName: f}
  triggers:
    - template:
        name: out
        conditions: dep
        http:
          url: %(sink)s/
          payload:
            - {src: {dependencyName: dep, dataKey: body.id}, dest: id}
      retryStrategy: {steps: 1}
    - template:
        name: both
        conditions: dep && other
        log: {}
""",
    "e",
    "f",
)


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


async def send(folder, identity: str, number: int, event: str = "e") -> None:
    body = json.dumps({"id": identity, "n": number})
    code, _, problem = await tocsin(
        "send", f"hook/{event}", "-d", body, "--id", identity, cwd=folder
    )
    assert code == 0, problem


async def test_the_bus_is_asked_why(tmp_path):
    async with sink() as target:
        manifests = tmp_path / "all.yaml"
        manifests.write_text(MANIFESTS % {"port": free_port(), "sink": target.url})
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            await send(tmp_path, "small", 5)
            await send(tmp_path, "large", 50)
            await run.until(lambda: target.ids == {"/ large": 1})

            async with asyncio.timeout(60):  # what came of it is told a moment after the deed
                out = ""
                while '"done"' not in out or len(out.splitlines()) < 2:
                    code, out, problem = await tocsin("why", "show", "-o", "json", cwd=tmp_path)
            assert code == 0, problem
            small, large = (json.loads(line) for line in out.splitlines())
            assert (small["id"], small.get("fired", False)) == ("small", False)
            assert small["text"] == "did not fire: dependency dep: body.n is 5, not >= 10 (number)"
            assert (large["id"], large["fired"]) == ("large", True)
            assert large["text"].startswith("fired: trigger out is to send POST http://")
            assert [t["code"] for t in large["triggers"]] == ["Fired", "Waiting"]
            assert [a["result"] for a in large["actions"]] == ["done"]
            assert large["actions"][0]["summary"].startswith("200")

            code, out, _ = await tocsin("why", "show", "--event-id", "small", cwd=tmp_path)
            assert (code, len(out.splitlines())) == (0, 1)
            assert out.endswith("not >= 10 (number)\n")
            code, out, _ = await tocsin("why", "show", "--trigger", "both", cwd=tmp_path)
            assert code == 0
            assert "large" in out
            assert "small" not in out

            code, _, problem = await tocsin("why", "shwo", cwd=tmp_path)
            assert (code, "did you mean show" in problem) == (2, True)
            code, _, problem = await tocsin("why", "show", "--event-id", "none", cwd=tmp_path)
            assert (code, "none of that id" in problem) == (2, True)

            words = ("explain", "all.yaml", "--event-id", "small")
            code, out, _ = await tocsin(*words, cwd=tmp_path)
            assert code == 1
            last = "did not fire: dependency dep: data filter: body.n is 5, not >= 10 (number)"
            assert out.splitlines()[-1] == last

            code, out, _ = await tocsin(
                "explain", "all.yaml", "--last", "2", "-o", "json", cwd=tmp_path
            )
            assert code == 0
            found = json.loads(out)
            assert [one["event"]["id"] for one in found["events"]] == ["small", "large"]

            other = tmp_path / "f.json"
            other.write_text('{"body": {}}')
            alone = ("explain", "all.yaml", "-e", "other=f.json", "-o", "json")
            _, out, _ = await tocsin(*alone, cwd=tmp_path)
            assert (
                json.loads(out)["text"]
                == "did not fire: trigger both: "
                + (json.loads(out)["text"].partition("trigger both: ")[2])
            )
            assert "waits for dep (has other since" in json.loads(out)["text"]
            code, out, _ = await tocsin(*alone, "--with-state", cwd=tmp_path)
            assert code == 0, out
            assert json.loads(out)["text"].startswith("fired: trigger both would log 2 events")

            tail = await tocsin("tail", "--no-follow", "-o", "json", cwd=tmp_path)
            assert all(
                "result" in json.loads(x) or "data" in json.loads(x) for x in tail[1].splitlines()
            )
            await run.stop()


async def test_where_no_decision_is_kept_it_is_told_how_that_may_be(tmp_path):
    async with sink() as target:
        manifests = tmp_path / "all.yaml"
        manifests.write_text(MANIFESTS % {"port": free_port(), "sink": target.url})
        async with started(tmp_path, "run", ".", TOCSIN_DECISIONS="off") as run:
            await run.until(UP)
            code, _, problem = await tocsin("why", "show", cwd=tmp_path)
            assert (code, problem) == (
                1,
                "no decision of Sensor show is kept since 1h ago: it has read all that there is\n",
            )
            await send(tmp_path, "large", 50)
            await run.until(lambda: target.ids == {"/ large": 1})
            code, _, problem = await tocsin("why", "show", "--event-id", "large", cwd=tmp_path)
            assert code == 1
            assert "TOCSIN_DECISIONS=all" in problem
            words = ("why", "show", "--event-id", "large", "--file", "all.yaml")
            code, out, _ = await tocsin(*words, cwd=tmp_path)
            assert code == 0
            assert "evaluated again, by all.yaml" in out
            assert out.splitlines()[-1].startswith("fired: trigger out would send POST")
            await run.stop()
