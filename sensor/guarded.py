"""Evaluation in another process, for plans whose programs are not known to end.

A worker compiles the same plan from the same spec and answers requests; both sides speak JSON.
What crosses is what `evaluate` takes and gives, so the result is the same on either side.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from sensor.decision import Skip
from sensor.evaluate import Decision, evaluate
from sensor.plan import Plan, compile_plan
from sensor.spec import SensorSpec
from sensor.state import State
from spine.event import Event
from spine.model import load

FACTORY = "sensor.guarded:worker"
"""Name of `worker` for `spine.lang.guard.Guard`."""


class _Init(msgspec.Struct):
    name: str
    namespace: str
    spec: Any
    room: int


class _Request(msgspec.Struct):
    state: State
    event: Event
    now: float
    sequence: int
    stored: float
    skip: Skip
    trace: bool = False


_encode = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(_Request).decode
_decode_decision = msgspec.json.Decoder(Decision).decode


def init(plan: Plan) -> bytes:
    """Return what a worker needs to compile the plan."""
    spec = plan.spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return _encode(_Init(plan.name, plan.namespace, spec, plan.room))


def worker(init: bytes) -> Callable[[bytes], bytes]:
    """Return the answering side, in the worker process."""
    given = msgspec.json.decode(init, type=_Init)
    plan = compile_plan(given.name, given.namespace, load(SensorSpec, given.spec, lenient=True))
    plan.room = given.room

    def answer(request: bytes) -> bytes:
        asked = _decode_request(request)
        return _encode(
            evaluate(
                plan,
                asked.state,
                asked.event,
                asked.now,
                sequence=asked.sequence,
                stored=asked.stored,
                skip=asked.skip,
                trace=asked.trace,
            )
        )

    return answer


def request(  # noqa: PLR0913 -- what `evaluate` takes
    state: State,
    event: Event,
    now: float,
    *,
    sequence: int = 0,
    stored: float = 0.0,
    skip: Skip = (),
    trace: bool = False,
) -> bytes:
    """Return a request for a worker."""
    return _encode(_Request(state, event, now, sequence, stored, skip, trace))


def decision(answer: bytes) -> Decision:
    """Return what a worker answered."""
    return _decode_decision(answer)
