"""Kinds of triggers that are known and cannot act yet.

Their fields are read and checked, and their content is rendered for `explain`, so that a Sensor
can be looked at as a whole; a Sensor that would have to act is refused when it is planned.
"""

from contextlib import AbstractAsyncContextManager

from typing_extensions import override

from delivery.action import Sender
from sensor.trigger import Trigger
from spine.errors import ConfigError
from spine.runtime import Env

UNBUILT = "known kind that is not built yet"


class Unbuilt(Trigger):
    """A trigger without a sender."""

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        raise ConfigError(f"opening trigger {env.name!r} of kind {self.kind}: {UNBUILT}")
