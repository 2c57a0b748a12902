"""Console: prints messages as YAML. For trying things out; nobody is told."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

from typing_extensions import override

from services.service import Client, Message, Receipt, Service
from spine.runtime import Env


class Console(Service):
    """Prints a message to standard output."""

    kind: ClassVar[str] = "console"
    recipients: ClassVar[str] = "anything; it is printed"
    example: ClassVar[str] = """
service.console: "{}"
template.ready: |
  message: "{{ .obj.metadata.name }} is ready"
"""

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(env.name)


@asynccontextmanager
async def _open(name: str) -> AsyncIterator[Client]:
    yield _Client(name)


class _Client(Client):
    def __init__(self, name: str) -> None:
        self._name = name

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        text = printed(self._name, message, recipient)
        await asyncio.to_thread(_print, text)  # a terminal may be held
        return Receipt("printed")


def printed(name: str, message: Message, recipient: str) -> str:
    """Return a message as a YAML document."""
    import yaml

    found: dict[str, Any] = {"service": name, "recipient": recipient, "message": message.text}
    if message.block:
        found["block"] = message.block
    if message.resolved:
        found["resolved"] = True
    given = {key: value for key, value in found.items() if value}
    return yaml.safe_dump(given, allow_unicode=True, sort_keys=False, explicit_start=True)


def _print(text: str) -> None:
    """Write in one piece, so that messages of many tasks do not mix."""
    sys.stdout.write(text)
    sys.stdout.flush()
