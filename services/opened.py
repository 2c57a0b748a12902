"""Clients of services whose settings are known only when a message is sent.

Secrets are read for each message, so a rotated one makes other settings, and those another client.
Clients are kept while they are used; of too many those used longest ago are closed.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from services.service import Client, Service
from spine.runtime import Env, Shared

KEPT = 8
"""Clients that stay open without being used."""


@dataclass(slots=True)
class _Kept:
    shared: Shared = field(default_factory=Shared)
    """Opens and closes the client in a task of its own, whoever asks for it."""
    users: int = 0


class Clients:
    """Clients by type and settings of a service, closed with the block."""

    def __init__(self, env: Env) -> None:
        self._env = env
        self._kept: dict[str, _Kept] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in self._kept.values():
            await one.shared.__aexit__(*_)

    @asynccontextmanager
    async def of(self, service: Service) -> AsyncIterator[Client]:
        """Yield the client of a service, opened if none is. Raises what opening raises."""
        key = _key(service)
        one = self._kept.pop(key, None) or _Kept()
        self._kept[key] = one  # the latest stands last
        one.users += 1
        try:
            yield await one.shared.get(key, partial(service.open, self._env))
        finally:
            one.users -= 1
            await self._close_old()

    async def _close_old(self) -> None:
        idle = [key for key, one in self._kept.items() if not one.users]
        for key in idle[: max(0, len(idle) - KEPT)]:
            one = self._kept.pop(key)
            await one.shared.__aexit__(None, None, None)


def _key(service: Service) -> str:
    text = f"{service.kind}\0{service.model_dump_json()}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
