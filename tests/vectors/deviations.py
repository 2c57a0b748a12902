"""Where we deviate from the recorded systems on purpose, and why.

A deviation covers a vector that does not come out as recorded, by family and group (the id up to
its last dot) and, where a group holds more, by what the vector asks for. Never a single vector:
more of the same kinds are kept aside. One that covers nothing any more is an unneeded waiver,
and a failure of `test_vectors.py`.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vectors.outcome import DROPS, Outcome, Vector


def _any(_vector: Vector, _outcome: Outcome) -> bool:
    return True


@dataclass(frozen=True)
class Deviation:
    """A set of vectors whose recorded answer is not ours, with the reason."""

    name: str
    reason: str
    groups: tuple[str, ...]
    """Beginnings of ids: a family, or a family and group."""
    when: Callable[[Vector, Outcome], bool] = _any
    """Which of them."""

    def covers(self, vector: Vector, outcome: Outcome) -> bool:
        group = str(vector.get("id", "")).rpartition(".")[0] + "."
        found = any(group.startswith(f"{wanted}.") for wanted in self.groups)
        return found and self.when(vector, outcome)


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


# ---------------------------------------------------------------------------- what is asked for


def _passes(_vector: Vector, outcome: Outcome) -> bool:
    """Ours gives a result."""
    return not outcome.error


def _wants_error(vector: Vector, outcome: Outcome) -> bool:
    return "error" in vector["expect"] and not outcome.error


def _wants_success(vector: Vector, outcome: Outcome) -> bool:
    return "error" not in vector["expect"] and bool(outcome.error)


def _given(vector: Vector, *keys: str) -> bool:
    """Whether one of some keys stands anywhere in the input, with a value."""
    return any(key in keys and value for key, value in walk(vector["input"]))


def _operator_or(vector: Vector, outcome: Outcome) -> bool:
    operators = [v for k, v in walk(vector["input"]) if k == "filtersLogicalOperator"]
    told = "error" in vector["expect"] or vector["family"] == "condition_sequence"
    return "or" in operators and told and _passes(vector, outcome)


def _nests_no_at_least_once(vector: Vector, outcome: Outcome) -> bool:
    return _passes(vector, outcome) and vector["expect"].get("contains") == "atLeastOnce"


def _whole_message(vector: Vector, outcome: Outcome) -> bool:
    payloads = [v for k, v in walk(vector["input"]) if k == "payload" and isinstance(v, list)]
    return _passes(vector, outcome) and any(not e.get("dest") for p in payloads for e in p)


def _stan(vector: Vector, outcome: Outcome) -> bool:
    bus = (vector["input"].get("eventBus") or {}).get("spec") or {}
    return _passes(vector, outcome) and "nats" in bus


def _no_bus(vector: Vector, outcome: Outcome) -> bool:
    return _passes(vector, outcome) and vector["input"].get("eventBus") is None


_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def _named_oddly(vector: Vector, outcome: Outcome) -> bool:
    """A name that is refused there, or is taken for another one or for a literal."""
    names = [d["name"] for d in vector["input"]["dependencies"]]
    if not _passes(vector, outcome) or not set(outcome.told["dependencies"]) <= set(names):
        return False
    odd = len({n.replace("-", "_") for n in names}) < len(names) or not all(
        _WORD.fullmatch(n) and n not in {"true", "false", "nil"} for n in names
    )
    return odd or _wants_error(vector, outcome)


def _no_operation(vector: Vector, outcome: Outcome) -> bool:
    workflows = [v for k, v in walk(vector["input"]) if k == "argoWorkflow"]
    return _passes(vector, outcome) and any(not w.get("operation") for w in workflows)


def _descriptor(vector: Vector, outcome: Outcome) -> bool:
    crons = [str(v) for k, v in walk(vector["input"]) if k == "cron"]
    return _passes(vector, outcome) and any("@" in c for c in crons)


def _bad_status(vector: Vector, outcome: Outcome) -> bool:
    status = vector["input"].get("response_status", 200)
    policy = vector["input"]["trigger"].get("policy") or {}
    return bool(outcome.error) and not policy.get("status") and not 200 <= status < 300


def _resource_subject(vector: Vector, outcome: Outcome) -> bool:
    nats = vector["input"]["trigger"]["template"]["nats"]
    dests = [p.get("dest") for p in nats.get("parameters") or []]
    return _passes(vector, outcome) and "subject" in dests


def _unbuilt_source(vector: Vector, outcome: Outcome) -> bool:
    return vector["input"].get("kind") == "event_source_spec" and "not built yet" in outcome.error


def _lenient_time(vector: Vector, outcome: Outcome) -> bool:
    if vector["input"]["kind"] != "event_context":
        return False
    text = vector["input"]["object"].get("time")
    return _wants_error(vector, outcome) and (text == "" or str(text).islower())


def _repeated_id(vector: Vector, outcome: Outcome) -> bool:
    """An id that comes again under another event name."""
    steps = [s["event"]["context"] for s in vector["input"]["steps"] if "event" in s]
    names: dict[str, set[str]] = {}
    for context in steps:
        names.setdefault(context["id"], set()).add(context["subject"])
    return _passes(vector, outcome) and any(len(found) > 1 for found in names.values())


def _same_topic(vector: Vector, outcome: Outcome) -> bool:
    topics = [(d["eventSourceName"], d["eventName"]) for d in vector["input"]["dependencies"]]
    return _wants_error(vector, outcome) and len(set(topics)) < len(topics)


# ---------------------------------------------------------------------------- stricter

STRICTER = {
    "required field is missing": "a part without what it cannot do without",
    "it does nothing": "a template without a kind of trigger",
    "string should have at least 1 character": "an empty text where it can mean nothing",
    "list should have at least 1 item": "an empty list where it can mean nothing",
    "input should be '": "a word that the field does not know",
    "input should be a valid number": "a number written as a text",
    "input should be a valid dictionary": "nothing where settings are needed",
    "there is no event": "an EventSource without events",
    "set type, subject, source or datacontenttype": "a context filter that compares nothing",
    "start and stop are equal": "a time filter of the whole day, or of none of it",
    "compiling conditions": "conditions of anything but declared names, && , || and parentheses",
    "this name is taken": "a name twice: one would hide the other",
    "set caCertSecret": "tls that sets nothing",
    "it is no name of a header": "a header without a name",
    "reading http.url": "a URL that cannot be called",
    "regular expression": "a bad regular expression",
    "is no number": "a wanted value that is no number",
    "is out of range": "a wanted value that no number has",
    "neither true": "a wanted value that is no boolean",
    "reading duration": "a duration that cannot be read",
    "compiling path": "a path that can never work",
    "reading the object": "an object that no API server takes: no kind, apiVersion or name",
    "reading source": "a source of which nothing can come",
    " is missing": "a message without address or content",
    "jq program": "a jq program that does not compile, whether events have data or not",
    "compiling template": "a template that does not compile",
    "compiling script": "a script that does not compile",
}
"""What we refuse beyond Argo Events before any event comes, by a piece of our message."""

VALIDATED = (
    "apply_params", "combined_filter", "condition_sequence", "conditions", "context_filter",
    "data_filter", "http_request", "nats_publish", "payload", "resolve_param",
    "sensor_validation", "spec_normalise", "time_filter",
)  # fmt: skip
"""Families in which the refusal of a field is no missing piece of a language."""


def _stricter(vector: Vector, outcome: Outcome) -> bool:
    wanted = vector["expect"].get("result") if vector["family"] in DROPS else True
    refused = outcome.stage == "plan" and "error" not in vector["expect"] and wanted is True
    return refused and any(piece in outcome.error for piece in STRICTER)


def _bad_expression(vector: Vector, outcome: Outcome) -> bool:
    """One that cannot be compiled beside others that decide, or one that reads no event."""
    exprs = (vector["input"].get("filters") or {}).get("exprs") or [
        e for k, v in walk(vector["input"]) if k == "exprs" for e in v
    ]
    odd = len(exprs) > 1 or not all(e.get("fields") and e["fields"][0].get("name") for e in exprs)
    told = "expression" in outcome.error or "exprs" in outcome.error
    refused = outcome.stage == "plan" and told and _wants_success(vector, outcome)
    return refused and (odd or vector["family"] == "sensor_validation")


# ---------------------------------------------------------------------------- expr-lang

_NEGATED = re.compile(r"[-+*/%^!=<>].*\snot\s+(in|contains|startsWith|endsWith|matches)\b")


def _misled(vector: Vector, outcome: Outcome) -> bool:
    """A `not` behind an operator, which was dropped, or a function that nobody can call."""
    given = vector["input"]
    text = given.get("text") or (given.get("filter") or {}).get("expression", "")
    wanted = vector["expect"].get("result")
    if wanted is True and re.search("no function is called|has no function", outcome.error):
        return True
    dropped = _NEGATED.search(text) and isinstance(outcome.told.get("result"), bool)
    return bool(dropped) and wanted is not outcome.told["result"]


# ---------------------------------------------------------------------------- jq

_OTHER_DIALECT = re.compile(r"\?//|\b[jy][01]\b")


def _libjq(vector: Vector, outcome: Outcome) -> bool:
    if _OTHER_DIALECT.search(vector["input"]["transform"]["jq"]):
        return True
    if _wants_error(vector, outcome):
        return False
    if outcome.error:
        return outcome.stage == "plan" and "data" not in vector["input"]["event"]
    got, wanted = outcome.told.get("raw", ""), vector["expect"].get("raw", "")
    large = re.search(r"\d{17}", wanted)
    return bool(large) and json.loads(got, parse_int=float) == json.loads(wanted, parse_int=float)


# ---------------------------------------------------------------------------- the list

DEVIATIONS: tuple[Deviation, ...] = (
    Deviation(
        "refuses more, with a reason",
        "What can never do what its author meant is refused when the Sensor is planned, by name"
        " and place, and not by a log line for each event: " + "; ".join(STRICTER.values()),
        VALIDATED,
        _stricter,
    ),
    Deviation(
        "an expression that can never be evaluated is refused",
        "Also where another one decides before it is reached, or where it reads no event.",
        ("expr_filter", "combined_filter", "sensor_validation"),
        _bad_expression,
    ),
    Deviation(
        "an error is false under or",
        "The documentation of filtersLogicalOperator says so; the peer drops the event although"
        " another filter passes.",
        ("combined_filter", "time_filter", "condition_sequence"),
        _operator_or,
    ),
    Deviation(
        "any name of a dependency works in conditions",
        "The peer rewrites conditions by the words of two expression languages, so that len, in,"
        " true, 1a or a.b leave the trigger dead without a word, and a-b is taken for a_b.",
        ("conditions",),
        _named_oddly,
    ),
    Deviation(
        "several dependencies may name one event",
        "As on JetStream; the peer refuses it, for STAN only, where one event reaches one"
        " dependency. We serve a native NATS bus by JetStream.",
        ("sensor_validation", "condition_sequence"),
        lambda v, o: _stan(v, o) or ("steps" in v["input"] and _same_topic(v, o)),
    ),
    Deviation(
        "an id repeated under another event name is another event",
        "Ids are the sender's: one event must not swallow a different one.",
        ("condition_sequence",),
        _repeated_id,
    ),
    Deviation(
        "at least once is the default",
        "So dlqTrigger need not ask for it; it is refused only beside atLeastOnce: false.",
        ("sensor_validation",),
        _nests_no_at_least_once,
    ),
    Deviation(
        "the bus is no affair of the Sensor's validation",
        "Whether it exists and is ready is checked by tocsin lint, and in the status.",
        ("sensor_validation",),
        _no_bus,
    ),
    Deviation(
        "one value may be the whole message of any kind",
        "The peer sends it so, but its validation lets only http ask for it.",
        ("sensor_validation",),
        _whole_message,
    ),
    Deviation(
        "argoWorkflow submits where no operation is named",
        "As its documentation has it; the peer's validation refuses that default.",
        ("sensor_validation",),
        _no_operation,
    ),
    Deviation(
        "resets take the descriptors of cron",
        "@daily and the like mean what they mean in a calendar.",
        ("sensor_validation", "spec_normalise"),
        _descriptor,
    ),
    Deviation(
        "without a policy only 2xx is success",
        "The peer takes any answer, a 500 too, for success, and so loses the event.",
        ("http_request",),
        _bad_status,
    ),
    Deviation(
        "parameters of a nats trigger reach its subject",
        "The peer computes them and publishes to the unchanged subject.",
        ("nats_publish",),
        _resource_subject,
    ),
    Deviation(
        "event sources that are not built",
        "They are refused by name; their vectors are for those who build them.",
        ("spec_normalise",),
        _unbuilt_source,
    ),
    Deviation(
        "an exclusion of a calendar is a day",
        "In any form in which dates are written; the peer ignores most of them without a word.",
        ("spec_normalise",),
        lambda v, o: v["input"]["kind"] == "exclusion_dates" and _passes(v, o),
    ),
    Deviation(
        "times of CloudEvents are read leniently",
        "t and z in lower case are RFC 3339 too, and an empty time is none, as on the bus.",
        ("spec_normalise",),
        _lenient_time,
    ),
    Deviation(
        "nothing is guessed from a name",
        "The API server says what the resource of a kind is called (a guess breaks Endpoints), and"
        " nothing of ours is named by a user's free text.",
        ("spec_normalise",),
        lambda _, o: o.stage == "untold",
    ),
    Deviation(
        "a filter expression says what it means",
        "expr 1.15 drops the `not` of `a + b not in c`, so that the filter lets pass what it should"
        " not; and a function that does not exist, or asks the network, is refused when the filter"
        " is compiled, also where it would not be reached.",
        ("es_filter",),
        _misled,
    ),
    Deviation(
        "libjq and gojq",
        "Integers that a program computes are doubles, as in jq itself, also beyond 2^53; an error"
        " behind ?// does not try the next pattern once there was an output; Bessel's functions"
        " are libjq's. A program that does not compile is refused, also where events have no data.",
        ("transform_jq",),
        _libjq,
    ),
)  # fmt: skip
