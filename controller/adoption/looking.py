"""Looks at what Argo Events left on a bus. Nothing is changed by it."""

import asyncio
import logging
from base64 import b64decode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from controller.adoption.found import Bucket, Found, Standing
from controller.adoption.names import (
    BUCKET_NAME,
    DEPENDENCIES,
    EXPRESSION,
    TRIGGERS,
    candidates,
    places,
    stream_of,
    subject_of,
)
from controller.adoption.unacknowledged import unacknowledged
from eventbus.bus import EVENTS
from eventbus.jetstream.api import NO_MESSAGE, NO_STREAM, Api, ApiError, nanoseconds, unix
from sensor.keeping import every
from sensor.mark import Mark
from sensor.plan import Plan
from sensor.state import Saved
from spine.errors import BusError, EventError
from spine.event import decode, new_id

log = logging.getLogger(__name__)

Info = dict[str, Any]

LOOKS = 3
"""Looks in a row at which nobody may read: a pod there asks every second."""
PAUSE = 0.4
"""Seconds between them."""
LONGEST = 10
"""Looks before it is said that somebody reads."""
MILLISECOND = 0.001
"""Times of the bus are compared as floats."""


async def look(api: Api, plan: Plan) -> Found:
    """Return what there is of a Sensor. Raises BusError, also where a pod there still reads."""
    names = sorted({name for place in places(plan) for name in candidates(plan, *place)})
    await quiet(api, names)
    stream = await api.stream(EVENTS)
    if stream is None:
        return Found(0, 0.0)
    last, at = stream["state"]["last_seq"], unix(stream["state"]["last_ts"]) + MILLISECOND
    infos = await durables(api, names)
    for info in infos:
        if info["delivered"]["stream_seq"] > last:
            raise _still_read(info)
    standings = await every([_standing(api, info) for info in infos])
    bucket = await read_bucket(api, plan.name)
    return Found(last, at, {one.durable: one for one in standings}, bucket)


async def durables(api: Api, names: Iterable[str]) -> list[Info]:
    """Return what the server says of those durables that exist. Raises BusError."""
    infos = [await api.consumer(EVENTS, name) for name in names]
    return [info for info in infos if info is not None]


async def quiet(api: Api, names: Sequence[str]) -> None:
    """Return once nobody reads the durables. Raises BusError where somebody goes on to."""
    calm, before, reading = 0, "", None
    for _ in range(LONGEST):
        infos = await durables(api, names)
        reading = next((info for info in infos if info["num_waiting"]), None)
        now = str([(info["name"], info["delivered"], info["ack_floor"]) for info in infos])
        calm = 0 if reading is not None or before not in {"", now} else calm + 1
        if calm >= LOOKS or not infos:
            return
        before = now
        await asyncio.sleep(PAUSE)
    raise _still_read(reading)


def _still_read(info: Info | None) -> BusError:
    name = "of Argo Events" if info is None else info["name"]
    return BusError(
        f"reading durable {name}: a pod of Argo Events still reads it",
        hint="stop the Sensor there first",
        retry_after=1.0,
    )


# ---------------------------------------------------------------------------- durables


async def _standing(api: Api, info: Info) -> Standing:
    config, delivered = info["config"], info["delivered"]["stream_seq"]
    subject = config.get("filter_subject") or next(iter(config.get("filter_subjects") or ()), "")
    following = await _following(api, subject, delivered) if info["num_pending"] else None
    return Standing(
        durable=info["name"],
        subject=subject,
        acknowledged=info["ack_floor"]["stream_seq"],
        delivered=delivered,
        left=await unacknowledged(api, info),
        following=following,
        waiting=info["num_pending"],
    )


async def _following(api: Api, subject: str, sequence: int) -> int | None:
    """Return the first event of a subject after another one; None where there is none."""
    found = await _message(api, EVENTS, {"seq": sequence + 1, "next_by_subj": subject})
    return None if found is None else int(found["seq"])


async def _message(api: Api, stream: str, body: Info) -> Info | None:
    what = f"reading a message of stream {stream}"
    try:
        answer = await api.call(f"STREAM.MSG.GET.{stream}", body, what=what)
    except ApiError as exc:
        if exc.reason in {NO_MESSAGE, NO_STREAM}:
            return None
        raise
    message: Info = answer["message"]
    return message


async def count(api: Api, subject: str, after: int, through: int) -> int:
    """Return how many events of a subject lie between two places of the stream.

    Sources may publish meanwhile; then it is counted again. Raises BusError.
    """
    number = 0
    for _ in range(5):
        first = await _beyond(api, subject, after)
        second = await _beyond(api, subject, through)
        number = first - second
        if first == await _beyond(api, subject, after):
            break
    return max(number, 0)


async def _beyond(api: Api, subject: str, after: int) -> int:
    name = f"count-{new_id()}"
    config = {
        "name": name,
        "ack_policy": "none",
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": nanoseconds(5),
        "filter_subjects": [subject],
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": after + 1,
    }
    what = f"counting events of {subject}"
    body = {"stream_name": EVENTS, "config": config}
    info = await api.call(f"CONSUMER.CREATE.{EVENTS}.{name}", body, what=what)
    await api.call(f"CONSUMER.DELETE.{EVENTS}.{name}", what=what)
    return int(info["num_pending"])


# ---------------------------------------------------------------------------- bucket


async def read_bucket(api: Api, sensor: str) -> Bucket | None:
    """Return what the bucket of a Sensor holds; None where there is none of Argo Events."""
    if not BUCKET_NAME.fullmatch(sensor):
        return None
    stream = stream_of(sensor)
    if await api.stream(stream) is None:
        return None
    values = {key: await _value(api, sensor, key) for key in await _keys(api, sensor)}
    if TRIGGERS not in values and DEPENDENCIES not in values:
        return None  # somebody else's
    triggers = tuple(map(str, _json(values.get(TRIGGERS)) or ()))
    dependencies = tuple(map(str, _json(values.get(DEPENDENCIES)) or ()))
    expressions, saved = dict[str, str](), dict[tuple[str, str], Saved]()
    for key, value in values.items():
        trigger, slash, name = key.rpartition("/")
        if not slash or value is None:
            continue
        if name == EXPRESSION:
            expressions[trigger] = value.decode(errors="replace")
        elif (one := _saved(stream, key, value)) is not None:
            saved[trigger, name] = one
    return Bucket(stream, triggers, dependencies, expressions, saved)


async def _keys(api: Api, sensor: str) -> list[str]:
    found: list[str] = []
    stream, prefix = stream_of(sensor), subject_of(sensor, "")
    while True:
        body = {"subjects_filter": f"{prefix}>", "offset": len(found)}
        page = await api.call(f"STREAM.INFO.{stream}", body, what=f"reading stream {stream}")
        subjects = page["state"].get("subjects") or {}
        found += [subject.removeprefix(prefix) for subject in subjects]
        if not subjects or len(found) >= page.get("total", 0):
            return found


async def _value(api: Api, sensor: str, key: str) -> bytes | None:
    """Return a value; None where it was deleted."""
    message = await _message(api, stream_of(sensor), {"last_by_subj": subject_of(sensor, key)})
    if message is None or b"KV-Operation" in b64decode(message.get("hdrs") or ""):
        return None
    return b64decode(message.get("data") or "")


def _json(value: bytes | None) -> Any:
    try:
        return orjson.loads(value or b"null")
    except orjson.JSONDecodeError:
        return None


def _saved(stream: str, key: str, value: bytes) -> Saved | None:
    """Return an event that waits for others; what cannot be read is told and left out."""
    try:
        held = orjson.loads(value)
        mark = Mark(_seconds(held["Timestamp"]), int(held["StreamSeq"]))
        return Saved(mark, decode(orjson.dumps(held["Event"])))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, EventError) as exc:
        log.warning("reading key %r of stream %s: %s", key, stream, exc)
        return None


def _seconds(text: str) -> float:
    """Return the unix seconds of an RFC 3339 time, as they are read off a message itself."""
    head, _, rest = text.partition(".")
    if not rest:
        return datetime.fromisoformat(text).timestamp()
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    whole = datetime.fromisoformat(head + rest[len(digits) :]).astimezone(UTC)
    return (int(whole.timestamp()) * 1_000_000_000 + int(f"{digits:0<9}"[:9])) / 1e9
