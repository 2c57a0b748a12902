"""A stand-in for an API server that tells of changes faster than a real one on the same cores.

It has Pods of about 3 KB, one ConfigMap and no Secret. After `POST /go?rate=R&seconds=S` it tells
of R changes a second; one in a hundred makes a Pod fail. `GET /told` says how many it told.

Run: python -m benchmarks.api_server PORT OBJECTS SINK_URL
"""

import asyncio
import json
import sys
import time
from typing import Any

import uvloop
from aiohttp import web

TRIGGERS = 50
PAGE = 500
FAILS = 100
"""One of so many changes makes a Pod fail."""


def configuration(url: str) -> dict[str, str]:
    """Return a configuration with many triggers, of which one is met at a time."""
    data = {
        "service.webhook.hook": f"url: {url}",
        "template.failed": 'message: \'{"sent":"{{ .pod.status.sent }}"}\'',
        "subscriptions": json.dumps(
            [{"recipients": ["hook"], "triggers": [f"on-{n}" for n in range(TRIGGERS)]}]
        ),
    }
    for number in range(TRIGGERS):
        when = f"pod.status.phase == 'Failed' and pod.status.code == {number}"
        data[f"trigger.on-{number}"] = json.dumps([{"when": when, "send": ["failed"]}])
    return data


class Pods:
    """All objects, and who watches them."""

    def __init__(self, count: int, url: str) -> None:
        self.version = count
        self.told = self.failed = 0
        self.configuration = configuration(url)
        self.pods = [self._pod(number) for number in range(count)]
        self.watchers: list[asyncio.Queue[bytes]] = []

    def _pod(self, number: int) -> dict[str, Any]:
        name = f"pod-{number:05d}"
        labels = {"app": f"app-{number % 40}", "team": f"team-{number % 7}"}
        env = [{"name": f"SETTING_{n}", "value": f"{n}" * 24} for n in range(36)]
        container = {"name": "main", "image": "registry.example/app:1.2.3", "env": env}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": f"ns-{number % 20}",
                "uid": f"00000000-0000-0000-0000-{number:012d}",
                "resourceVersion": str(number + 1),
                "labels": labels,
            },
            "spec": {"containers": [container], "restartPolicy": "Always"},
            "status": {"phase": "Running", "podIP": "10.1.2.3", "sent": "", "code": 0},
        }

    def change(self) -> bytes:
        """Change the next Pod and return the line that tells of it."""
        self.told += 1
        pod = self.pods[(self.told * 7919 + self.told // FAILS) % len(self.pods)]
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        status = pod["status"]
        status["phase"] = "Running"
        if self.told % FAILS == 0:
            self.failed += 1
            status["phase"], status["code"] = "Failed", self.told // FAILS % TRIGGERS
            status["sent"] = f"{time.time():.6f}"
        return json.dumps({"type": "MODIFIED", "object": pod}).encode() + b"\n"

    async def go(self, rate: float, seconds: float) -> None:
        """Tell of changes at an even rate."""
        began, count = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            due = int(passed * rate) - count
            lines = b"".join(self.change() for _ in range(due))
            count += due
            for watcher in self.watchers:
                watcher.put_nowait(lines)
            await asyncio.sleep(0.002)


async def pods(request: web.Request) -> web.StreamResponse:
    """List or watch."""
    all_pods = request.app["pods"]
    if request.query.get("watch"):
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        all_pods.watchers.append(queue)
        while True:
            await response.write(await queue.get())
    start = int(request.query.get("continue") or 0)
    items = all_pods.pods[start : start + PAGE]
    more = start + PAGE if start + PAGE < len(all_pods.pods) else ""
    metadata = {"resourceVersion": str(all_pods.version), "continue": str(more)}
    return web.json_response({"kind": "PodList", "metadata": metadata, "items": items})


async def core(_: web.Request) -> web.Response:
    """Say which kinds there are."""
    names = {"pods": "Pod", "configmaps": "ConfigMap", "secrets": "Secret"}
    verbs = ["get", "list", "watch"]
    kinds = [
        {"name": name, "kind": kind, "namespaced": True, "verbs": verbs}
        for name, kind in names.items()
    ]
    return web.json_response({"kind": "APIResourceList", "resources": kinds})


async def config_map(request: web.Request) -> web.Response:
    """Return the configuration."""
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}}
    return web.json_response({**found, "data": request.app["pods"].configuration})


async def go(request: web.Request) -> web.Response:
    """Begin to tell of changes; answer when it is over."""
    rate, seconds = float(request.query["rate"]), float(request.query["seconds"])
    await request.app["pods"].go(rate, seconds)
    return await told(request)


async def told(request: web.Request) -> web.Response:
    """Say how many changes were told."""
    found = request.app["pods"]
    return web.json_response({"told": found.told, "failed": found.failed})


def main(port: int, count: int, url: str) -> None:
    """Serve on loopback."""
    app = web.Application()
    app["pods"] = Pods(count, url)
    app.add_routes(
        [
            web.get("/api/v1", core),
            web.get("/api/v1/pods", pods),
            web.get("/api/v1/namespaces/{space}/configmaps/{name}", config_map),
            web.post("/go", go),
            web.get("/told", told),
        ]
    )
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
