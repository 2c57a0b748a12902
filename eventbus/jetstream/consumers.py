"""Durable consumers: one for each reader, created once and edited in place.

An edit never moves the position. A durable that vanished is made again where this process had
got to; if the stream itself is a new one (the store was wiped), it starts from the first message.
"""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from eventbus.bus import ACTIONS, Reader, ReaderInfo
from eventbus.jetstream.api import NO_CONSUMER, NO_STREAM, Api, ApiError, nanoseconds, rfc3339
from eventbus.jetstream.streams import Streams
from eventbus.subjects import check_durable, collapse
from spine.errors import ConfigError

log = logging.getLogger(__name__)

_BAD_REQUEST = 400


@dataclass(slots=True)
class Place:
    """How far this process knows a durable to be."""

    stream_created: str = ""
    created: str = ""
    floor: int = 0
    """Sequence up to which all was acknowledged when last seen."""


class Consumers:
    """Durables of one bus."""

    def __init__(self, api: Api, streams: Streams) -> None:
        self._api = api
        self._streams = streams

    async def ensure(self, reader: Reader) -> Place:
        """Create a durable, or bring an existing one to its subjects and metadata."""
        check_durable(reader.durable)
        stream = await self._streams.ensure(reader.stream)
        info = await self._api.consumer(reader.stream, reader.durable)
        if info is None:
            info = await self._create(reader, _start(reader))
        else:
            info = await self._edit(reader, info)
        return _place(stream, info)

    async def heal(self, reader: Reader, known: Place) -> Place:
        """Make a durable again if it is gone, so that nothing is skipped; return its place."""
        info = await self._api.consumer(reader.stream, reader.durable)
        if info is not None and info["created"] == known.created:
            known.floor = info["ack_floor"]["stream_seq"]
            return known
        stream = await self._streams.ensure(reader.stream)
        wiped = stream["created"] != known.stream_created
        if info is not None and not (wiped and info["config"]["deliver_policy"] != "all"):
            return _place(stream, info)  # made again by another replica
        if info is not None:
            await self.remove(reader.stream, reader.durable)
        if wiped:
            start: dict[str, Any] = {"deliver_policy": "all"}
            why = "the stream is new"
        else:
            start = {"deliver_policy": "by_start_sequence", "opt_start_seq": known.floor + 1}
            why = "it was deleted"
        if reader.stream == ACTIONS:
            start = {"deliver_policy": "all"}
        log.warning("durable %s of stream %s: %s; made again", reader.durable, reader.stream, why)
        return _place(stream, await self._create(reader, start))

    async def _create(self, reader: Reader, start: dict[str, Any]) -> dict[str, Any]:
        config = {
            "durable_name": reader.durable,
            "name": reader.durable,
            "ack_policy": "explicit",
            "replay_policy": "instant",
            "max_deliver": -1,
            **_wanted(reader),
            **start,
        }
        return await self._put(reader, config, "creating")

    async def _edit(self, reader: Reader, info: dict[str, Any]) -> dict[str, Any]:
        present, wanted = info["config"], _wanted(reader)
        kept = {k: v for k, v in (present.get("metadata") or {}).items() if k.startswith("_nats.")}
        if single := present.pop("filter_subject", None):
            present["filter_subjects"] = [single]
        same = ((_without_server(present.get(k)) or None) == (v or None) for k, v in wanted.items())
        if all(same):
            return info
        config = present | wanted | {"metadata": kept | wanted["metadata"]}
        return await self._put(reader, config, "updating")

    async def _put(self, reader: Reader, config: dict[str, Any], verb: str) -> dict[str, Any]:
        body = {"stream_name": reader.stream, "config": config}
        what = f"{verb} durable {reader.durable} of stream {reader.stream}"
        try:
            method = f"CONSUMER.CREATE.{reader.stream}.{reader.durable}"
            return await self._api.call(method, body, what=what)
        except ApiError as exc:
            if exc.status == _BAD_REQUEST:
                raise ConfigError(exc.message) from exc
            raise

    async def remove(self, stream: str, durable: str) -> None:
        """Delete a durable; no error where there is none."""
        try:
            what = f"deleting durable {durable} of stream {stream}"
            await self._api.call(f"CONSUMER.DELETE.{stream}.{durable}", what=what)
        except ApiError as exc:
            if exc.reason not in {NO_CONSUMER, NO_STREAM}:
                raise

    async def durables(self, stream: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the infos of the durables of a stream."""
        what = f"listing durables of stream {stream}"
        pages = self._api.pages(f"CONSUMER.LIST.{stream}", "consumers", what=what)
        try:
            async for info in pages:
                if info["config"].get("durable_name"):
                    yield info
        except ApiError as exc:
            if exc.reason != NO_STREAM:
                raise


def reader_info(info: dict[str, Any]) -> ReaderInfo:
    """Return where a durable stands."""
    config = info["config"]
    single = config.get("filter_subject")
    return ReaderInfo(
        durable=info["name"],
        pending=info["num_pending"],
        in_flight=info["num_ack_pending"],
        acknowledged=info["ack_floor"]["stream_seq"],
        metadata=_without_server(config.get("metadata") or {}),
        subjects=(single,) if single else tuple(config.get("filter_subjects") or ()),
    )


def _place(stream: dict[str, Any], info: dict[str, Any]) -> Place:
    return Place(stream["created"], info["created"], info["ack_floor"]["stream_seq"])


def _wanted(reader: Reader) -> dict[str, Any]:
    return {
        "filter_subjects": list(collapse(reader.subjects)),
        "ack_wait": nanoseconds(reader.ack_wait),
        "max_ack_pending": reader.max_ack_pending,
        "metadata": dict(reader.metadata),
    }


def _without_server(value: Any) -> Any:
    """Drop the metadata that the server adds by itself."""
    if isinstance(value, dict):
        return {k: v for k, v in value.items() if not k.startswith("_nats.")}
    return value


def _start(reader: Reader) -> dict[str, Any]:
    if reader.stream == ACTIONS:  # a work queue has no other start
        return {"deliver_policy": "all"}
    if reader.after is not None:
        return {"deliver_policy": "by_start_sequence", "opt_start_seq": reader.after + 1}
    if reader.start == "all":
        return {"deliver_policy": "all"}
    if reader.start == "new":
        return {"deliver_policy": "new"}
    if isinstance(reader.start, str):
        raise ConfigError(
            f"starting durable {reader.durable} at {reader.start!r}: not new, all or a moment"
        )
    return {"deliver_policy": "by_start_time", "opt_start_time": rfc3339(reader.start)}
