"""Who we are to Google: a service account's key from a Secret, or what the machine is.

The key is looked at again while we run: one that was replaced is used for the next call, and one
that is broken is complained about while the present one stays.
"""

import asyncio
import json
import logging
import time
from typing import Any

from spine.errors import ConfigError, Fault, SourceError
from spine.runtime import Env
from spine.secrets import SecretRef

log = logging.getLogger(__name__)

HOST = "pubsub.googleapis.com"
REREAD = 10.0
"""Seconds after which the Secret is looked at again."""
_SCOPES = ("https://www.googleapis.com/auth/pubsub",)


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
        import google.auth
        from google.auth.exceptions import GoogleAuthError

        try:
            found, project = google.auth.default(scopes=_SCOPES)
        except GoogleAuthError as exc:
            raise SourceError(
                f"finding credentials for Pub/Sub: {exc}",
                hint="give credentialSecret, or run as a service account (workload identity)",
            ) from exc
        if hasattr(found, "with_always_use_jwt_access"):
            found = found.with_always_use_jwt_access(True)  # a key signs by itself
        self.account = getattr(found, "service_account_email", "") or self.account
        self.project = project or ""
        self._call = _call_credentials(found)

    def _take(self, text: str) -> None:
        found, info = _service_account(text)
        self.account, self.project = found.service_account_email, str(info.get("project_id") or "")
        self._call, self._text = _call_credentials(found), text

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


def _service_account(text: str) -> tuple[Any, dict[str, Any]]:
    """Read the key of a service account. Raises ConfigError, which never shows the key."""
    from google.auth.exceptions import MalformedError
    from google.oauth2 import service_account

    doing = "reading the service account key of a pubSub event"
    hint = "keep the file that `gcloud iam service-accounts keys create` wrote in the Secret"
    try:
        info = json.loads(text)
    except ValueError:
        raise ConfigError(f"{doing}: it is not JSON", hint=hint) from None
    kind = info.get("type") if isinstance(info, dict) else type(info).__name__
    if kind != "service_account":
        raise ConfigError(f"{doing}: its type is {kind!r}, not 'service_account'", hint=hint)
    try:
        found = service_account.Credentials.from_service_account_info(info, scopes=_SCOPES)  # type: ignore[no-untyped-call]  # google-auth is not typed
    except (ValueError, TypeError) as exc:  # whose text may show the key
        why = exc if isinstance(exc, MalformedError) else "its private_key is none"
        raise ConfigError(f"{doing}: {why}", hint=hint) from None
    return found.with_always_use_jwt_access(True), info  # no token to be fetched and kept


def _call_credentials(found: Any) -> Any:
    import grpc
    from google.auth.transport.grpc import AuthMetadataPlugin
    from google.auth.transport.requests import Request

    plugin = AuthMetadataPlugin(found, Request(), default_host=HOST)  # type: ignore[no-untyped-call]  # google-auth is not typed
    return grpc.metadata_call_credentials(plugin)
