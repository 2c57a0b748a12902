"""Values from events, where they are put, and messages built from them."""

import json

from vectors.corpus import events
from vectors.families.specs import written
from vectors.families.text import as_json
from vectors.outcome import Outcome, Vector

from sensor.parameters import (
    Parameter,
    PayloadEntry,
    compile_parameters,
    compile_payload,
)
from sensor.sources import ParameterSource, compile_source
from sensor.spec import SensorTrigger, TriggerTemplate
from sensor.templated import json_of, members
from sensor.triggers.k8s import K8s
from spine.model import load


def resolve(given: Vector) -> Outcome:
    source = load(ParameterSource, given["src"], lenient=True)
    value = compile_source(source)(events(given["events"]))
    if value is None:
        return Outcome.of({"value": None, "type": "String"})
    return Outcome.of({"value": value.text, "type": value.kind.value})


def payload(given: Vector) -> Outcome:
    entries = [load(PayloadEntry, entry, lenient=True) for entry in given["payload"]]
    text = compile_payload(entries)(events(given["events"]))
    return Outcome.of(as_json(text), raw=text)


def apply(given: Vector) -> Outcome:
    match given["target"]:
        case "json":
            return _to_document(given)
        case "trigger_template":
            return _to_template(given)
        case "k8s":
            return _to_object(given)
    raise AssertionError(given["target"])


def _to_document(given: Vector) -> Outcome:
    parameters = [load(Parameter, one, lenient=True) for one in given["parameters"]]
    document = (given.get("resource_text") or "").encode()
    text = compile_parameters(parameters)(document, events(given["events"])).decode()
    return Outcome.of(as_json(text), raw=text)


def _to_template(given: Vector) -> Outcome:
    entry = load(SensorTrigger, given["trigger"], lenient=True)
    change = compile_parameters(entry.parameters)
    changed = change(json_of(entry.template), events(given["events"]))
    template = load(TriggerTemplate, dict(members(changed)), lenient=True)
    return Outcome({"result": written(template)}, loose=True)


def _to_object(given: Vector) -> Outcome:
    trigger = load(K8s, given["k8s"], lenient=True)
    return Outcome.of(json.loads(json.dumps(trigger.compile()(events(given["events"]))["object"])))
