"""Who we are to Google: a service account's key from a Secret, or what the machine is.

The key is looked at again while we run: one that was replaced is used for the next call, and one
that is broken is complained about while the present one stays.
"""

import asyncio
import logging
import time
from typing import Any

from spine import gcp
from spine.errors import Fault, SourceError
from spine.runtime import Env
from spine.secrets import SecretRef

log = logging.getLogger(__name__)

HOST = gcp.PUBSUB
REREAD = 10.0
"""Seconds after which the Secret is looked at again."""
_SCOPES = gcp.PUBSUB_SCOPES
_READING = "reading the service account key of a pubSub event"


class Credentials:
    """The credentials of calls; those of the machine where there is no Secret."""

    def __init__(self, env: Env, ref: SecretRef | None) -> None:
        self._env, self._ref = env, ref
        self._text = ""
        self._call: Any = None
        self._until = 0.0
        self.account = "the service account of this process"
        """Who must be granted what is missing."""
        self.project = ""
        """The project that the credentials belong to; empty where they do not say."""

    async def open(self) -> None:
        """Read them. Raises ConfigError where a key is none, SourceError where there are none."""
        if self._ref is None:
            await asyncio.to_thread(self._of_machine)
        else:
            self._take(self._env.secrets.secret(self._ref))
            self._until = time.monotonic() + REREAD

    def _of_machine(self) -> None:
        try:
            found = gcp.of_machine(_SCOPES, HOST)
        except gcp.NoIdentity as exc:
            raise SourceError(
                f"finding credentials for Pub/Sub: {exc}",
                hint="give credentialSecret, or run as a service account (workload identity)",
            ) from exc
        self._call, self.project = found.call, found.project
        self.account = found.account or self.account

    def _take(self, text: str) -> None:
        found = gcp.of_key(text, _SCOPES, HOST, _READING)
        self._call, self.account, self.project = found
        self._text = text

    def current(self) -> Any:
        """Return the credentials for a call, as gRPC has them."""
        if self._ref is not None and time.monotonic() >= self._until:
            self._until = time.monotonic() + REREAD
            try:
                text = self._env.secrets.secret(self._ref)
                if text != self._text:
                    self._take(text)
                    log.info("took the new credentials", extra={"eventName": self._env.name})
            except Fault as exc:
                extra = {"eventName": self._env.name, "error": str(exc)}
                log.error("keeping the present credentials", extra=extra)  # noqa: TRY400 -- the text says it all
        return self._call
