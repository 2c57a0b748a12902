"""Follows all objects of a kind: a list, then every change, without a gap.

A watch that ends goes on where it stopped. Only when the server no longer knows that place is
everything listed again; whoever follows compares then. Nothing is decoded but metadata.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from spine.errors import KubeError
from spine.kube.client import Kube
from spine.kube.discovery import Resource
from spine.kube.session import JSON, Status
from spine.runtime import RECONNECT

log = logging.getLogger(__name__)

WATCH = 240
"""Seconds after which the server is asked to end a watch; up to a half more, at random."""
IDLE = 150.0
"""Seconds without any sign of life after which a connection is given up: the server sends a
bookmark every minute."""
GONE = 410
"""The server no longer knows the place where a watch would go on."""


class Meta(msgspec.Struct, rename="camel"):
    """What every object says of itself, as far as it is needed to decide about it."""

    uid: str = ""
    name: str = ""
    namespace: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Object(msgspec.Struct):
    metadata: Meta


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_object = msgspec.json.Decoder(_Object).decode
_decode_status = msgspec.json.Decoder(Status).decode


@dataclass(slots=True)
class Item:
    """One object."""

    meta: Meta
    raw: bytes
    """The whole of it, with kind and apiVersion."""


@dataclass(slots=True)
class Page:
    """A part of a list of all objects."""

    items: list[Item]
    first: bool
    last: bool
    """Whether all have been told: what is known and was not among them is gone."""
    version: str


@dataclass(slots=True)
class Change:
    """A change of one object, or with a Bookmark only a later place to go on from."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    item: Item
    version: str


class _Gone(Exception):
    """The place to go on from is no longer known."""


async def follow(  # noqa: PLR0913 -- what to follow, and how
    kube: Kube,
    resource: Resource,
    namespace: str = "",
    *,
    labels: str = "",
    fields: str = "",
    version: str = "",
    accept: str = JSON,
) -> AsyncIterator[Page | Change]:
    """Yield what there is and then what changes, for ever.

    `labels` and `fields` are selectors, such as `app=web` and `metadata.name=web`.
    With METADATA to accept, the server sends no more of an object, so no Secret is told.
    `version` is where an earlier follower stopped; without it, or where it is too old, the pages
    of a list come first. Raises KubeError where the API refuses for good (such as 403), and
    ConfigError; all else is tried again.
    """
    given = {"labelSelector": labels, "fieldSelector": fields}
    selector = {key: value for key, value in given.items() if value}
    attempt = 0
    while True:
        try:
            if not version:
                async for page in _list(kube, resource, namespace, selector, accept):
                    version = page.version
                    yield page
            attempt_at = version
            watching = _watch(kube, resource, namespace, {**selector, **_from(version)}, accept)
            async for change in watching:
                attempt, version = 0, change.version or version
                yield change
            if version == attempt_at:
                await asyncio.sleep(0.1)  # a server that ends watches at once
        except _Gone:
            version = ""
        except KubeError as exc:
            if exc.permanent:
                raise
            attempt += 1
            log.warning("following %s", resource.plural, extra={"error": str(exc)})
            await asyncio.sleep(exc.retry_after or RECONNECT.wait(attempt))


async def state(
    kube: Kube, resource: Resource, namespace: str = "", *, labels: str = "", version: str
) -> AsyncIterator[Page]:
    """Yield what there was at a version; what comes of it ends early where that is too old."""
    query = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
    if labels:
        query["labelSelector"] = labels
    try:
        async for page in _list(kube, resource, namespace, query, JSON):
            yield page
    except _Gone:
        return


async def _list(
    kube: Kube,
    resource: Resource,
    namespace: str,
    selector: dict[str, str],
    accept: str,
) -> AsyncIterator[Page]:
    first, token = True, ""
    head = f'{{"apiVersion":"{resource.api_version}","kind":"{resource.kind}",'.encode()
    while True:
        query = selector
        if token:  # it stands for the version too
            query = {k: v for k, v in selector.items() if not k.startswith("resourceVersion")}
            query["continue"] = token
        try:
            listed = await kube.page(resource, namespace, query=query, accept=accept)
        except KubeError as exc:
            if exc.status == GONE:  # the list took too long: once more from the start
                raise _Gone from exc
            raise
        token = listed.metadata.continue_
        items = [_item(bytes(raw), head) for raw in listed.items]
        yield Page(items, first, not token, listed.metadata.resource_version)
        first = False
        if not token:
            return


def _item(raw: bytes, head: bytes = b"") -> Item:
    meta = _decode_object(raw).metadata
    if head and b'"kind"' not in raw[:200]:  # lists of built-in kinds leave it out
        raw = head + raw.lstrip()[1:]
    return Item(meta, raw)


def _from(version: str) -> dict[str, str]:
    """Return the query of a watch that goes on at a version."""
    seconds = WATCH + random.randrange(WATCH // 2)  # noqa: S311 -- no secret
    return {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(seconds),
    }


async def _watch(
    kube: Kube, resource: Resource, namespace: str, query: dict[str, str], accept: str
) -> AsyncIterator[Change]:
    lines = kube.session.lines(resource.path(namespace), query, idle=IDLE, accept=accept.format(""))
    try:
        async for line in lines:
            told = _decode_line(line)
            if told.type == "ERROR":
                raise _error(resource, bytes(told.object))
            item = _item(bytes(told.object))
            if told.type in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
                yield Change(told.type, item, item.meta.resource_version)  # type: ignore[arg-type]  # compared above
    except KubeError as exc:
        if exc.status == GONE:
            raise _Gone from exc
        raise


def _error(resource: Resource, raw: bytes) -> Exception:
    status = _decode_status(raw)
    if status.code == GONE:
        return _Gone()
    return KubeError(
        f"watching {resource.plural}: {status.reason}: {status.message}",
        status=status.code,
        reason=status.reason,
    )
