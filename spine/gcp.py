"""Google Cloud: who we are there, and the credentials of calls by gRPC.

A service account's key signs by itself: no token is fetched and kept.
"""

import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from spine.errors import ConfigError

PUBSUB = "pubsub.googleapis.com"
PUBSUB_SCOPES = ("https://www.googleapis.com/auth/pubsub",)


class Identity(NamedTuple):
    """Who we are."""

    call: Any
    """Credentials of calls, as gRPC has them."""
    account: str
    """Whom to grant what is missing; empty where it is not known."""
    project: str
    """The project that the credentials belong to; empty where they do not say."""


class NoIdentity(Exception):
    """This machine is nobody to Google; the text says why."""


def of_machine(scopes: Sequence[str], host: str) -> Identity:
    """Return what the machine is, for calls to a host. Blocks. Raises NoIdentity."""
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        found, project = google.auth.default(scopes=scopes)
    except GoogleAuthError as exc:
        raise NoIdentity(str(exc)) from exc
    if hasattr(found, "with_always_use_jwt_access"):
        found = found.with_always_use_jwt_access(True)
    account = getattr(found, "service_account_email", "")
    return Identity(_call_credentials(found, host), account, project or "")


def of_key(text: str, scopes: Sequence[str], host: str, doing: str) -> Identity:
    """Return whose key a text is, for calls to a host; `doing` says what is read, for errors.

    Raises ConfigError, which never shows the key.
    """
    from google.auth.exceptions import MalformedError
    from google.oauth2 import service_account

    hint = "keep the file that `gcloud iam service-accounts keys create` wrote in the Secret"
    try:
        info = json.loads(text)
    except ValueError:
        raise ConfigError(f"{doing}: it is not JSON", hint=hint) from None
    kind = info.get("type") if isinstance(info, dict) else type(info).__name__
    if kind != "service_account":
        raise ConfigError(f"{doing}: its type is {kind!r}, not 'service_account'", hint=hint)
    try:
        found = service_account.Credentials.from_service_account_info(info, scopes=scopes)  # type: ignore[no-untyped-call]  # google-auth is not typed
    except (ValueError, TypeError) as exc:  # whose text may show the key
        why = exc if isinstance(exc, MalformedError) else "its private_key is none"
        raise ConfigError(f"{doing}: {why}", hint=hint) from None
    signing = found.with_always_use_jwt_access(True)
    project = str(info.get("project_id") or "")
    return Identity(_call_credentials(signing, host), found.service_account_email, project)


def _call_credentials(found: Any, host: str) -> Any:
    import grpc
    from google.auth.transport.grpc import AuthMetadataPlugin
    from google.auth.transport.requests import Request

    plugin = AuthMetadataPlugin(found, Request(), default_host=host)  # type: ignore[no-untyped-call]  # google-auth is not typed
    return grpc.metadata_call_credentials(plugin)


def emulator() -> str:
    """Return address and port of the Pub/Sub emulator that is to be used; empty: the service."""
    return os.environ.get("PUBSUB_EMULATOR_HOST", "")
