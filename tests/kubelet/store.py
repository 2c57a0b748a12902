"""What there is in the cluster, kept up to date by watches."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from spine.errors import KubeError
from spine.kube import Change, Page, follow
from spine.kube.client import Kube

log = logging.getLogger(__name__)

Manifest = dict[str, Any]

KINDS = {
    "Pod": "v1", "Secret": "v1", "ConfigMap": "v1", "Service": "v1", "PersistentVolume": "v1",
    "PersistentVolumeClaim": "v1", "EndpointSlice": "discovery.k8s.io/v1",
}  # fmt: skip


class Seen(NamedTuple):
    """One object has come, changed or gone."""

    kind: str
    namespace: str
    name: str


async def steadily(changed: asyncio.Event, look: Callable[[], Awaitable[None]]) -> None:
    """Look at each change for ever; where that fails, once more after a moment."""
    while True:
        await changed.wait()
        changed.clear()
        try:
            await look()
        except (KubeError, OSError) as exc:
            log.warning("%s: %s", look.__qualname__, exc)
            await asyncio.sleep(0.2)
            changed.set()


class Refused(Exception):
    """What a pod needs is not there yet, or never will be: reason and message of its status."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


class Store:
    """All objects that matter to pods."""

    def __init__(self, kube: Kube) -> None:
        self.kube = kube
        self._objects: dict[str, dict[tuple[str, str], Manifest]] = {kind: {} for kind in KINDS}
        self._listed = {kind: asyncio.Event() for kind in KINDS}
        self.listeners: list[Callable[[Seen], None]] = []

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return self._objects[kind].get((namespace, name))

    def all(self, kind: str, namespace: str = "") -> list[Manifest]:
        items = self._objects[kind].items()
        return [made for (space, _), made in items if not namespace or space == namespace]

    async def run(self) -> None:
        """Keep everything up to date for ever."""
        async with asyncio.TaskGroup() as group:
            for kind, version in KINDS.items():
                group.create_task(self._follow(kind, version))

    async def listed(self) -> None:
        """Wait until everything has been seen once."""
        for event in self._listed.values():
            await event.wait()

    async def _follow(self, kind: str, version: str) -> None:
        resource = await self.kube.discovery.kind(version, kind)
        objects, fresh = self._objects[kind], set[tuple[str, str]]()
        async for told in follow(self.kube, resource):
            if isinstance(told, Page):
                fresh = set() if told.first else fresh
                for item in told.items:
                    key = (item.meta.namespace, item.meta.name)
                    fresh.add(key)
                    self._set(kind, key, item.raw)
                for key in set(objects) - fresh if told.last else ():
                    self._gone(kind, key)
                if told.last:
                    self._listed[kind].set()
            elif isinstance(told, Change) and told.type != "BOOKMARK":
                key = (told.item.meta.namespace, told.item.meta.name)
                if told.type == "DELETED":
                    self._gone(kind, key)
                else:
                    self._set(kind, key, told.item.raw)

    def _set(self, kind: str, key: tuple[str, str], raw: bytes) -> None:
        self._objects[kind][key] = msgspec.json.decode(raw)
        self._tell(kind, key)

    def _gone(self, kind: str, key: tuple[str, str]) -> None:
        self._objects[kind].pop(key, None)
        self._tell(kind, key)

    def _tell(self, kind: str, key: tuple[str, str]) -> None:
        for listener in self.listeners:
            listener(Seen(kind, *key))

    async def send(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> Manifest:
        """Ask the API server. Raises KubeError."""
        content = None if body is None else msgspec.json.encode(body)
        answer = await self.kube.session.request(
            method, path, body=content, content_type=content_type
        )
        return msgspec.json.decode(answer) if answer else {}

    async def patch_status(self, path: str, status: Manifest) -> None:
        """Change the status of an object. Raises KubeError."""
        kind = "application/strategic-merge-patch+json"
        await self.send("PATCH", f"{path}/status", {"status": status}, kind)

    async def ensure(self, path: str, made: Manifest) -> None:
        """Create an object that may be there already. Raises KubeError."""
        try:
            await self.send("POST", path, made)
        except KubeError as exc:
            if exc.reason != "AlreadyExists":
                raise
