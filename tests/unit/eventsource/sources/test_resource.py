"""The resource source: its configuration, and what it makes of what an API server tells."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from config_kit import reader

from eventsource.objects import observer as observing
from eventsource.objects.observer import Observer, Wanted
from eventsource.objects.selection import ResourceFilter
from eventsource.objects.snapshot import Snapshot
from eventsource.sources.resource import Resource
from spine.errors import BusError
from spine.kube import Change, Page
from spine.kube.watch import Item, Meta
from spine.model import InvalidModel, load

BASE = {"version": "v1", "resource": "services", "eventTypes": ["ADD", "UPDATE", "DELETE"]}


read = reader(Resource, BASE)


# ---------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"version": ""}, "version: '': string should have at least 1 character"),
        ({"eventTypes": ["CREATE"]}, "eventTypes[0]: 'CREATE'"),
        ({"filter": {"labels": [{"key": "a", "operation": "gt", "value": "x"}]}}, "whole number"),
        ({"filter": {"labels": [{"key": "a", "operation": "in"}]}}, "in needs at least one"),
        ({"filter": {"labels": [{"key": "a", "operation": "exists", "value": "x"}]}}, "takes none"),
        ({"filter": {"fields": [{"key": "a", "operation": "==", "value": "("}]}}, "fields[0]"),
        ({"filter": {"createdBy": "yesterday"}}, "'yesterday' is no time"),
        ({"filter": {"field": []}}, "unknown field (did you mean fields)"),
        ({"onChange": ["$.a["]}, "onChange"),
    ],
)
def test_refused(raw, message):
    with pytest.raises(InvalidModel) as caught:
        read(**raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        ({"eventTypes": []}, "nothing ever becomes an event"),
        ({"resource": "Services"}, "write the plural in lower case"),
        ({"eventTypes": ["ADD"], "onChange": ["spec"]}, "of no effect without UPDATE"),
        ({"filter": {"fields": [{"key": "a", "value": "x"}]}}, "is taken as =="),
    ],
)
def test_taken_with_a_warning(raw, warning):
    assert any(warning in w for w in read(**raw)[1])


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ({"key": "a", "operation": "in", "value": "x, y"}, "a in (x,y)"),
        ({"key": "a", "operation": "notin", "value": "x"}, "a notin (x)"),
        ({"key": "a", "operation": "exists"}, "a"),
        ({"key": "a", "operation": "!"}, "!a"),
        ({"key": "a", "operation": "gt", "value": "1"}, "a>1"),
        ({"key": "a", "operation": "!=", "value": "x"}, "a!=x"),
        ({"key": "a", "value": "x"}, "a=x"),
    ],
)
def test_labels_as_the_api_takes_them(label, wanted):
    assert load(ResourceFilter, {"labels": [label]}).selector == wanted


# ---------------------------------------------------------------------------- what is told


class Told:
    """Where events go."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.fails = False
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, payload: Any, *, id: str | None = None, **_: Any) -> None:
        await self.open.wait()
        if self.fails:
            raise BusError("away")
        self.events.append((id or "", json.loads(payload.encode())))

    @property
    def kinds(self) -> list[str]:
        return [f"{p['type']} {p['body']['metadata']['name']}" for _, p in self.events]


class Memory:
    """What is kept over restarts."""

    def __init__(self, kept: dict[str, bytes], name: str = "") -> None:
        self.kept, self.name = kept, name

    async def get(self) -> bytes | None:
        return self.kept.get(self.name)

    async def put(self, value: bytes) -> None:
        self.kept[self.name] = value

    def part(self, name: str) -> "Memory":
        return Memory(self.kept, f"{self.name}.{name}")


async def observer(told: Told, memory: Memory | None = None, **raw: Any) -> Observer:
    source, _ = read(**raw)
    snapshot = Snapshot(memory, tuple(source.on_change))
    await snapshot.load()
    from datetime import UTC, datetime

    wanted = Wanted(
        place=("es", "event"),
        kind=("", "v1", "services"),
        types=frozenset(source.event_types),
        passes=(source.filter or ResourceFilter()).compile(datetime(2026, 11, 21, 12, tzinfo=UTC)),
        on_change=tuple(source.on_change),
        metadata={},
    )
    return Observer(wanted, told, snapshot)


def item(name: str, version: int, created: str = "2026-11-21T12:00:00Z", **body: Any) -> Item:
    metadata = {"name": name, "uid": f"u-{name}", "resourceVersion": str(version)}
    metadata |= {"creationTimestamp": created} | body.pop("metadata", {})
    raw = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, **body}
    meta = msgspec.convert(metadata, Meta, strict=False)
    return Item(meta, json.dumps(raw).encode())


def page(*items: Item, version: int) -> Page:
    return Page(list(items), first=True, last=True, version=str(version))


def change(type: Any, one: Item) -> Change:
    return Change(type, one, one.meta.resource_version)


async def test_first_list_tells_all_and_later_ones_only_what_differs():
    told = Told()
    one = await observer(told)

    await one.page(page(item("a", 1), item("b", 2), version=5))
    await one.page(page(item("a", 7), item("c", 8), version=9))
    await one.drain()

    assert sorted(told.kinds) == ["ADD a", "ADD b", "ADD c", "DELETE b", "UPDATE a"]


async def test_update_tells_the_old_body_without_managed_fields():
    told = Told()
    one = await observer(told)
    managed = {"managedFields": [{"manager": "x"}]}

    await one.change(change("ADDED", item("a", 1, spec={"n": 1}, metadata=managed)))
    await one.change(change("MODIFIED", item("a", 2, spec={"n": 2}, metadata=managed)))
    await one.drain()

    update = told.events[1][1]
    assert (update["oldBody"]["spec"], update["body"]["spec"]) == ({"n": 1}, {"n": 2})
    assert "managedFields" not in update["body"]["metadata"]
    assert (update["group"], update["version"], update["resource"]) == ("", "v1", "services")


async def test_the_same_thing_twice_is_told_once():
    told = Told()
    one = await observer(told)

    for _ in range(2):
        await one.change(change("ADDED", item("a", 3)))
        await one.page(page(item("a", 3), version=4))
    await one.drain()

    assert told.kinds == ["ADD a"]


async def test_on_change_tells_transitions_only_and_both_values():
    told = Told()
    one = await observer(told, onChange=["status.phase"], eventTypes=["UPDATE"])

    await one.change(change("ADDED", item("a", 1, status={"phase": "Running"})))
    await one.change(change("MODIFIED", item("a", 2, status={"phase": "Running", "n": 1})))
    await one.change(change("MODIFIED", item("a", 3, status={"phase": "Succeeded"})))
    await one.change(change("MODIFIED", item("a", 4, status={"phase": "Succeeded", "n": 2})))
    await one.drain()

    assert told.kinds == ["UPDATE a"]
    assert told.events[0][1]["changes"] == [
        {"path": "status.phase", "old": "Running", "new": "Succeeded"}
    ]


async def test_a_restart_tells_what_happened_meanwhile_once():
    kept: dict[str, bytes] = {}
    told = Told()
    first = await observer(told, Memory(kept), onChange=["spec.n"])
    labels = {"metadata": {"labels": {"app": "b"}}}
    await first.page(page(item("a", 1, spec={"n": 1}), item("b", 2, **labels), version=5))
    await first.drain()
    await first.snapshot.write()

    told.events.clear()
    second = await observer(told, Memory(kept), onChange=["spec.n"])
    assert second.snapshot.version == "5"
    for _ in range(2):
        await second.page(page(item("a", 6, spec={"n": 2}), item("c", 7), version=9))
        await second.drain()

    assert sorted(told.kinds) == ["ADD c", "DELETE b", "UPDATE a"]
    gone = next(p for _, p in told.events if p["type"] == "DELETE")
    assert gone["body"]["metadata"]["labels"] == {"app": "b"}


async def test_a_watch_that_goes_on_earlier_does_not_bring_back_what_is_gone():
    kept: dict[str, bytes] = {}
    told = Told()
    first = await observer(told, Memory(kept))
    await first.page(page(item("a", 1), version=2))
    await first.drain()
    await first.snapshot.write()
    await first.change(change("MODIFIED", item("a", 5)))
    await first.change(change("DELETED", item("a", 6)))
    await first.drain()
    first.snapshot.version = "3"  # an event of another object, before these, was not on the bus
    await first.snapshot.write()

    told.events.clear()
    second = await observer(told, Memory(kept))
    await second.change(change("MODIFIED", item("a", 5)))
    await second.change(change("DELETED", item("a", 6)))
    await second.drain()
    assert told.kinds == []
    await second.change(change("ADDED", item("a", 9)))
    await second.drain()
    assert told.kinds == ["ADD a"]


async def test_what_the_bus_did_not_take_is_told_by_the_next_start():
    kept: dict[str, bytes] = {}
    told = Told()
    first = await observer(told, Memory(kept))
    await first.page(page(item("a", 1), version=2))
    await first.drain()
    await first.snapshot.write()
    told.fails = True
    await first.change(change("MODIFIED", item("a", 5)))
    with pytest.raises(BusError):
        await first.drain()
    await first.snapshot.write()
    assert first.snapshot.version == "2"

    told.fails = False
    told.events.clear()
    second = await observer(told, Memory(kept))
    await second.change(change("MODIFIED", item("a", 5)))
    await second.drain()
    assert told.kinds == ["UPDATE a"]


async def test_events_of_one_object_stay_in_order_however_slow_the_bus_is():
    import asyncio
    import random

    seen: list[tuple[str, str]] = []
    order = random.Random(7)

    async def emit(payload: Any, *, id: str | None = None, **_: Any) -> None:
        await asyncio.sleep(order.random() * 0.01)
        body = json.loads(payload.encode())["body"]["metadata"]
        seen.append((body["name"], body["resourceVersion"]))

    one = await observer(emit)  # type: ignore[arg-type]  # called in the same way
    for version in range(1, 200):
        kind = "ADDED" if version <= 5 else "MODIFIED"
        await one.change(change(kind, item(f"o{version % 5}", version)))
    await one.drain()

    assert len(seen) == 199
    for name in {name for name, _ in seen}:
        versions = [int(version) for n, version in seen if n == name]
        assert versions == sorted(versions)


FIELDS = [
    ("==", "metadata.name", "^a$", True),
    ("==", "metadata.name", "b", False),
    ("!=", "metadata.name", "b", True),
    ("!=", "metadata.missing", "b", False),
    ("==", "spec.replicas", "3", True),
    ("==", "spec.replicas", "3.0", True),
    ("!=", "spec.replicas", "3", False),
    ("==", "spec.paused", "true", True),
    ("==", "spec.list.#", "2", True),
    ("==", r"metadata.annotations.a\.b/c", ".+", True),
    ("==", "metadata.annotations.a*", "x", True),
    ("", "metadata.name", "a", True),
]


@pytest.mark.parametrize(("operation", "key", "value", "passes"), FIELDS)
async def test_fields(operation, key, value, passes):
    told = Told()
    field = {"key": key, "operation": operation, "value": value}
    one = await observer(told, filter={"fields": [field]})
    body = {"spec": {"replicas": 3, "paused": True, "list": [1, 2]}}
    await one.change(
        change("ADDED", item("a", 1, metadata={"annotations": {"a.b/c": "x"}}, **body))
    )
    await one.drain()

    assert bool(told.events) is passes


@pytest.mark.parametrize(
    ("chosen", "one", "passes"),
    [
        ({"prefix": "sh"}, item("shop", 1), True),
        ({"prefix": "sh"}, item("cart", 1), False),
        ({"afterStart": True}, item("a", 1, "2026-11-21T11:59:59Z"), False),
        ({"afterStart": True}, item("a", 1, "2026-11-21T12:00:00Z"), True),
        ({"createdBy": "2026-11-21T12:00:00Z"}, item("a", 1, "2026-11-21T12:00:00Z"), True),
        ({"createdBy": "2026-11-21T12:00:00Z"}, item("a", 1, "2026-11-21T12:00:01Z"), False),
    ],
)
async def test_age_and_name(chosen, one, passes):
    told = Told()
    watching = await observer(told, filter=chosen)
    await watching.change(change("ADDED", one))
    await watching.drain()

    assert bool(told.events) is passes


async def test_ids_are_those_of_what_was_observed():
    told, again = Told(), Told()
    for where in (told, again):
        one = await observer(where)
        await one.change(change("ADDED", item("a", 3)))
        await one.change(change("MODIFIED", item("a", 4)))
        await one.drain()

    ids = [found for found, _ in told.events]
    assert ids == [found for found, _ in again.events]
    assert len(set(ids)) == 2


async def test_what_is_under_way_and_places_to_go_on_from_are_bounded():
    """The bus is away: some objects are told of, and others that nobody wants go on changing."""
    told = Told()
    told.open.clear()
    one = await observer(told)
    for number in range(observing.IN_FLIGHT):
        await one.change(change("ADDED", item(str(number), number + 1)))
    waiting = asyncio.create_task(one.change(change("ADDED", item("more", 1_000))))
    await asyncio.sleep(0)
    assert (len(one._under_way), waiting.done()) == (observing.IN_FLIGHT, False)
    for number in range(2 * observing.SEEN):
        one._reached(str(2_000 + number))
    assert len(one._seen) == observing.SEEN
    told.open.set()
    await waiting
    await one.drain()
    assert one.snapshot.version == "1000"
    assert not one._seen
