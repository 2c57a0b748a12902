"""The contract of a service: its configuration, its block in templates, and a client that sends.

A service is one file here. Its model is what stands below `service.<type>` in the ConfigMap of
the notifications format, with references to secrets already replaced; so its fields hold secrets
and are never shown. `open` gives the client, which many tasks use at a time and which keeps its
connections. It is named in `services.catalogue`; `tests/conformance/test_services.py` finds it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

import msgspec

from spine.model import Model
from spine.runtime import Env


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a recipient is told: templates rendered for one service and one recipient."""

    text: str = ""
    """`message` of the template."""
    block: dict[str, Any] = {}
    """The template's block for this type of service, rendered; keys as in YAML. Empty where the
    template has none."""
    template: str = ""
    """Name of the first template, for services that want a title."""
    resolved: bool = False
    """Whether it tells that what was told before is over."""


class Receipt(msgspec.Struct, frozen=True):
    """What a service said when it took a message."""

    summary: str
    """One line, such as `200 OK`; no secret."""
    detail: dict[str, Any] = {}
    """What may help to find the message there, such as its id."""


class Client(Protocol):
    """Sends messages; opened once, used by many tasks at a time."""

    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        """Send a message; return once the service has taken it.

        `key` is equal for the same message sent again: services that know such a thing get it, so
        that they do not tell twice. Raises TriggerError, permanent where another try is in vain.
        """
        ...


class Block(Model):
    """A service's part of a template. Every text inside of it is a Go template.

    Texts that hold JSON may be written as YAML instead; their leaves are templates then.
    """

    defaults: ClassVar[Mapping[str, str]] = {}
    """Templates of fields that are not written, by key in YAML; used only where what they begin
    with, such as `.app`, is there."""
    together: ClassVar[bool] = True
    """Of several templates, whether a later block replaces an earlier one as a whole, with its
    blanks; False: only what it says."""


class Service(Model, ABC):
    """The configuration of one service."""

    kind: ClassVar[str]
    """Its type in YAML, such as `teams-workflows`."""
    block: ClassVar[type[Block] | None] = None
    """What it reads from a template beside `message`."""
    block_by_name: ClassVar[bool] = False
    """Whether its block stands below the name of the service once more, as webhook's does."""
    recipients: ClassVar[str]
    """What a recipient is, in a few words: for the reference and for errors."""
    idempotent: ClassVar[str] = ""
    """What the service gets the key as, such as `header Idempotency-Key`; empty: it knows none."""
    example: ClassVar[str]
    """A ConfigMap's data and a template that use it, in YAML, for the reference; it is tested."""

    def problem(self, recipient: str) -> str:
        """Return why a recipient can never be reached, empty where nothing is known against it."""
        del recipient
        return ""

    @abstractmethod
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        """Return the client, to be entered by whoever sends."""
