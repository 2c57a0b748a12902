"""Log: writes one line for each event of a firing.

The text of a line is the event's data where it is JSON or plain text, else its base64.
"""

import base64
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.firing import context_json
from sensor.trigger import Events, Render, Trigger
from spine.event import Event
from spine.runtime import Env

log = logging.getLogger(__name__)

_TEXTS = frozenset({"application/json", "text/plain"})


class Log(Trigger):
    """Writes the events of a firing to the log of the sensor."""

    kind: ClassVar[str] = "log"

    interval_seconds: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0
    """Seconds in which at most one firing is written; 0 writes all."""

    @override
    def compile(self) -> Render:
        interval = self.interval_seconds

        def render(events: Events) -> dict[str, Any]:
            lines = [
                {
                    "dependencyName": name,
                    "eventContext": context_json(event),
                    "text": event_text(event),
                }
                for name, event in events.items()
            ]
            return {"lines": lines, "intervalSeconds": interval} if interval else {"lines": lines}

        return render

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


def event_text(event: Event) -> str:
    """Return the data of an event as a line shows it."""
    if event.data is None:
        return ""
    media = event.datacontenttype.partition(";")[0].strip().lower()
    if media in _TEXTS:
        return event.data.decode(errors="replace")
    return base64.b64encode(event.data).decode()


@asynccontextmanager
async def _open(env: Env) -> AsyncIterator[Sender]:
    yield LogSender(env.object)


class LogSender(Sender):
    """Writes what an action of kind `log` holds."""

    def __init__(self, sensor: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._sensor = sensor
        self._clock = clock
        self._last: dict[str, float] = {}

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        interval = action.content.get("intervalSeconds", 0)
        if interval and not self._due(action.trigger, interval):
            return Outcome(f"held back by intervalSeconds: {interval}")
        lines = action.content["lines"]
        for line in lines:
            extra = {
                "sensorName": self._sensor,
                "triggerName": action.trigger,
                "dependencyName": line["dependencyName"],
                "eventContext": line["eventContext"],
            }
            log.info("%s", line["text"], extra=extra)
        return Outcome(f"{len(lines)} logged")

    def _due(self, trigger: str, interval: float) -> bool:
        now, last = self._clock(), self._last.get(trigger)
        if last is not None and now - last < interval:
            return False
        self._last[trigger] = now
        return True
