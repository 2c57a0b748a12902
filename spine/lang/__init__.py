"""The languages that users write inside YAML, one file each.

Each compiles once and raises ConfigError for a text that can never work; running what was
compiled on an event raises EvaluationError, which the caller turns into the error of its place.
"""


class EvaluationError(Exception):
    """A program or path could not be evaluated on this input; the text says why."""
