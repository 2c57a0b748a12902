"""Names that nobody has, and kinds that no event source is of, are told at once."""

from typing import Any

import pytest

from delivery.subjects import decided_subject, notifier_owner, sensor_durable
from eventbus.bus import DECISIONS, Reader
from eventbus.memory import MemoryBus
from spine.event import Event
from tocsin import seen, send, tail

RUN = {
    "processes": [
        {"kind": "Sensor", "name": "till", "events": {}},
        {"kind": "EventSource", "name": "shop", "events": {"placed": "webhook"}},
    ]
}


@pytest.fixture
async def bus() -> MemoryBus:
    made = MemoryBus()
    await made.ensure(Reader(sensor_durable("reads"), ("default.src.e",)))
    await made.append(DECISIONS, decided_subject("a.word"), b"{}")
    await made.append(DECISIONS, decided_subject(notifier_owner("ns/tells")), b"{}")
    await made.publish(Event(id="1", source="src", subject="e", type="webhook"))
    return made


async def test_all_that_there_are(bus):
    assert await seen.sensors(bus, RUN) == {"till", "reads", "a.word"}
    assert await seen.sources(bus, RUN) == {"shop", "src"}


async def test_a_name_that_nobody_has_is_told(bus):
    assert await tail._unknown(bus, {}, ("src", "*"), ("reads", "a.word")) == []
    assert await tail._unknown(bus, RUN, ("shp",), ("xyz",)) == [
        "no EventSource 'shp' has been seen here (did you mean shop)",
        "no Sensor 'xyz' has been seen here (there are a.word, reads, till)",
    ]
    assert await tail._unknown(MemoryBus(), {}, (), ("xyz",)) == [
        "no Sensor 'xyz' has been seen here (there are none yet)"
    ]


def test_so_many_names_are_told():
    told = seen.near("x", [f"name{n:02}" for n in range(12)])
    assert told.endswith("name09, ...")


SENSOR = """\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: till}
spec:
  dependencies:
    - {name: a, eventSourceName: src, eventName: e}
    - {name: b, eventSourceName: src, eventName: e, filters: {context: {type: com.shop.order}}}
  triggers: [{template: {name: t, log: {}}}]
"""


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("webhook", ""),
        ("redisStream", ""),
        ("kafka", ""),
        ("com.shop.order", ""),
        ("webhok", "tocsin: no kind of event source is called 'webhok' (did you mean webhook)"),
        ("zzz", "tocsin: no kind of event source is called 'zzz' (there are amqp, "),
    ],
)
def test_a_kind_that_nobody_has_is_told(tmp_path, capsys, kind, said):
    (tmp_path / "s.yaml").write_text(SENSOR)
    run: dict[str, Any] = {**RUN, "manifests": [str(tmp_path / "s.yaml")]}
    send._warn_of_kind(run, kind)
    err = capsys.readouterr().err
    assert err.startswith(said) if said else not err


def test_manifests_of_a_run_that_are_gone_are_no_matter(capsys):
    send._warn_of_kind({"manifests": ["/nowhere"]}, "zzz")
    assert "'zzz'" in capsys.readouterr().err
