"""Why an event does not pass a filter: a code and its particulars, text only when it is read."""

from collections.abc import Callable
from typing import NamedTuple

from spine.event import Event
from spine.lang.gjson import Document


class Reason(NamedTuple):
    """Why an event does not pass."""

    code: str
    """Stable word, the label of metrics: Context, Time, Data, PathMissing or NothingConfigured."""
    where: str = ""
    wanted: str = ""
    got: str = ""

    @property
    def text(self) -> str:
        """One line for people."""
        if self.code == "PathMissing":
            return f"data has no {self.where}"
        if self.code == "NothingConfigured":
            return "filtersLogicalOperator is or, and no filter is configured"
        return f"{self.where} is {self.got}, not {self.wanted}"


Check = Callable[[Event, Document], Reason | None]
"""Returns why an event does not pass, None if it does. Raises FilterError."""
