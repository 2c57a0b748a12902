"""The kinds of fields that many parts of a Sensor have.

As in Argo Events, a number or a boolean is never taken from a text. What is known but waits
for a later release is refused by name, so that nobody believes that it works.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

Flag = Annotated[bool, Field(strict=True)]
"""A JSON boolean; the text "true" is refused."""

Integer = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
"""A JSON integer."""

Int32 = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
"""A JSON integer of 32 bits."""

Name = Annotated[str, Field(min_length=1)]
"""A text that may not be empty."""

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
