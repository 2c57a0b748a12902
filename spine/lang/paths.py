"""Paths into an event's data: gjson, or JSONPath where the path begins with `$`."""

from typing import Protocol

from spine.lang import gjson


class Lookup(Protocol):
    """A compiled path of either language."""

    def get(self, document: gjson.Document) -> gjson.Result | None:
        """Return what is at the path, None if nothing is. Raises EvaluationError."""


def compile(path: str) -> Lookup:  # noqa: A001 -- as re.compile
    """Compile a path. Raises ConfigError if it can never work."""
    if path.startswith("$"):
        from spine.lang.jsonpath import compile as compile_jsonpath

        return compile_jsonpath(path)
    return gjson.compile(path)
