"""The kinds of fields that many parts of a Sensor have.

What is known but waits for a later release is refused by name, so that nobody believes that it
works.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import AfterValidator

from spine.fields import Flag, Int32, Integer, Name

__all__ = ["Flag", "Int32", "Integer", "LogicalOperator", "Name", "not_built"]

LogicalOperator = Literal["", "and", "or"]
"""How several results become one; empty is `and`."""


def _known_only(what: str) -> Callable[[Any], Any]:
    def refuse(value: Any) -> Any:
        if value:
            raise ValueError(f"{what} is known but not built yet")
        return value

    return refuse


def not_built(what: str) -> AfterValidator:
    """Return a validator for a field that means something, but not in this release.

    Its empty value is taken, as it asks for nothing.
    """
    return AfterValidator(_known_only(what))
