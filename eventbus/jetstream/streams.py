"""Streams and buckets: created where they are missing, changed only where that was asked for.

Several processes do this at once, and each must find what another has just made. What exists is
somebody's property: a process that was not told to provision takes it as it is.
"""

import logging
from dataclasses import replace
from typing import Any

from eventbus.bus import ACTIONS, DEAD, DECISIONS, EVENTS, LEASES, STATE
from eventbus.jetstream.api import NO_REPLICAS, STREAM_NAME_IN_USE, Api, ApiError, nanoseconds
from eventbus.settings import StreamSettings

log = logging.getLogger(__name__)

DEAD_SECONDS = 30 * 24 * 3600.0
"""A month to look at what could not pass."""
DECISION_SECONDS = 3600.0
DECISION_MESSAGES = 50_000
DECISION_EACH = 5_000
"""Of one trigger or Sensor: what is busy must not push out what is not."""
DECISION_BYTES = 64 * 1024 * 1024
LEASE_SECONDS = 10.0
"""A lease that nobody renews is free after this."""
DEAD_SHARE = 5
"""Dead letters may take a fifth of what events may."""


def stream_config(name: str, settings: StreamSettings) -> dict[str, Any]:
    """Return the server's configuration of one of our streams."""
    config: dict[str, Any] = {
        "name": name,
        "subjects": [f"{name}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": 0,
        "num_replicas": settings.replicas,
        "duplicate_window": nanoseconds(settings.duplicates),
    }
    if name == EVENTS:
        config |= {
            "subjects": [f"{EVENTS}.*.*"],
            "retention": settings.retention,
            "discard": settings.discard,
            "max_msgs": settings.max_msgs,
            "max_bytes": settings.max_bytes,
            "max_age": nanoseconds(settings.max_age),
        }
        if 0 < settings.max_age < settings.duplicates:
            config["duplicate_window"] = config["max_age"]
    elif name == ACTIONS:
        config |= {"retention": "workqueue", "discard": "new"}
    elif name == DEAD:
        share = settings.max_bytes // DEAD_SHARE if settings.max_bytes > 0 else -1
        config |= {"max_age": nanoseconds(DEAD_SECONDS), "max_bytes": share}
    elif name == DECISIONS:
        config |= {
            "storage": "memory",
            "num_replicas": 1,
            "max_msgs": DECISION_MESSAGES,
            "max_msgs_per_subject": DECISION_EACH,
            "max_bytes": DECISION_BYTES,
            "max_age": nanoseconds(DECISION_SECONDS),
            "duplicate_window": nanoseconds(60),
        }
    return config


def bucket_config(name: str, settings: StreamSettings) -> dict[str, Any]:
    """Return the configuration of the stream under a key-value bucket."""
    ttl = nanoseconds(LEASE_SECONDS) if name == LEASES else 0
    return {
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "retention": "limits",
        "storage": "file",
        "discard": "new",
        "max_msgs": -1,
        "max_bytes": -1,
        "max_age": ttl,
        "max_msgs_per_subject": 1,
        "num_replicas": settings.replicas,
        "duplicate_window": ttl or nanoseconds(120),
        "allow_direct": True,
        "allow_rollup_hdrs": True,
        "deny_delete": True,
    }


class Streams:
    """Knows how every stream of ours ought to be."""

    def __init__(self, api: Api, settings: StreamSettings | None, *, provision: bool) -> None:
        self._api = api
        self._settings = settings or StreamSettings()
        self._provision = provision

    async def ensure_all(self) -> None:
        """Create what is missing; where provisioning, bring events and buckets up to date."""
        for name in (EVENTS, ACTIONS, DEAD, DECISIONS):
            await self.ensure(name, update=self._provision)
        for name in (STATE, LEASES):
            await self.ensure(f"KV_{name}", update=self._provision)

    async def ensure(self, name: str, *, update: bool = False) -> dict[str, Any]:
        """Return the stream's info; create the stream if it is missing."""
        info = await self._api.stream(name)
        if info is None:
            return await self._create(name)
        if update:
            await self._update(info, self._config(name))
        return info

    def _config(self, name: str) -> dict[str, Any]:
        if name.startswith("KV_"):
            return bucket_config(name.removeprefix("KV_"), self._settings)
        return stream_config(name, self._settings)

    async def _create(self, name: str) -> dict[str, Any]:
        what = f"creating stream {name}"
        try:
            info = await self._api.call(f"STREAM.CREATE.{name}", self._config(name), what=what)
        except ApiError as exc:
            if exc.reason == STREAM_NAME_IN_USE:  # another process was faster
                return await self._api.call(f"STREAM.INFO.{name}", what=what)
            if exc.reason == NO_REPLICAS and self._settings.replicas > 1:
                log.warning(
                    "stream %s: %d replicas need a cluster, and this server is alone; using 1",
                    name,
                    self._settings.replicas,
                )
                self._settings = replace(self._settings, replicas=1)
                return await self._create(name)
            raise
        log.info("created stream %s", name)
        return info

    async def _update(self, info: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Bring an existing stream to its settings; never so that something unread goes."""
        present, name = info["config"], wanted["name"]
        fixed = ("retention", "storage")
        if clashes := [k for k in fixed if present.get(k) != wanted[k]]:
            log.warning(
                "stream %s: %s cannot be changed; left as it is", name, " and ".join(clashes)
            )
        wanted = {k: v for k, v in wanted.items() if k not in fixed}
        if not await self._all_read(name):
            wanted = _not_shrunk(name, wanted, present, info["state"])
        if all(present.get(key) == value for key, value in wanted.items()):
            return
        what = f"updating stream {name}"
        try:
            await self._api.call(f"STREAM.UPDATE.{name}", present | wanted, what=what)
        except ApiError as exc:
            if exc.reason != NO_REPLICAS:
                raise
            log.warning("stream %s: %s; replicas left at %s", name, exc, present["num_replicas"])
            kept = {"num_replicas": present["num_replicas"]}
            await self._api.call(f"STREAM.UPDATE.{name}", present | wanted | kept, what=what)
        log.info("updated stream %s", name)

    async def _all_read(self, name: str) -> bool:
        what = f"listing durables of stream {name}"
        pages = self._api.pages(f"CONSUMER.LIST.{name}", "consumers", what=what)
        async for consumer in pages:
            if consumer["num_pending"] or consumer["num_ack_pending"]:
                return False
        return True


def _not_shrunk(
    name: str, wanted: dict[str, Any], present: dict[str, Any], state: dict[str, Any]
) -> dict[str, Any]:
    """Return the wanted limits less those that would evict what is in the stream now."""
    wanted = dict(wanted)
    holds = {"max_msgs": state["messages"], "max_bytes": state["bytes"]}
    for key, held in holds.items():
        if 0 < wanted[key] < held:
            log.warning(
                "stream %s: %s %d would evict unread events (it holds %d); left at %s",
                *(name, key, wanted[key], held, present.get(key)),
            )
            wanted[key] = present[key]
    if 0 < wanted["max_age"] < (present.get("max_age") or float("inf")) and state["messages"]:
        log.warning("stream %s: a shorter max_age could evict unread events; left as it is", name)
        wanted["max_age"] = present["max_age"]
    return wanted
