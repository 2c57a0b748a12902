"""A stand-in for SQS that is quick, so that what clients cost shows.

Run as `python -m benchmarks.sqs_server PORT`.

It has as many queues as are asked for, each full of messages of 1 KiB, and of the API what it
takes to receive and delete them. It keeps nothing hidden: its clients are to delete all.
"""

import itertools
import json
import sys
from collections import deque
from typing import Any

from aiohttp import web

from benchmarks.stage import body

COUNT = 10_000


class Queues:
    """The queues by name, made and filled when they are asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._bodies = [body(number=n).decode() for n in range(COUNT)]
        self._numbers = itertools.count()
        self._queues: dict[str, deque[str]] = {}

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a call of the API."""
        asked = json.loads(await request.read())
        found = getattr(self, request.headers["X-Amz-Target"].rpartition(".")[2])(asked)
        return web.Response(body=json.dumps(found), content_type="application/x-amz-json-1.0")

    def GetQueueUrl(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- as AWS has it
        """Return the URL of a queue."""
        name = asked["QueueName"]
        self._queues.setdefault(name, deque(self._bodies))
        return {"QueueUrl": f"http://127.0.0.1:{self._port}/1/{name}"}

    def ReceiveMessage(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- as AWS has it
        """Return the next messages."""
        waiting = self._queues[asked["QueueUrl"].rpartition("/")[2]]
        count = min(asked["MaxNumberOfMessages"], len(waiting))
        numbers = [str(next(self._numbers)) for _ in range(count)]
        return {
            "Messages": [
                {"MessageId": n, "ReceiptHandle": n, "Body": waiting.popleft(), "Attributes": {}}
                for n in numbers
            ]
        }

    def DeleteMessage(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- as AWS has it
        """Take any message for deleted."""
        return {}

    def DeleteMessageBatch(self, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 -- as AWS has it
        """Take all messages for deleted."""
        return {"Successful": [{"Id": one["Id"]} for one in asked["Entries"]], "Failed": []}


if __name__ == "__main__":
    number = int(sys.argv[1])
    application = web.Application(client_max_size=2**20)
    application.router.add_post("/{path:.*}", Queues(number).answer)
    web.run_app(application, host="127.0.0.1", port=number, print=None, access_log=None)
