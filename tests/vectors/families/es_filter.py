"""Filters of an event source."""

from vectors.outcome import Outcome, Vector


def sends_on(given: Vector) -> Outcome:
    raise NotImplementedError("filters of event sources")
