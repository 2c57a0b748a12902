"""The contract of an event source: what it is configured by, and how it tells of events.

A source is one file in `eventsource/sources/`. It knows neither other sources nor a bus: it is
lent an `Env` and an `Emit`, and decides only what an event is.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from pydantic import field_validator

from spine.errors import ConfigError, EventError
from spine.model import Model
from spine.runtime import Env


class Payload(Protocol):
    """The data of one event."""

    def encode(self) -> bytes:
        """Return the JSON of the event's data, in the byte conventions of Argo Events."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """What a CloudEvent that was posted to us called itself."""

    source: str = ""
    type: str = ""
    subject: str = ""
    extensions: Mapping[str, Any] = field(default_factory=dict)


class Emit(Protocol):
    """Puts an event on the bus."""

    async def __call__(
        self,
        payload: Payload,
        *,
        id: str | None = None,
        time: datetime | None = None,
        origin: Origin | None = None,
        unusable: EventError | None = None,
    ) -> None:
        """Return once the bus has stored the event.

        With `unusable`, the reason why it can never be an event, it is dead-lettered at once.
        `id` makes a repeated delivery of the outside world the same event. Raises BusError when
        the bus does not take it now. An event that it never will take (too large) raises
        EventError where the source `answers`, and is dead-lettered for all others.
        """
        ...


class EventSourceFilter(Model):
    """Which events are sent on."""

    members: ClassVar[frozenset[str]] = frozenset()
    """Members of payloads that are called as functions of the language are, and are meant."""
    expression: str
    """An expr-lang expression over the payload that gives a bool, such as
    `body.action == "opened"`; the event is sent on where it is true."""

    @field_validator("expression")
    @classmethod
    def _compiles(cls, expression: str) -> str:
        from eventsource.expression import compile_filter

        if not expression.strip():
            raise ValueError("it is empty, and Argo Events sends no event on: leave filter away")
        try:
            compile_filter(expression, cls.members)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return expression


class Source(Model, ABC):
    """The configuration of one event of an EventSource and, in `run`, its behaviour."""

    type: ClassVar[str]
    """The `type` of its CloudEvents."""
    single: ClassVar[bool] = False
    """Whether one replica at a time runs it, as it is told everything and not a share."""
    answers: ClassVar[bool] = False
    """Whether a caller waits for the outcome, who is then told of a refusal and tries again."""
    example: ClassVar[Payload]
    """A payload as it goes out, for the reference and the golden test."""

    @property
    def alone(self) -> bool:
        """Whether one replica at a time runs it, as configured; as `single` says of its kind."""
        return self.single

    @abstractmethod
    async def run(self, env: Env, emit: Emit) -> None:
        """Emit events until cancelled. Raises SourceError to be started again with back-off."""
