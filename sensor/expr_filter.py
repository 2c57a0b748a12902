"""Expression filters: govaluate expressions over values in the data of an event."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from sensor.fields import Name
from sensor.reason import Check
from spine.errors import ConfigError
from spine.model import Model


class ExprField(Model):
    """A name in an expression."""

    path: Name
    """gjson path of its value in the data."""
    name: Name
    """Name in the expression."""


class ExprFilter(Model):
    """An expression over fields of the data."""

    expr: Name
    """govaluate expression; an event passes where it gives true."""
    fields: Annotated[list[ExprField], Field(min_length=1)]
    """Its variables."""


def compile_exprs(exprs: Sequence[ExprFilter], operator: str) -> Check:
    """Compile expression filters. Raises ConfigError for what can never work."""
    del operator
    raise ConfigError(f"compiling {len(exprs)} exprs: known but not built yet")
