"""Deliberately broken Sensors: the last line of `tocsin explain` names the fault of each.

Beside this file lie NAME.yaml, and NAME.json (or NAME.1.json, NAME.2.json) with its events.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from tocsin.cli import cli

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    name: str
    line: str
    code: int = 1

    def __str__(self) -> str:
        return self.name


CASES = [
    Case(
        "bad-condition",
        "Sensor review cannot run: spec.triggers[0].template.conditions: compiling "
        "conditions 'approved && test': no dependency is called 'test' (did you mean "
        "tested)",
        code=2,
    ),
    Case(
        "base64-body",
        "did not fire: dependency message: data filter: filtering event "
        "'base64-body.json' of queue/message by its data: not valid JSON (the data is "
        'base64 of {"kind":"order"})',
    ),
    Case(
        "body-missing",
        "did not fire: dependency orders: data filter 1: data has no order.status (it "
        "has body.order.status)",
    ),
    Case(
        "bool-comparator",
        "did not fire: dependency flag: data filter: body.archived is false, not != "
        "true (bool); comparator != has no effect on bool: it is compared as =",
    ),
    Case(
        "dependency-name",
        "fired: trigger tell would send POST http://warehouse:8080/orders; but "
        "http.payload[0] is left out: there is no event of orders, which no dependency "
        "is called (did you mean order)",
        code=0,
    ),
    Case(
        "exprs-field",
        "Sensor orders cannot run: spec.dependencies[0].filters.exprs[0].expr: compiling "
        "expression 'total > 100': no field is named 'total': did you mean totl? (add to fields: "
        "{name: total, path: …}, or quote it if it is a text)",
        code=2,
    ),
    Case(
        "exprs-path",
        "did not fire: dependency order: expr filter: data has no total (it has body.total)",
    ),
    Case(
        "if-without-body",
        'did not fire: trigger notify: its if is false: data.action == "opened" '
        "(data has no action: it has body.action)",
    ),
    Case(
        "jq-no-object",
        "did not fire: dependency order: running jq program '.body.items' on event "
        "'jq-no-object.json': gave an array, not an object (wrap it: {value: .})",
    ),
    Case(
        "letter-case",
        'did not fire: dependency user: data filter: body.user.plan is "pro", not = '
        "^Pro$ (string); only upper and lower case differ: write (?i)^Pro$",
    ),
    Case(
        "missing-key",
        "did not fire: trigger tell: http.payload[0]: resolving dataKey 'body.orderId' "
        "of dependency 'order': event 'missing-key.json' has none (did you mean "
        "body.order_id)",
    ),
    Case(
        "number-as-string",
        "did not fire: dependency orders: data filter: body.total is 250, not >= 100 "
        "(string); texts are not ordered, so >= never passes: write type: number",
    ),
    Case(
        "reset",
        "did not fire: trigger release: waits for tested (has approved since "
        "2026-11-21 00:10:00 UTC); its conditions were reset at 2026-11-21 00:00:00 UTC",
    ),
    Case(
        "script-error",
        "did not fire: dependency order: script filter: running Lua program 'return "
        "event.body.order.total > 100\\n' on event 'script-error.json': line 1: attempt "
        "to index field 'order' (a nil value)",
    ),
    Case(
        "text-of-json",
        "did not fire: dependency notice: data filter: data has no body.Message.state "
        "(body.Message is a text that holds JSON: first transform it by jq: "
        ".body.Message |= fromjson)",
    ),
    Case(
        "waits-for-both",
        "did not fire: trigger notify: waits for closed (has opened since 2026-11-21 "
        "12:00:00 UTC); without conditions it needs all dependencies: for any of them "
        "write opened || closed",
    ),
    Case(
        "wrong-event-name",
        "did not fire: no dependency of this Sensor names github/push: nearest is "
        "github/pushes (dependency push: eventName)",
    ),
    Case(
        "wrong-zone",
        "did not fire: dependency call: time filter: time is 2026-11-20 20:30:00 UTC, "
        "not from 09:00:00 to 17:00:00 UTC (without a timezone the window is in UTC: "
        "write timezone: Europe/Oslo, say)",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_last_line_names_the_fault(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    events = sorted(path.name for path in HERE.glob(f"{case.name}*.json"))
    words = [word for event in events for word in ("--event", event)]
    result = CliRunner().invoke(cli, ["explain", f"{case.name}.yaml", *words])
    assert result.output.splitlines()[-1] == case.line
    assert result.exit_code == case.code


def test_every_broken_sensor_is_tried() -> None:
    assert {path.stem for path in HERE.glob("*.yaml")} == {case.name for case in CASES}
    assert len(CASES) >= 10
