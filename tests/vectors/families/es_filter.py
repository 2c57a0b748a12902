"""Filters of an event source.

What needs a value that the payload does not have is an error there and not sent on here, told with
its reason: both drop the event and say why, and so it counts as told.
"""

from vectors.outcome import Outcome, Vector

from eventsource.expression import compile_filter
from eventsource.source import EventSourceFilter
from spine.errors import FilterError
from spine.model import load


def sends_on(given: Vector) -> Outcome:
    if given["filter"] is None:
        return Outcome.of(True)
    expression = load(EventSourceFilter, given["filter"], what="filter").expression
    refusal = compile_filter(expression)(given["data"].encode(errors="surrogatepass"))
    if refusal is not None and refusal.reason:
        return Outcome.refused(FilterError(refusal.reason))
    return Outcome.of(refusal is None)
