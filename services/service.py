"""The contract of a service: its configuration, its block in templates, and a client that sends.

A service is one file here. Its model is what stands below `service.<type>` in the ConfigMap of
the notifications format, with references to secrets already replaced; fields that are credentials
are marked as HIDDEN. `open` gives the client, which many tasks use at a time and which keeps its
connections. It is named in `services.catalogue`; `tests/conformance/test_services.py` finds it.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
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
    incident: str = ""
    """Equal for all that is told of one occurrence: the first message, repeats, and the end. It
    names the alert in services that keep some; empty: the key of the message does."""


class Receipt(msgspec.Struct, frozen=True):
    """What a service said when it took a message."""

    summary: str
    """One line, such as `200 OK`; no secret."""
    detail: dict[str, Any] = {}
    """What may help to find the message there, such as its id."""
    problems: tuple[str, ...] = ()
    """What was told otherwise than the template wants it, and why, such as blocks that are no
    JSON: for status and log. The message was taken all the same."""


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


class OpenBlock(Block):
    """A block whose request has an object in JSON as its body."""

    extra: dict[str, Any] = {}
    """Ours: members put into the body of the request, for what has no field here; maps are merged,
    everything else replaces what stands there."""


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

    @classmethod
    def preview(cls, message: Message) -> str:
        """Return a message as its reader would see it, as plain text. Nothing is sent."""
        return plain(message)

    @abstractmethod
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        """Return the client, to be entered by whoever sends."""


def plain(message: Message) -> str:
    """Return the text of a message, and below it its block as YAML."""
    import yaml

    parts = [message.text.rstrip("\n")] if message.text else []
    if message.block:
        parts.append(yaml.safe_dump(message.block, allow_unicode=True, sort_keys=False).rstrip())
    return "\n\n".join(parts)


def nobody(recipient: str) -> str:
    """Return why an empty recipient cannot be reached; empty where it is somebody."""
    return "" if recipient.strip() else "it is empty"


def missing_key(field: str, known: Collection[str], recipient: str) -> str:
    """Return why a recipient that is a key of a map cannot be reached; empty where it can."""
    if recipient in known:
        return ""
    near = difflib.get_close_matches(recipient, known, n=1)
    if near:
        return f"{field} has no {recipient!r} (did you mean {near[0]!r})"
    listed = ", ".join(sorted(known)[:10]) or "none"
    return f"{field} has no {recipient!r}; its keys are: {listed}"


def merged(body: dict[str, Any], extra: Any) -> dict[str, Any]:
    """Return a body with `extra` put in: maps are merged, everything else is replaced."""
    if not isinstance(extra, Mapping):
        return body
    out = dict(body)
    for key, value in extra.items():
        inner = out.get(key)
        if isinstance(inner, dict) and isinstance(value, Mapping):
            out[key] = merged(inner, value)
        else:
            out[key] = value
    return out
