"""Creates, changes and deletes Kubernetes objects; doing it twice does it once.

A create that finds what the same event made has succeeded; one that finds what an older event of
the same trigger made brings it up to date; an event that comes late undoes nothing that a newer
one did. Deleting what is gone succeeds. So an action may be repeated after any crash.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.changes import put_changes
from sensor.kubernetes.active import Active
from sensor.kubernetes.awaiting import await_policy
from sensor.kubernetes.graves import Graves
from sensor.kubernetes.marks import Mark, made_name, mark_of, marked
from sensor.kubernetes.merging import merged
from sensor.kubernetes.objects import Target, target_of
from sensor.kubernetes.sources import Sources
from spine.errors import ConfigError, KubeError, TriggerError
from spine.kube import Kube, open_kube
from spine.runtime import Env, Memory

log = logging.getLogger(__name__)

CONFLICTS = 6
"""Attempts at an update that somebody else's update came before."""
AGAIN = frozenset({401, 409})
"""Refusals that may pass: an expired token, somebody else's change."""
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

Done = tuple[str, dict[str, Any]]
"""A word for what was done, and the object as it is now."""


@asynccontextmanager
async def open_kubernetes(env: Env) -> AsyncIterator[Sender]:
    """Yield what acts on the cluster that the process belongs to."""
    kube: Kube = await env.shared.get("kube", open_kube)
    yield KubernetesSender(kube, env.namespace, Sources(env), env.memory)


def refused(exc: KubeError, what: str) -> TriggerError:
    """Return what a refusal of the API means for an action."""
    return TriggerError(
        f"{what}: {exc.message}",
        hint=exc.hint,
        retry_after=exc.retry_after,
        permanent=exc.permanent and exc.status not in AGAIN,
    )


class KubernetesSender(Sender):
    """Does what an action of kind `k8s` holds."""

    def __init__(
        self, kube: Kube, namespace: str, sources: Sources, memory: Memory | None = None
    ) -> None:
        self._kube, self._namespace, self._sources = kube, namespace, sources
        self._graves = Graves(memory)
        self._active = Active(kube)
        self._operations: dict[str, Callable[[Target, Action], Awaitable[Done]]] = {
            "create": self.create,
            "update": self._update,
            "patch": self._patch,
            "apply": self._apply,
            "delete": self._delete,
        }

    @property
    def most_active(self) -> int | None:
        """How many objects that it made may run at a time; None: any number."""
        return self._active.most

    @most_active.setter
    def most_active(self, most: int | None) -> None:
        self._active.most = most

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        operation = content["operation"]
        what = f"{operation} of a Kubernetes object"
        try:
            target = await target_of(content, self._kube, self._namespace, self._sources)
            what = f"{operation} {target.shown}"
            word, live = await self._operations[operation](target, action)
            await await_policy(self._kube, target, content, live)
        except KubeError as exc:
            raise refused(exc, what) from exc
        except ConfigError as exc:  # a CRD, a Secret or a file may yet come
            raise TriggerError(f"{what}: {exc}") from exc
        name = (live.get("metadata") or {}).get("name", target.name)
        place = f"{target.namespace}/" if target.namespace else ""
        return Outcome(f"{word} {target.resource.kind} {place}{name}", {"name": name})

    # ------------------------------------------------------------------------ operations

    async def create(self, target: Target, action: Action) -> Done:
        """Create an object, once for each action."""
        made = marked(target.made, action, labels=True)
        if not target.name:
            prefix = made["metadata"].pop("generateName")
            made["metadata"]["name"] = made_name(prefix, action)
        elif await self._graves.after(target.shown, action.event_time):
            return "left out, as a newer event deleted it:", {"metadata": {"name": target.name}}
        name = made["metadata"]["name"]
        try:
            async with self._active.room(target.resource, target.namespace, action):
                raw = await self._kube.create(target.resource, orjson.dumps(made), target.namespace)
        except KubeError as exc:
            if exc.reason != "AlreadyExists":
                raise
            return await self._existing(target, action, name, made, exc)
        return await self._made("created", target, action, orjson.loads(raw))

    async def _made(self, word: str, target: Target, action: Action, live: dict[str, Any]) -> Done:
        """Take an object away again that a newer event deleted while it was made."""
        if not target.name or not await self._graves.after(target.shown, action.event_time):
            return word, live
        await self._remove(target, live)
        return "took away, as a newer event deleted it:", live

    async def _existing(
        self, target: Target, action: Action, name: str, made: dict[str, Any], exc: KubeError
    ) -> Done:
        """Decide about an object that was there before it could be created."""
        live = await self._get(target, name)
        if live is None:
            raise KubeError(f"{exc.message}, and then it was gone", status=409, reason="Conflict")
        mark, own = mark_of(live), Mark.of(action)
        if mark is None or not mark.same_maker(own):
            raise TriggerError(
                f"creating {target.shown}: it exists, and this trigger did not make it",
                hint="use operation apply or update to change it",
                permanent=True,
            )
        if mark.key == own.key:
            return "found, as made by this event,", live
        if mark.time > own.time:
            return "left as a newer event made it:", live
        return "updated", await self._put(target, name, made, live, action)

    async def _update(self, target: Target, action: Action) -> Done:
        live = await self._get(target, target.name)
        if live is None:
            return await self.create(target, action)
        if (late := _late(live, action)) is not None:
            return late
        changes = action.content.get("changes")
        made = target.made
        if action.content.get("liveObject"):
            made = orjson.loads(put_changes(orjson.dumps(live), changes or ()))
        return "updated", await self._put(target, target.name, made, live, action)

    async def _put(
        self,
        target: Target,
        name: str,
        made: Mapping[str, Any],
        live: dict[str, Any],
        action: Action,
    ) -> dict[str, Any]:
        """Lay an object over the live one, again when somebody else was faster."""
        for attempt in range(1, CONFLICTS + 1):
            body = merged(live, marked(made, action, labels=False))
            body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
            try:
                raw = await self._kube.update(
                    target.resource, name, orjson.dumps(body), target.namespace
                )
            except KubeError as exc:
                if exc.reason != "Conflict" or attempt == CONFLICTS:
                    raise
                await asyncio.sleep(0.01 * 2**attempt)
                live = await self._get(target, name) or live
            else:
                found: dict[str, Any] = orjson.loads(raw)
                return found
        raise AssertionError("the last attempt raises")

    async def _patch(self, target: Target, action: Action) -> Done:
        live = await self._get(target, target.name)
        if live is None:
            return await self.create(target, action)
        if (late := _late(live, action)) is not None:
            return late
        strategy = action.content["patchStrategy"]
        if strategy == APPLY:
            return await self._apply(target, action)
        body = marked(target.made, action, labels=False)
        raw = await self._kube.patch(
            target.resource,
            target.name,
            orjson.dumps(body),
            target.namespace,
            patch_type=strategy,
        )
        return "patched", orjson.loads(raw)

    async def _apply(self, target: Target, action: Action) -> Done:
        live = await self._get(target, target.name)
        if live is not None and (late := _late(live, action)) is not None:
            return late
        if live is None and await self._graves.after(target.shown, action.event_time):
            return "left out, as a newer event deleted it:", {"metadata": {"name": target.name}}
        body = orjson.dumps(marked(target.made, action, labels=True))
        raw = await self._kube.apply(target.resource, target.name, body, target.namespace)
        return await self._made("applied", target, action, orjson.loads(raw))

    async def _delete(self, target: Target, action: Action) -> Done:
        await self._graves.dig(target.shown, action.event_time)  # first: who creates looks there
        live = await self._get(target, target.name)
        if live is None:
            return "found no", {}
        mark = mark_of(live)
        if mark is not None and mark.same_maker(Mark.of(action)) and mark.time > action.event_time:
            return "left as a newer event made it:", live
        await self._remove(target, live)
        return "deleted", {}

    async def _remove(self, target: Target, live: Mapping[str, Any]) -> None:
        """Delete an object as it was seen; no error where it is gone."""
        uid = live["metadata"]["uid"]
        try:
            await self._kube.delete(target.resource, target.name, target.namespace, uid=uid)
        except KubeError as exc:
            if exc.status != 404:  # noqa: PLR2004 -- gone meanwhile
                raise

    async def _get(self, target: Target, name: str) -> dict[str, Any] | None:
        try:
            raw = await self._kube.get(target.resource, name, target.namespace)
        except KubeError as exc:
            if exc.status == 404:  # noqa: PLR2004 -- not found
                return None
            raise
        found: dict[str, Any] = orjson.loads(raw)
        return found


def _late(live: Mapping[str, Any], action: Action) -> Done | None:
    """Return why a change is not made: this event, or a newer one of its trigger, made it."""
    mark, own = mark_of(live), Mark.of(action)
    if mark is None or not mark.same_maker(own):
        return None
    if mark.key == own.key:
        return "found, as made by this event,", dict(live)
    return ("left as a newer event made it:", dict(live)) if mark.time > own.time else None
