"""What evaluating costs in one process: no bus, no HTTP, only `evaluate` and the languages.

Each figure is the least of several rounds, in microseconds of processor time for one event or one
evaluation: on a shared machine the least is what the code costs.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from eventbus.bus import Message
from eventbus.memory import MemoryBus
from sensor.evaluate import evaluate
from sensor.intake import Intake
from sensor.plan import Plan, compile_plan
from sensor.spec import SensorSpec
from sensor.state import EMPTY
from spine.event import Event
from spine.model import load
from spine.telemetry import SensorMetrics

if TYPE_CHECKING:
    from delivery.queue import Dispatcher

JQ = "{id: .body.id, total: .body.total, customer: .body.customer, lines: .body.lines}"
ROUNDS, CALLS = 7, 2_000


def best(call: Callable[[], object], calls: int = CALLS) -> float:
    """Return the processor microseconds of one call, the least of several rounds."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            call()
        rounds.append((time.process_time() - began) / calls * 1e6)
    return min(rounds)


def body() -> bytes:
    """Return the body of an order: about 1 KiB."""
    lines = [{"sku": f"sku-{n:04}", "count": n, "price": 9.5 * n} for n in range(16)]
    customer = {"id": "c-17", "name": "Ada", "city": "London"}
    order = {"id": "o-1", "total": 250, "kind": "web", "customer": customer, "lines": lines}
    event = {"header": {"Host": ["shop"]}, "body": order}
    return json.dumps(event, separators=(",", ":")).encode()  # as a webhook passes it on


def event(n: int, data: bytes) -> Event:
    """Return one event; each has an id of its own."""
    return Event(
        id=f"e{n}", source="shop", subject="orders", type="webhook",
        time=datetime(2026, 11, 21, 12, tzinfo=UTC), data=data,
    )  # fmt: skip


def plan(*, jq: bool) -> Plan:
    """Return a typical Sensor: two data filters and four parameters, with or without jq."""
    root = "" if jq else "body."
    keys = ("id", "total", "customer.name", "customer.city")
    dependency: dict[str, Any] = {
        "name": "order",
        "eventSourceName": "shop",
        "eventName": "orders",
        "filters": {
            "data": [
                {"path": f"{root}total", "type": "number", "comparator": ">=", "value": ["100"]},
                {"path": f"{root}customer.id", "type": "string", "value": ["^c-"]},
            ]
        },
    }
    if jq:
        dependency["transform"] = {"jq": JQ}
    payload = [
        {"src": {"dependencyName": "order", "dataKey": root + key}, "dest": key.replace(".", "_")}
        for key in keys
    ]
    trigger = {"template": {"name": "t", "http": {"url": "http://sink.test/", "payload": payload}}}
    spec = {"dependencies": [dependency], "triggers": [trigger]}
    return compile_plan("bench", "default", load(SensorSpec, spec))


def each(ready: Plan, data: bytes) -> float:
    """Return the microseconds that a plan takes for an event that fires."""
    events = iter([event(n, data) for n in range(ROUNDS * CALLS)])

    def one() -> None:
        if not evaluate(ready, EMPTY, next(events), 0.0).actions:
            raise SystemExit("the benchmark's Sensor did not fire")

    return best(one)


class _Done:
    """A dispatcher whose actions are done at once."""

    def __init__(self) -> None:
        self.reporter = self

    def decided(self, *_: object) -> None:
        """Take a record of a decision."""

    async def deliver(self, _: object) -> None:
        """Take an action."""


def refusing(others: int, filters: Callable[[int], dict[str, Any]]) -> float:
    """Return the microseconds of an event that fires one trigger and that so many refuse.

    They are evaluated, counted in the metrics, and thinned for the log.
    """
    on = {"eventSourceName": "shop", "eventName": "orders"}
    dependencies = [{"name": "order", **on}]
    dependencies += [{"name": f"d{n}", "filters": filters(n), **on} for n in range(others)]
    triggers = [
        {"template": {"name": one["name"], "conditions": one["name"], "log": {}}}
        for one in dependencies
    ]
    spec = load(SensorSpec, {"dependencies": dependencies, "triggers": triggers})
    ready, done = compile_plan("bench", "default", spec), cast("Dispatcher", _Done())
    metrics = SensorMetrics("default", "bench", ready.triggers)
    intake = Intake(ready, MemoryBus(), done, metrics, None, {})
    one, message = event(0, body()), Message("default.shop.orders", b"", 1, 1.0)

    def once() -> None:
        handling = intake._follow(evaluate(ready, EMPTY, one, 0.0), one, message)  # noqa: SLF001 -- no bus is between
        with suppress(StopIteration):
            handling.send(None)

    return best(once, CALLS // 10)


def languages() -> dict[str, Callable[[], object]]:
    """Return what is evaluated most, compiled."""
    from sensor.expr_filter import ExprFilter, compile_exprs
    from sensor.filters import Filters, compile_filters
    from sensor.sources import ParameterSource, compile_source
    from spine.lang import gotemplate, paths
    from spine.lang.exprlang import compile as compile_expr
    from spine.lang.gjson import Document

    data = body()
    document, decoded = Document(data), json.loads(data)
    one = event(0, data)
    path = paths.compile("body.customer.city").get
    template = gotemplate.compile("{{ .Input.body.customer.city }}")
    root = {"Input": decoded}
    comparison = {"path": "body.total", "type": "number", "comparator": ">=", "value": ["100"]}
    compared = compile_filters(load(Filters, {"data": [comparison]}))
    fields = [{"path": "body.total", "name": "total"}]
    expr = compile_exprs([load(ExprFilter, {"expr": "total >= 100", "fields": fields})], "")
    source = compile_source(
        load(ParameterSource, {"dependencyName": "order", "dataTemplate": "{{ .Input.body.id }}"})
    )
    filtering = compile_expr('body.total >= 100 && body.kind == "web"', "1.15")
    if compared is None:
        raise SystemExit("the filter was not compiled")
    check = compared.check
    return {
        "path body.customer.city": lambda: path(document),
        "template {{ .Input.body.customer.city }}": lambda: template.render(root),
        "data filter, one comparison": lambda: check(one, document),
        "exprs, one comparison": lambda: expr(one, document),
        "expr-lang, two comparisons": lambda: filtering.run(decoded),
        "dataTemplate, document decoded anew": lambda: source({"order": one}),
    }


def measure(say: Callable[[str, str], None]) -> None:
    """Print what evaluating costs."""
    import jq

    data = body()
    text = data.decode()
    program = jq.compile(JQ)
    bare = best(lambda: program.input_text(text).first())
    with_jq, plain = each(plan(jq=True), data), each(plan(jq=False), data)
    say("bare jq call", f"{bare:8.1f} us")
    goal = 1.4 * bare + 15
    say("Sensor with jq, 2 filters, 4 parameters", f"{with_jq:8.1f} us   goal {goal:.1f}")
    say("the same without jq", f"{plain:8.1f} us   goal 15.0")
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {
        "by their context": lambda n: {"context": {"subject": f"other-{n}"}},
        "by the same path of the data": lambda n: {
            "data": [{"path": "body.kind", "type": "string", "value": [f"other-{n}"]}]
        },
    }
    for name, filters in kinds.items():
        none, many = refusing(0, filters), refusing(100, filters)
        say(f"100 refuse {name}", f"{many:8.1f} us   none {none:.1f}   {many - none:.1f} more")
    for name, call in languages().items():
        say(name, f"{best(call, 10 * CALLS):8.2f} us")
