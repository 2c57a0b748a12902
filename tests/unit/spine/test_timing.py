"""A timing has the figures of a counter and a summary."""

import threading

from prometheus_client import CollectorRegistry, Counter, Summary, generate_latest

from spine.telemetry.timing import Timing

LABELS = ("namespace", "name")


def made() -> tuple[Timing, CollectorRegistry]:
    registry = CollectorRegistry()
    one = Timing(("sent", "What was sent."), ("took", "How long."), LABELS, ("ns",))
    registry.register(one)
    return one, registry


def test_shows_what_counter_and_summary_show():
    one, registry = made()
    other = CollectorRegistry()
    counter = Counter("sent", "What was sent.", LABELS, registry=other)
    summary = Summary("took", "How long.", LABELS, registry=other)
    assert generate_latest(registry) == generate_latest(other)
    for name in ("a", "b"):
        one.know(name)
        counter.labels("ns", name)
    assert generate_latest(registry) == generate_latest(other)
    for name, amount in (("a", 0.25), ('c"\n', 3.0), ("a", 1.5)):
        one.add(name, amount)
        counter.labels("ns", name).inc()
        summary.labels("ns", name).observe(amount)
    one.know("a")
    assert generate_latest(registry) == generate_latest(other)


def test_figures_belong_together_while_another_thread_asks():
    one, registry = made()
    ended, seen = threading.Event(), []

    def ask() -> None:
        while not ended.is_set():
            found = {s.name: s.value for m in registry.collect() for s in m.samples}
            seen.append((found.get("took_count", 0), found.get("took_sum", 0)))

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(2_000):
        one.add("a", 2.0)
    ended.set()
    asking.join()
    assert all(total == 2 * times for times, total in seen)
    assert registry.get_sample_value("sent_total", {"namespace": "ns", "name": "a"}) == 2_000
