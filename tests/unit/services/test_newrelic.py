"""What New Relic is sent."""

from typing import Any

import pytest
from services_kit import Reply, talk

from services.newrelic import Newrelic, NewrelicBlock
from services.service import Message
from spine.errors import TriggerError
from spine.lang import gotemplate


def newrelic() -> Any:
    return talk(Newrelic, {"apiKey": "k3y"})


async def test_a_deployment() -> None:
    block = {"revision": "abc", "changelog": "all of it", "user": "ada", "description": ""}
    async with newrelic() as (client, at):
        at.answers["/deployments.json"] = Reply(201, {"deployment": {"id": 1}})
        await client.send(Message(text="deployed", block=block), "42/..", "k")

    assert at.last.path == "/v2/applications/42%2F../deployments.json"
    assert at.last.headers["x-api-key"] == "k3y"
    assert at.last.json == {
        "deployment": {
            "revision": "abc",
            "changelog": "all of it",
            "description": "deployed",
            "user": "ada",
        }
    }


async def test_what_is_not_said_is_left_out_and_extra_is_sent() -> None:
    block = {"revision": "7", "description": "own", "user": "<no value>"}
    block |= {"extra": {"timestamp": "2026-01-01"}}
    async with newrelic() as (client, at):
        await client.send(Message(text="a", block=block), "42", "k")
    assert at.last.json["deployment"] == {
        "revision": "7",
        "description": "own",
        "timestamp": "2026-01-01",
    }


@pytest.mark.parametrize("block", [{}, {"user": "a"}, {"revision": "<no value>"}], ids=str)
async def test_a_revision_is_needed(block: dict[str, Any]) -> None:
    async with newrelic() as (client, at):
        with pytest.raises(TriggerError, match="no revision") as caught:
            await client.send(Message(text="a", block=block), "42", "k")
    assert caught.value.permanent
    assert "newrelic.revision" in caught.value.hint
    assert at.got == []


async def test_its_refusal_is_one() -> None:
    async with newrelic() as (client, at):
        at.reply = lambda _: Reply(404, {"error": {"title": "no application with that id"}})
        with pytest.raises(TriggerError, match="no application with that id") as caught:
            await client.send(Message(block={"revision": "1"}), "42", "k")
    assert caught.value.permanent


SYNCED = {"status": {"operationState": {"syncResult": {"revision": "abc"}}}}
COMMIT = {"Message": "fix", "Author": "Ada"}


@pytest.mark.parametrize(
    ("app", "told"),
    [
        (SYNCED, {"revision": "abc", "changelog": "fix abc", "user": "Ada"}),
        ({"status": {}}, {"revision": "<no value>", "changelog": "", "user": ""}),
    ],
    ids=["synced", "never synced"],
)
def test_what_is_not_written_comes_from_the_application(app: Any, told: dict[str, str]) -> None:
    def commit(sha: str) -> dict[str, str]:
        return {**COMMIT, "Message": f"fix {sha}"}

    variables = {"app": app, "repo": {"GetCommitMetadata": commit}}
    rendered = {
        key: gotemplate.compile(text).render(variables)
        for key, text in NewrelicBlock.defaults.items()
    }
    assert rendered == told
