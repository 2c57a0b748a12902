"""How each family of vectors is put to the product: one function a family, all in one table.

A function takes the input of a vector and gives an Outcome, or lets the product's own errors out,
which are refusals. It calls the models, compilers and evaluators of the product and decides
nothing itself.
"""

import importlib

from vectors.outcome import REFUSALS, Outcome, Vector

TABLE = {
    "apply_params": "parameters:apply",
    "cloudevent_decode": "events:decode",
    "cloudevent_encode": "events:encode",
    "combined_filter": "filters:passes",
    "condition_sequence": "conditions:sequence",
    "conditions": "conditions:met",
    "context_filter": "filters:passes",
    "data_filter": "filters:passes",
    "es_filter": "es_filter:sends_on",
    "event_text": "events:text",
    "expr_filter": "filters:passes",
    "gjson_path": "paths:gjson",
    "go_template": "templates:sensor",
    "http_request": "http:request",
    "language_expr": "languages:expr",
    "language_template": "languages:template",
    "nats_publish": "nats:published",
    "payload": "parameters:payload",
    "resolve_param": "parameters:resolve",
    "script_filter": "filters:passes",
    "sensor_validation": "specs:validate",
    "spec_normalise": "specs:normalise",
    "status_policy": "http:status",
    "time_filter": "filters:passes",
    "transform_jq": "transforms:after",
    "transform_lua": "transforms:after",
}
"""Family -> module and function in it."""


def evaluate(vector: Vector) -> Outcome:
    """Put a vector to the product. Any exception out of here is a crash."""
    module, function = TABLE[vector["family"]].split(":")
    put = getattr(importlib.import_module(f"vectors.families.{module}"), function)
    try:
        outcome = put(vector["input"])
    except REFUSALS as exc:
        return Outcome.refused(exc)
    assert isinstance(outcome, Outcome)
    return outcome
