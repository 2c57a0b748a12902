"""expr-lang and Go templates as notifications use them."""

from vectors.outcome import Outcome, Vector


def expr(given: Vector) -> Outcome:
    raise NotImplementedError("expr-lang 1.17")


def template(given: Vector) -> Outcome:
    raise NotImplementedError("templates of notifications")
