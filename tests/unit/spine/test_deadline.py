"""A limit in time: what came while the process did not run has come in time."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import pytest
import uvloop

from spine.deadline import Deadline
from spine.http import url as gourl
from spine.http.client import Request, open_client

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]
"""One looks at its sockets before its timers, the other after them."""
LIMIT = 1.0


@pytest.mark.looptime(start=0)
async def test_time_that_is_up_is_told() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(5):
            await asyncio.sleep(6)
    async with Deadline(5):
        await asyncio.sleep(4)
    await asyncio.sleep(6)  # nothing is left of it


@pytest.mark.looptime(start=0)
async def test_who_is_cancelled_is_cancelled() -> None:
    async def waiting() -> None:
        async with Deadline(5):
            await asyncio.sleep(9)

    task = asyncio.create_task(waiting())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
def test_an_answer_that_came_while_the_process_stood_still_is_taken(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """The target has done it: to ask again would do it twice."""
    answered = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1 << 16)
                peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                answered.set()
                peer.recv(1)  # until the client closes

        async def ask() -> int:
            url = gourl.parse(f"http://127.0.0.1:{server.getsockname()[1]}/")
            async with open_client({}) as client, asyncio.TaskGroup() as tasks:
                asking = tasks.create_task(client.send(Request("POST", url), LIMIT))
                while client._pool is None or not client._pool._wires:
                    await asyncio.sleep(0)
                assert answered.wait(30)
                time.sleep(LIMIT + 0.1)  # the machine does other things
                return (await asking).status

        target = threading.Thread(target=answer)
        target.start()
        with asyncio.Runner(loop_factory=loop) as runner:
            assert runner.run(ask()) == 204
        target.join(30)
