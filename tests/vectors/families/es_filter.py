"""Filters of an event source: which payloads are sent on."""

from vectors.outcome import Outcome, Vector

from eventsource.expression import compile_filter
from spine.errors import EventError


def sends_on(given: Vector) -> Outcome:
    if given["filter"] is None:
        return Outcome.of(True)
    expression = given["filter"].get("expression", "")
    refusal = compile_filter(expression)(given["data"].encode(errors="surrogatepass"))
    if refusal is not None and refusal.reason:
        raise EventError(f"filtering with {expression!r}: {refusal.reason}")
    return Outcome.of(refusal is None)
