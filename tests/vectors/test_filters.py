"""Filters of a dependency: an event passes exactly where it passes Argo Events.

An error drops the event there, as false does; here a missing path is false and everything else
that cannot be evaluated is a fault (the event becomes a dead letter). Both do not pass.
"""

import re
from typing import Any

import pytest
from vectors.corpus import EXPRS, SCRIPTS, TEMPLATES, Vector, differs, event, family

from sensor.filters import Filters, compile_filters
from sensor.spec import Dependency
from spine.errors import ConfigError, FilterError
from spine.lang.gjson import Document
from spine.model import load

VECTORS = [
    *family("data_filter", TEMPLATES),
    *family("context_filter"),
    *family("time_filter"),
    *family("combined_filter", EXPRS, SCRIPTS, TEMPLATES),
]


def passes(given: Vector) -> bool:
    dependency = {
        "name": "d",
        "eventSourceName": "s",
        "eventName": "e",
        "filters": given["filters"],
        "filtersLogicalOperator": given.get("filtersLogicalOperator", ""),
    }
    planned = load(Dependency, dependency, lenient=True)
    filters = compile_filters(planned.filters, planned.filters_logical_operator)
    check = None if filters is None else filters.check
    seen = event(given["event"])
    return check is None or check(seen, Document(seen.data or b"")) is None


def refused(filters: dict[str, Any]) -> str:
    """Name what of these filters validation refuses, here or there, before any event comes."""
    for one in filters.get("data") or []:
        if not one.get("path") or not one.get("value") or "" in one["value"]:
            return "validation refuses a data filter without path or value"
        if one.get("comparator", "") not in {"", "=", "!=", "<", "<=", ">", ">="}:
            return "validation refuses the comparator"
        if one.get("type") not in {"string", "number", "bool"}:
            return "an unknown type is refused when the Sensor is planned"
    context = filters.get("context")
    if context is not None:
        folded = {k.lower(): v for k, v in context.items()}
        if not any(folded.get(k) for k in ("type", "subject", "source", "datacontenttype")):
            return "validation refuses a context filter that compares nothing"
    window = filters.get("time")
    if window and window.get("start") and window.get("start") == window.get("stop"):
        return "validation refuses a time filter with equal bounds"
    return ""


@pytest.mark.parametrize("vector", VECTORS)
def test_filter(vector: Vector) -> None:
    given, expect = vector["input"], vector["expect"]
    wanted = expect.get("result") is True
    try:
        got = passes(given)
    except FilterError:
        got = False
    except ConfigError as exc:
        if wanted:
            why = refused(given["filters"] or {})
            if not why and given.get("filtersLogicalOperator", "") not in {"", "and", "or"}:
                why = "validation refuses the operator"
            if not why and re.search("regular expression|is no number|neither true", str(exc)):
                why = "a value that cannot be read is refused when the Sensor is planned"
            if why:
                differs(why)
            raise
        got = False
    if got and "error" in expect and given.get("filtersLogicalOperator") == "or":
        differs("an error is false under or, as the documentation has it")
    assert got is wanted


def test_the_shared_vectors_are_enough_to_mean_something() -> None:
    run = [p for p in VECTORS if not p.marks]
    assert not VECTORS or len(run) > 250


def test_filters_model_is_what_vectors_speak() -> None:
    assert load(Filters, {"dataLogicalOperator": "or"}).data is None
