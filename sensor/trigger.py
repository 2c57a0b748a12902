"""The contract of a trigger: configuration, a pure rendering, and a sender.

A trigger is one file in `sensor/triggers/`. `compile` is called once, when the Sensor is
planned, and raises ConfigError for whatever can never work. What it returns is pure: from the
events of a firing it makes the content of an Action, which explain, dry run and replay show.
`open` gives the sender that does actions, whatever trigger of that kind they came from: what an
action needs stands in its content.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol, runtime_checkable

from delivery.action import Sender
from spine.event import Event
from spine.model import Model
from spine.runtime import Env

Events = Mapping[str, Event]
"""Dependency -> its event after the transform, of those that took part in the firing."""

Render = Callable[[Events], dict[str, Any]]
"""Makes the content of an Action; pure. Raises ParameterError."""


@runtime_checkable
class Limited(Protocol):
    """A sender that makes objects which run and end, and bounds how many do."""

    most_active: int | None


class Trigger(Model, ABC):
    """The configuration of one kind of action."""

    kind: ClassVar[str]
    """Its key in YAML."""
    fixed: ClassVar[frozenset[str]] = frozenset()
    """Fields that no parameter may change, such as which Secret is read: an event must not choose
    that."""

    @property
    def makes_objects(self) -> bool:
        """Whether it makes objects of Kubernetes that run and end."""
        return False

    def check_written(self, changed: Collection[str]) -> None:
        """Raise ConfigError for what can never work as it is written.

        `changed` are the fields that parameters change, so that they may become right.
        """

    @abstractmethod
    def compile(self) -> Render:
        """Return the rendering, with parameters of the trigger's own level applied."""

    @abstractmethod
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        """Return the client that does actions, to be entered by the sensor."""
