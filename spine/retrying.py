"""How often something is tried, as `retryStrategy` and other back-offs write it."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from spine.errors import ConfigError
from spine.fields import Int32
from spine.model import Model, warn
from spine.runtime import Backoff, seconds


class RetryBackoff(Model):
    """Attempts and the waits between them."""

    duration: str | int = "1s"
    """Wait after the first attempt: a Go duration such as `10s`, or nanoseconds."""
    factor: Annotated[float, Field(strict=True)] = 1.0
    """What each further wait is multiplied with."""
    jitter: Annotated[float, Field(strict=True)] = 1.0
    """Part of a wait that is added at random: 1 up to doubles it."""
    steps: Int32 = 5
    """Attempts in all, the first included; 0 or less is 5."""

    @field_validator("duration", mode="before")
    @classmethod
    def _text_or_nanoseconds(cls, raw: Any) -> Any:
        if isinstance(raw, str):
            try:
                seconds(raw)
            except ConfigError as exc:
                raise ValueError(str(exc)) from exc
        elif isinstance(raw, bool) or not isinstance(raw, int):
            raise ValueError("write a duration such as 10s, or whole nanoseconds")  # noqa: TRY004 -- pydantic takes ValueError
        elif not -(2**63) <= raw < 2**63:
            raise ValueError("out of range")
        elif abs(raw) < 10**6:  # below a millisecond: hardly meant
            warn(f"duration: {raw} means {raw} nanoseconds: write a text such as {raw}s")
        return raw

    def runtime(self) -> Backoff:
        """Return it as what is counted with."""
        duration = self.duration
        return Backoff(
            duration=seconds(duration) if isinstance(duration, str) else duration / 1e9,
            factor=self.factor,
            jitter=self.jitter,
            steps=self.steps if self.steps > 0 else 5,
        )
