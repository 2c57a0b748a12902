"""A webhook with a filter, over real sockets: the sender never learns what is filtered."""

import json

from hooks import Talk, running
from ports import free_port

from delivery.dead import list_dead


async def test_only_what_passes_is_sent_on():
    port = free_port()
    hook = {"endpoint": "/a", "port": str(port), "method": "POST"}
    expression = 'body.action == "opened" && header["X-Kind"][0] in ["issue", "pull"]'
    spec = {"webhook": {"build": {**hook, "filter": {"expression": expression}}}}
    async with running(spec) as source, Talk(port) as client:
        for kind, action in (("pull", "opened"), ("pull", "closed"), ("push", "opened")):
            body = json.dumps({"action": action}).encode()
            status, text, _ = await client.ask(
                "/a", body, X_Kind=kind, Content_Type="application/json"
            )
            assert (status, text) == (200, "success")

        (event,) = await source.events()
        assert json.loads(event.data or b"")["body"] == {"action": "opened"}
        assert [letter async for letter in list_dead(source.bus)] == []


async def test_what_cannot_be_judged_is_a_dead_letter():
    port = free_port()
    hook = {"endpoint": "/a", "port": str(port), "method": "POST"}
    spec = {"webhook": {"build": {**hook, "filter": {"expression": "body.n > 2"}}}}
    async with running(spec) as source, Talk(port) as client:
        status, _, _ = await client.ask("/a", b'{"n":"3"}', Content_Type="application/json")

        assert status == 200
        assert await source.events() == []
        (entry,) = [letter async for letter in list_dead(source.bus)]
        assert (entry.letter.place, entry.letter.code) == ("build", "FilterFailed")
