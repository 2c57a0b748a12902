"""Conditions, and the joining of events one after another."""

import json
from typing import Any

from vectors.corpus import event
from vectors.outcome import Outcome, Vector

from sensor.conditions import compile_conditions
from sensor.evaluate import evaluate
from sensor.plan import compile_plan
from sensor.resets import forget
from sensor.spec import SensorSpec
from sensor.state import EMPTY, Mark, State, join, split
from spine.event import message_id
from spine.model import load


def met(given: Vector) -> Outcome:
    names = [d["name"] for d in given["dependencies"]]
    conditions = compile_conditions(given["conditions"], names)
    return Outcome.of(
        conditions.met(set(given["received"])),
        dependencies=list(conditions.names),
        expression=conditions.text,
        stateful=conditions.stateful,
    )


def _restarted(state: State) -> State:
    """Return what is left after a restart: what was stored."""
    stored = {name: split(one) for name, one in state.triggers.items()}
    return State({name: join(value, bodies) for name, (value, bodies) in stored.items()})


class _Run:
    """One trigger, and events one after another."""

    def __init__(self, given: Vector) -> None:
        spec = {
            "dependencies": given["dependencies"],
            "triggers": [{"template": {"name": "t", "conditions": given["conditions"], "log": {}}}],
        }
        self.plan = compile_plan("s", "ns", load(SensorSpec, spec, lenient=True))
        self.state = EMPTY
        self.firings: list[dict[str, Any]] = []
        self._stored: set[str] = set()
        self._latest = 0.0

    def step(self, at: int, step: Vector) -> None:
        if "restart" in step:
            self.state = _restarted(self.state)
        elif "event" in step:
            self._arrives(at, step)
        elif "reset" in step:
            self._forget(self._latest + 1, at)
        elif "resetBefore" in step:
            self._forget(step["resetBefore"], at)
        else:
            raise NotImplementedError(f"step {step}")

    def _arrives(self, at: int, step: Vector) -> None:
        arrived = event(step["event"])
        if message_id(arrived) in self._stored:  # the bus stores it once
            return
        self._stored.add(message_id(arrived))
        when = step.get("at", at)
        self._latest = max(self._latest, when)
        decision = evaluate(self.plan, self.state, arrived, 0.0, sequence=at + 1, stored=when)
        for action in decision.actions:
            lines = action.content["lines"]
            data = {line["dependencyName"]: json.loads(line["text"]) for line in lines}
            self.firings.append({"step": at, "events": action.events, "data": data})
        self.state = decision.state.finish("t", [action.key for action in decision.actions])

    def _forget(self, before: float, at: int) -> None:
        reset = Mark(before, at + 1)
        self.state = self.state.replace("t", forget(self.state.of("t"), reset))

    @property
    def pending(self) -> list[str]:
        return sorted(self.state.of("t").saved)


def sequence(given: Vector) -> Outcome:
    run = _Run(given)
    for at, step in enumerate(given["steps"]):
        run.step(at, step)
    return Outcome.of({"firings": run.firings, "pending": run.pending})
