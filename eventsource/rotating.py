"""Secrets that are replaced while requests come in.

Who posts to us learns of a new secret a little later than we do, and many never send again what
was refused. So the value before is good for a while more.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from spine.errors import ConfigError
from spine.secrets import SecretRef, Secrets

log = logging.getLogger(__name__)

AGE = 1.0
"""Seconds after which a Secret is looked at again."""
GRACE = 300.0
"""Seconds for which the value before is good, too."""


class _Former(NamedTuple):
    value: str
    until: float


class Rotating:
    """The values of a Secret that are good now."""

    def __init__(
        self, secrets: Secrets, ref: SecretRef, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read it. Raises ConfigError where it cannot be read, or is empty."""
        self._secrets, self._ref, self._clock = secrets, ref, clock
        self._value = self._read()
        self._looked = clock()
        self._former: _Former | None = None

    def values(self) -> tuple[str, ...]:
        """Return the value, and the one before it while it is still good.

        A Secret that cannot be read for a moment, as while it is replaced, is as it was.
        """
        now = self._clock()
        if now >= self._looked + AGE:
            self._look(now)
        if self._former is None or now >= self._former.until:
            return (self._value,)
        return (self._value, self._former.value)

    @property
    def value(self) -> str:
        """The value that is good from now on, read at this moment."""
        self._look(self._clock())
        return self._value

    def _look(self, now: float) -> None:
        self._looked = now
        try:
            found = self._read()
        except ConfigError as exc:
            log.warning("a secret is taken as it was", extra={"error": str(exc)})
            return
        if found != self._value:
            self._former = _Former(self._value, now + GRACE)
            self._value = found

    def _read(self) -> str:
        found = self._secrets.secret(self._ref)
        if not found:
            raise ConfigError(
                f"reading key {self._ref.key!r} of Secret {self._ref.name!r}: it is empty",
                hint="with an empty secret anybody could sign",
            )
        return found
