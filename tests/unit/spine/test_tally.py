"""A tally has the figures of a counter, whatever is counted together."""

import threading

from prometheus_client import CollectorRegistry, Counter, generate_latest

from spine.telemetry import tally
from spine.telemetry.tally import Tally

LABELS = ("namespace", "name", "reason")


def made() -> tuple[Tally, CollectorRegistry]:
    registry = CollectorRegistry()
    one = Tally("refused", "What was refused.", LABELS, ("ns",))
    registry.register(one)
    return one, registry


def test_shows_what_a_counter_shows():
    one, registry = made()
    other = CollectorRegistry()
    counter = Counter("refused", "What was refused.", LABELS, registry=other)
    assert generate_latest(registry) == generate_latest(other)
    several = (("a", "x"), ("b", 'y"\n'))
    for n in range(3):
        one.add(("a", "x"))
        one.add_all(several)
        one.add_all((("b", f"{n}"),))
        for name, reason in (("a", "x"), *several, ("b", f"{n}")):
            counter.labels("ns", name, reason).inc()
    shown = generate_latest(registry).splitlines()
    assert sorted(shown) == sorted(generate_latest(other).splitlines())


def test_sets_are_added_up_above_so_many():
    one, registry = made()
    sets = [(("a", "x"), ("b", f"{n}")) for n in range(tally.TOGETHER * 2 + 5)]
    for several in sets:
        one.add_all(several)
        one.add_all(several)
        assert len(one._together) <= tally.TOGETHER
    labels = {"namespace": "ns", "name": "a", "reason": "x"}
    assert registry.get_sample_value("refused_total", labels) == 2 * len(sets)
    labels = {"namespace": "ns", "name": "b", "reason": "0"}
    assert registry.get_sample_value("refused_total", labels) == 2


def test_figures_never_fall_while_another_thread_asks(monkeypatch):
    monkeypatch.setattr(tally, "TOGETHER", 3)
    one, registry = made()
    sets = [tuple((f"n{m}", f"{n}") for m in range(5)) for n in range(7)]
    ended, seen = threading.Event(), []

    def ask() -> None:
        while not ended.is_set():
            found = registry.collect()
            seen.append(sum(sample.value for metric in found for sample in metric.samples))

    asking = threading.Thread(target=ask)
    asking.start()
    for n in range(20_000):
        one.add_all(sets[n % 7])
    ended.set()
    asking.join()
    assert seen == sorted(seen)
    assert sum(s.value for metric in registry.collect() for s in metric.samples) == 100_000
