"""The filter of an event source: what it sees, what it lets pass, and what becomes of the rest."""

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from delivery.dead import list_dead
from eventbus.bus import EVENTS
from eventbus.memory import MemoryBus
from eventsource.expression import Refusal, compile_filter, environment
from eventsource.runner import Runner
from eventsource.source import EventSourceFilter, Source
from spine.errors import ConfigError, FilterError
from spine.event import decode
from spine.model import InvalidModel, load
from spine.runtime import cancelled_at_exit
from spine.secrets import GivenSecrets
from spine.telemetry import SourceMetrics

PAYLOAD = {
    "body": {"n": 5, "s": "abc", "l": [1, "x"], "o": {"k-1": "v", "a.b": 2}, "json": '{"k":[1]}'},
    "header": {"X": ["1"]},
    "x-y": 1,
    "type": "push",
}


@dataclass(frozen=True)
class Case:
    expression: str
    passes: bool | str
    """True, false, or a word of the reason."""

    def __str__(self) -> str:
        return self.expression


CASES = [
    Case("body.n == 5 and body.n in 1..10", True),
    Case('body.n == "5"', False),
    Case('body.o["k-1"] == "v" && body.o["a.b"] == 2', True),
    Case("x_y == 1", True),
    Case("missing == nil", True),
    Case("body.q?.r == nil", True),
    Case("body.q.r == nil", "cannot fetch r from <nil>"),
    Case("body.q > 3", "<nil> > int is not possible"),
    Case("body.l[5] == nil", "out of range"),
    Case("body.q", "gives nil"),
    Case("jsonpath(body.json, '$.k[0]') == 1", True),
    Case("jsonpath(body.json, '$.z') == 1", "finds no 'z'"),
    Case("toJson(body.l) == '[1,\"x\"]'", True),
    Case("asInt(body.n) % 2 == 1 and asFloat('1.5') == 1.5", True),
    Case("sprig.upper(body.s) == 'ABC'", True),
    Case("sprig.kindOf(1) == 'int'", True),
    Case("type ?? 'none' == 'push'", "compile"),
    Case("string(type) == 'push'", True),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_expression(case: Case) -> None:
    data = json.dumps(PAYLOAD).encode()
    if case.passes == "compile":
        with pytest.raises(ConfigError, match=r"\?\? and == cannot be mixed"):
            compile_filter(case.expression)
        return
    refusal = compile_filter(case.expression)(data)
    if isinstance(case.passes, str):
        assert refusal is not None
        assert case.passes in refusal.reason
    else:
        assert refusal == (None if case.passes else Refusal(""))


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("body.n % 2 == 1", "float64 % int is not possible"),
        ("body.s", "it does not give true or false"),
        ("body.n > 'a'", "float64 > string is not possible"),
    ],
)
def test_what_does_not_belong_together_is_a_fault(expression: str, problem: str) -> None:
    with pytest.raises(FilterError, match=problem):
        compile_filter(expression)(json.dumps(PAYLOAD).encode())


@pytest.mark.parametrize("data", [b"[1]", b'"x"', b"nope", b"", b'{"a":1e400}'])
def test_payload_that_is_no_object_is_a_fault(data: bytes) -> None:
    with pytest.raises(FilterError):
        compile_filter("true")(data)


def test_names_of_the_top_level() -> None:
    found = environment(b'{"a.b":1,"a":{"z":2},"c-d":{"e-f":3},"g":{"h.i":4},"j.k":5,"j.l":6}')

    assert found == {
        "a": {"b": 1},
        "c_d": {"e-f": 3},
        "g": {"h.i": 4},
        "j": {"k": 5, "l": 6},
    }
    assert environment(b"null") == {}


def test_numbers_are_floats_as_there() -> None:
    assert compile_filter("body.n == 9007199254740993")(b'{"body":{"n":9007199254740992}}') is None


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "it is empty, and Argo Events sends no event on"),
        ("body.n ==", "it ends too early"),
        ("sprig.uper(body.s)", "sprig has no function uper .did you mean upper"),
        ("sprig.env('HOME') == ''", "sprig has no function env"),
        ("lenght(body.l) > 1", "no function is called lenght"),
        ("body.s =~ 'a'", "column 9: character '~' has no meaning here"),
        ("body.s matches '('", "compiling regular expression"),
    ],
)
def test_refused_when_it_is_read(expression: str, problem: str) -> None:
    with pytest.raises(InvalidModel, match=problem):
        load(EventSourceFilter, {"expression": expression}, what="filter")


# ---------------------------------------------------------------------------- on its way


class Text:
    def __init__(self, **members: Any) -> None:
        self._members = members

    def encode(self) -> bytes:
        return json.dumps(self._members).encode()


class Filtered(Source):
    type: ClassVar[str] = "filtered"
    example: ClassVar[Any] = Text()
    filter: EventSourceFilter | None = None
    payloads: list[Any]

    async def run(self, env, emit):
        for payload in self.payloads:
            await emit(Text(**payload))
        env.listening()
        await asyncio.Event().wait()


class Sources:
    def __init__(self, source: Source) -> None:
        self._source = source

    def sources(self) -> dict[str, Source]:
        return {"beep": self._source}


async def sent(expression: str, *payloads: dict[str, Any]) -> tuple[MemoryBus, Runner]:
    """Have payloads judged, all of them."""
    bus, done = MemoryBus(), asyncio.Event()
    source = Filtered(filter=EventSourceFilter(expression=expression), payloads=list(payloads))
    running = Runner(
        name="uploads",
        namespace="ns",
        spec=Sources(source),  # type: ignore[arg-type]  # all that is asked of it
        bus=bus,
        secrets=GivenSecrets(),
        metrics=SourceMetrics("ns", "uploads", ["beep"]),
        host="127.0.0.1",
        ready=done.set,
    )
    async with cancelled_at_exit(asyncio.create_task(running.run())), asyncio.timeout(60):
        await done.wait()
    return bus, running


def counted(running: Runner, name: str, **more: str) -> float | None:
    labels = {"namespace": "ns", "eventsource_name": "uploads", "event_name": "beep", **more}
    return running.metrics.registry.get_sample_value(name, labels)


async def data_of(bus: MemoryBus) -> list[Any]:
    return [json.loads(decode(m.data).data or b"") async for m in bus.read(EVENTS)]


async def test_false_is_not_sent_and_counted():
    bus, running = await sent("n > 1", {"n": 1}, {"n": 2}, {"n": 0})

    assert await data_of(bus) == [{"n": 2}]
    assert counted(running, "tocsin_source_events_filtered_total", reason="False") == 2
    assert counted(running, "argo_events_events_sent_total") == 1
    assert counted(running, "argo_events_events_processing_failed_total") == 0


async def test_missing_value_is_told_ten_times_a_second(caplog):
    caplog.set_level(logging.INFO)

    bus, running = await sent("pull.n > 1", {"pull": {"n": 2}}, *[{"push": {}}] * 25)

    assert await data_of(bus) == [{"pull": {"n": 2}}]
    assert counted(running, "tocsin_source_events_filtered_total", reason="MissingValue") == 25
    told = [r.getMessage() for r in caplog.records if "not sent on" in r.getMessage()]
    assert 10 <= len(told) <= 20  # a second may end in between
    assert "cannot fetch n from <nil>" in told[0]
    assert [letter async for letter in list_dead(bus)] == []


async def test_what_cannot_be_judged_is_set_aside_not_lost():
    bus, running = await sent("n > 1", {"n": "two"}, {"n": 3})

    assert await data_of(bus) == [{"n": 3}]
    (entry,) = [letter async for letter in list_dead(bus)]
    assert (entry.letter.component, entry.letter.object) == ("eventsource", "uploads")
    assert (entry.letter.place, entry.letter.code) == ("beep", "FilterFailed")
    assert "string > int is not possible" in entry.letter.message
    assert json.loads(decode(entry.letter.data).data or b"") == {"n": "two"}
    assert counted(running, "argo_events_events_processing_failed_total") == 1
