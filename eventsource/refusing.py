"""Requests that are refused because nobody knows who sent them: a log line, and not too many."""

import logging
from collections.abc import Callable

from delivery.report import Thinned
from eventsource.answers import Answer
from spine.runtime import Env

log = logging.getLogger(__name__)

PER_SECOND = 10
"""Log lines of an event in a second."""


def refusing(env: Env, what: str) -> Callable[[Answer], Answer]:
    """Return what logs an answer that refuses a request, and gives it back."""
    lines = Thinned(PER_SECOND)

    def refuse(answer: Answer) -> Answer:
        if lines.passes(env.name):
            extra = {"eventName": env.name, "status": answer.status, "error": answer.text.strip()}
            log.warning("refusing %s", what, extra=extra)
        return answer

    return refuse
