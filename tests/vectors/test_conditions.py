"""Conditions and the joining of events."""

import json
import re

import pytest
from vectors.corpus import SCRIPTS, Rule, Vector, differs, event, family, uses

from sensor.conditions import compile_conditions
from sensor.evaluate import evaluate
from sensor.plan import compile_plan
from sensor.spec import SensorSpec
from sensor.state import EMPTY, State, join, split
from spine.errors import ConfigError
from spine.event import message_id
from spine.model import load

RESETS = Rule("resets conditions: conditionsReset comes with a later release",
              uses("reset", "resetBefore"))  # fmt: skip


def _names(given: Vector) -> list[str]:
    return [d["name"] for d in given["dependencies"]]


def _alike(names: list[str]) -> bool:
    folded = [name.replace("-", "_") for name in names]
    return len(set(folded)) < len(folded)


def _foreign(text: str) -> bool:
    """Whether an expression uses what is not documented: literals, comments, operators."""
    return bool(re.search(r"""["'<>=?;/\[\]{},!*#]|^\s*(?:true|false|[0-9]+)\s*$""", text))


@pytest.mark.parametrize("vector", family("conditions"))
def test_conditions(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    names = _names(given)
    if _alike(names):
        differs("names that are equal but for - and _ are kept apart, or refused where equal")
    text = given["conditions"] or "&&".join(names)
    if "error" not in expect and _foreign(text):
        differs("only names, &&, || and parentheses are taken, as documented")
    try:
        conditions = compile_conditions(given["conditions"], names)
    except ConfigError:
        assert "error" in expect
        return
    if "error" in expect:
        assert set(conditions.names) <= set(names)
        differs("any declared name works, also one that is a word of an expression language")
    assert conditions.met(set(given["received"])) is expect["result"]
    assert list(conditions.names) == expect["dependencies"]
    assert conditions.text == expect["expression"]
    assert conditions.stateful is expect["stateful"]


def _restarted(state: State) -> State:
    """Return what is left after a restart: what was stored."""
    stored = {name: split(one) for name, one in state.triggers.items()}
    return State({name: join(value, bodies) for name, (value, bodies) in stored.items()})


@pytest.mark.parametrize("vector", family("condition_sequence", RESETS, SCRIPTS))
def test_sequence(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    spec = {
        "dependencies": given["dependencies"],
        "triggers": [{"template": {"name": "t", "conditions": given["conditions"], "log": {}}}],
    }
    events = [d["eventName"] for d in given["dependencies"]]
    if "error" in expect and len(set(events)) < len(events):
        differs("several dependencies may name one event, as on JetStream")
    if "error" in expect:
        with pytest.raises(ConfigError):
            compile_plan("s", "ns", load(SensorSpec, spec))
        return
    plan = compile_plan("s", "ns", load(SensorSpec, spec))
    state, firings, stored, ids = EMPTY, [], set(), set()
    for at, step in enumerate(given["steps"]):
        if "restart" in step:
            state = _restarted(state)
        if "event" not in step:
            continue
        arrived = event(step["event"])
        if arrived.id in ids and message_id(arrived) not in stored:
            differs("an id repeated under another event name is another event")
        if message_id(arrived) in stored:  # the bus stores it once
            continue
        ids.add(arrived.id)
        stored.add(message_id(arrived))
        decision = evaluate(plan, state, arrived, 0.0, sequence=at + 1, stored=step.get("at", at))
        for action in decision.actions:
            lines = action.content["lines"]
            data = {line["dependencyName"]: json.loads(line["text"]) for line in lines}
            firings.append({"step": at, "events": action.events, "data": data})
        state = decision.state.finish("t", [action.key for action in decision.actions])
    operators = {d.get("filtersLogicalOperator") for d in given["dependencies"]}
    if firings != expect["result"]["firings"] and "or" in operators:
        differs("a missing path is false under or, as the documentation has it")
    assert firings == expect["result"]["firings"]
    assert sorted(state.of("t").saved) == expect["result"]["pending"]
