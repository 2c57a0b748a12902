"""`tocsin send`, `tail` and `dlq` beside a `tocsin run`."""

import asyncio
import json

import pytest
from nats_server import find_binary, nats_server
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
    - {name: dep, eventSourceName: hook, eventName: e}
  triggers:
    - template:
        name: out
        http:
          url: %(sink)s/
          payload:
            - {src: {dependencyName: dep, dataKey: body.id}, dest: id}
            - {src: {dependencyName: dep, dataKey: header.X-Team.0, value: none}, dest: team}
      retryStrategy: {steps: 1}
""",
    "e",
)


@pytest.fixture(autouse=True)
def _server_is_there() -> None:
    find_binary()


def write(folder, target) -> None:
    text = MANIFESTS % {"port": free_port(), "sink": target.url}
    (folder / "all.yaml").write_text(text)


async def test_send_is_what_the_source_would_have_sent(tmp_path):
    async with sink() as target:
        write(tmp_path, target)
        (tmp_path / "body.json").write_text('{"id": "file"}\n')
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)

            words = ("send", "hook/e", "-d", "@body.json", "-H", "x-team: web", "--id", "one")
            sent = await tocsin(*words, cwd=tmp_path)
            again = await tocsin(*words, cwd=tmp_path)
            piped = await tocsin("send", "hook/e", "-d", "-", cwd=tmp_path, stdin=b'{"id": "-"}')
            raw = await tocsin("send", "hook/e", "--raw", "-d", '{"body": {"id": 1}}', cwd=tmp_path)

            assert (sent[0], sent[1], again[0], piped[0], raw[0]) == (0, "one\n", 0, 0, 0)
            await run.until(lambda: len(target.ids) == 3)
            bodies = sorted((b["id"], b["team"]) for _, _, b in target.requests)
            assert bodies == [("-", "none"), ("1", "none"), ("file", "web")]
            await run.stop()


async def test_send_to_a_server_by_address(tmp_path):
    async with nats_server(tmp_path) as server:
        sent = await tocsin("send", "a/b", "-d", "1", "--bus", server.url, cwd=tmp_path)
        tail = await tocsin(
            "tail", "--no-follow", "-o", "json", cwd=tmp_path, TOCSIN_BUS=server.url
        )

        impossible = await tocsin("send", "a.b/c", "-d", "1", "--bus", server.url, cwd=tmp_path)
        none = await tocsin("dlq", "list", "--sensor", "x", "--bus", server.url, cwd=tmp_path)

    assert impossible[0] == 2
    assert "'a.b' cannot be in a subject" in impossible[2]
    unknown = "tocsin: no Sensor 'x' has been seen here (there are none yet)\n"
    assert none == (0, "", f"no dead letters\n{unknown}")
    assert sent[0] == 0, sent
    (line,) = tail[1].splitlines()
    event = json.loads(line)
    assert event["id"] == sent[1].strip()
    assert (event["source"], event["event"], event["type"]) == ("a", "b", "webhook")
    assert event["data"] == {"header": {"Content-Type": ["application/json"]}, "body": 1}


BAD = [
    (("tail", "--source", "a b", "--bus", "x"), "reading --source 'a b': no EventSource is called"),
    (("dlq", "drop", "--all", "--limit", "-1"), "-1 is not in the range x>=1"),
    (("send", "a/b", "-d", "1"), "looking for a running `tocsin run` in .tocsin: there is none"),
    (("send", "ab", "-d", "1", "--bus", "x"), "reading 'ab': not of the form SOURCE/EVENT"),
    (("send", "a/b", "-d", "{", "--bus", "x"), "reading --data '{': not JSON"),
    (("send", "a/b", "-d", "@no", "--bus", "x"), "reading no: No such file"),
    (("send", "a/b", "-d", "1", "-H", "x", "--bus", "x"), "not of the form 'NAME: VALUE'"),
    (
        ("dlq", "retry", "--bus", "x"),
        "choosing dead letters: give their numbers, or --all, or what",
    ),
    (("tail", "--since", "1x", "--bus", "nats://127.0.0.1:9"), "reading duration '1x'"),
    (("run", "nowhere"), "reading nowhere: No such file or directory"),
    (("run", ".", "--secret", "x"), "reading --secret 'x': not of the form NAME.KEY=VALUE"),
    (("lint", "nowhere"), "reading nowhere: No such file or directory"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[m for _, m in BAD])
async def test_wrong_use_is_told_in_one_line(tmp_path, words, message):
    code, _, err = await tocsin(*words, cwd=tmp_path)

    assert code == 2
    assert message in err
    assert err.startswith("Usage:") or len(err.strip().splitlines()) == 1


async def test_a_bus_that_is_away_is_not_the_users_mistake(tmp_path):
    code, _, err = await tocsin("send", "a/b", "-d", "1", "--bus", "nats://127.0.0.1:9",
                                cwd=tmp_path)  # fmt: skip

    assert code == 1
    why = "connecting to nats://127.0.0.1:9: nothing listens on port 9"
    hint = "(is the bus running and reachable? give its address with --bus or TOCSIN_BUS)"
    assert err.splitlines() == [f"tocsin: the bus is away: {why}", f"tocsin: {why} {hint}"]


async def test_tail_shows_events_and_actions_live(tmp_path):
    async with sink() as target:
        write(tmp_path, target)
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            async with (
                started(tmp_path, "tail") as everything,
                started(tmp_path, "tail", "--sensor", "show", "-o", "json") as actions,
                started(tmp_path, "tail", "--sensor", "other") as nothing,
            ):
                number = 0
                while not (everything.lines and actions.lines):
                    number += 1
                    assert number < 40
                    await tocsin("send", "hook/e", "-d", f'{{"id": {number}}}', cwd=tmp_path)
                await everything.until("event       hook/e  webhook ")
                await everything.until("done        show/out  200 ")
                found = json.loads(actions.lines[0])
                assert (found["what"], found["trigger"], found["result"]) == (
                    "action",
                    "out",
                    "done",
                )
                unknown = "tocsin: no Sensor 'other' has been seen here (there are show)"
                await nothing.until(unknown)
                assert nothing.lines == [unknown]
                assert await everything.stop() == 130
            await run.stop()


async def test_dead_letters_are_listed_shown_retried_and_dropped(tmp_path):
    async with sink() as target:
        write(tmp_path, target)
        target.status = lambda _path, _body: 400
        async with started(tmp_path, "run", ".") as run:
            await run.until(UP)
            for number in (1, 2, 3):
                await tocsin("send", "hook/e", "-d", f'{{"id": {number}}}', cwd=tmp_path)
            await run.until(lambda: len(target.requests) == 3)

            async def listed() -> list[dict]:
                _, out, _ = await tocsin("dlq", "list", "-o", "json", cwd=tmp_path)
                return [json.loads(line) for line in out.splitlines()]

            async with asyncio.timeout(120):
                while len(letters := await listed()) < 3:
                    pass
            assert {(x["component"], x["object"], x["place"]) for x in letters} == {
                ("sensor", "show", "out")
            }
            assert "400" in letters[0]["message"]
            text = (await tocsin("dlq", "list", cwd=tmp_path))[1]
            assert "sensor show/out" in text

            first, second, third = (str(x["number"]) for x in letters)
            shown = json.loads((await tocsin("dlq", "show", first, cwd=tmp_path))[1])
            assert shown["action"]["trigger"] == "out"
            assert shown["events"]["dep"]["data"]["body"] == {"id": 1}
            told = (await tocsin("dlq", "show", first, "-f", "all.yaml", cwd=tmp_path))[1]
            assert told.splitlines()[-1].startswith("fired: trigger out would send POST ")

            counted = (await tocsin("dlq", "list", "--count", cwd=tmp_path))[1]
            assert counted.split() == ["3", "sensor", "show/out", "TriggerFailed"]
            by = ("--place", "out", "--code", "Trigger*", "--since", "1h", "--grep", "400")
            _, out, err = await tocsin("dlq", "retry", *by, "--dry-run", cwd=tmp_path)
            assert (len(out.splitlines()), err) == (3, "3 would be retried\n")
            _, out, err = await tocsin("dlq", "drop", "--older-than", "1h", cwd=tmp_path)
            assert (out, err) == ("", "")

            target.status = lambda _path, _body: 200
            code, out, _ = await tocsin("dlq", "retry", first, cwd=tmp_path)
            assert (code, out) == (0, f"{first}: back to trigger out of sensor show\n")
            await run.until(lambda: len(target.ids) == 1)
            assert (await tocsin("dlq", "drop", second, cwd=tmp_path))[1] == f"{second}: dropped\n"
            assert [str(x["number"]) for x in await listed()] == [third]

            code, _, err = await tocsin("dlq", "drop", "999", cwd=tmp_path)
            assert (code, "looking up dead letter 999: there is none" in err) == (1, True)
            edit = ("dlq", "edit", third, "--set", "body.id=30", "--retry")
            code, out, _ = await tocsin(*edit, cwd=tmp_path)
            assert (code, out.splitlines()[0]) == (0, f"{third}: edited, now {int(third) + 1}")
            await run.until(lambda: len(target.ids) == 2)
            assert {body["id"] for _, _, body in target.requests} == {"1", "2", "3", 30}
            assert await listed() == []
            await run.stop()
