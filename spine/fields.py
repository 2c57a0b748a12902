"""The kinds of fields that many models have.

As in Argo Events, a number or a boolean is never taken from a text.
"""

from typing import Annotated

from pydantic import Field

Flag = Annotated[bool, Field(strict=True)]
"""A JSON boolean; the text "true" is refused."""

Integer = Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
"""A JSON integer."""

Int32 = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
"""A JSON integer of 32 bits."""

Name = Annotated[str, Field(min_length=1)]
"""A text that may not be empty."""
