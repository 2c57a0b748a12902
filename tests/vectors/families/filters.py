"""Filters of a dependency, of any kind."""

from vectors.corpus import event
from vectors.outcome import Outcome, Vector

from sensor.filters import compile_filters
from sensor.spec import Dependency
from spine.lang.gjson import Document
from spine.model import load


def passes(given: Vector) -> Outcome:
    dependency = {
        "name": "d",
        "eventSourceName": "s",
        "eventName": "e",
        "filters": given["filters"],
        "filtersLogicalOperator": given.get("filtersLogicalOperator", ""),
    }
    model = load(Dependency, dependency, lenient=True)
    filters = compile_filters(model.filters, model.filters_logical_operator)
    if filters is None:
        return Outcome.of(True)
    seen = event(given["event"])
    return Outcome.of(filters.check(seen, Document(seen.data or b"")) is None)
