"""`tocsin replay` beside a `tocsin run`: the stream is the recording."""

import json

import pytest
from nats_server import find_binary
from ports import free_port
from sink import sink
from tocsin_run import UP, behind_hook, started, tocsin

pytestmark = pytest.mark.timeout(300)
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
  triggers:
    - template:
        name: out
        http:
          url: %(sink)s/
          payload:
            - {src: {dependencyName: dep, dataKey: body.n}, dest: id}
      retryStrategy: {steps: 1}
""",
    "e",
)


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


async def test_what_came_is_replayed_held_against_an_edit_and_done(tmp_path):
    async with sink() as target:
        text = MANIFESTS % {"port": free_port(), "sink": target.url}
        (tmp_path / "all.yaml").write_text(text)
        (tmp_path / "edit").mkdir()
        (tmp_path / "edit" / "new.yaml").write_text(text.replace('"10"', '"4"'))
        async with started(tmp_path, "run", "all.yaml") as run:
            await run.until(UP)
            for n in (1, 5, 50):
                body = json.dumps({"n": n})
                await tocsin("send", "hook/e", "-d", body, "--id", f"i{n}", cwd=tmp_path)
            await run.until(lambda: target.ids == {"/ 50": 1})

            code, out, problem = await tocsin("replay", "--since", "1h", cwd=tmp_path)
            assert code == 0, problem
            assert "replayed    3 events of the last 1h" in out
            assert "fires       1 action at 1 event" in out
            assert target.ids == {"/ 50": 1}, "nothing is done"

            words = ("replay", "--sensor", "edit/new.yaml", "--diff")
            code, out, problem = await tocsin(*words, "-o", "json", cwd=tmp_path)
            assert code == 1, problem
            found = json.loads(out)["difference"]
            assert (found["same"], found["changed"], found["gone"]) == (1, [], [])
            (new,) = found["new"]
            assert (new["trigger"], new["count"]) == ("out", 1)
            assert new["samples"][0]["other"].endswith("body.n is 5, not >= 10 (number)")

            code, _, problem = await tocsin(*words, "--fire", cwd=tmp_path, stdin=b"n\n")
            assert (code, problem) == (1, "Do 1 action? [y/N]: nothing was done\n")
            code, _, problem = await tocsin(*words, "--fire", cwd=tmp_path)
            assert (code, "nobody answers, so nothing was done (give --yes" in problem) == (2, True)
            code, _, problem = await tocsin(*words, "--fire", "--yes", cwd=tmp_path)
            assert code == 1, problem
            await run.until(lambda: target.ids == {"/ 50": 1, "/ 5": 1})
            code, _, problem = await tocsin("replay", "--fire", "--anew", "--yes", cwd=tmp_path)
            assert code == 0, problem
            await run.until(lambda: target.ids == {"/ 50": 2, "/ 5": 1})
            await run.stop()


async def test_without_a_run_a_sensor_must_be_given(tmp_path):
    code, _, problem = await tocsin("replay", "--bus", "nats://127.0.0.1:1", cwd=tmp_path)
    assert code == 2
    assert "choosing a Sensor: none is given" in problem
    code, _, problem = await tocsin("replay", "--diff", cwd=tmp_path)
    assert (code, "--diff needs --sensor NEW.yaml" in problem) == (2, True)
