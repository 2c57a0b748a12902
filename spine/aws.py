"""AWS: clients of its SDK, and its refusals in our words.

Who we are is what a configuration says, else what the SDK finds: the environment, a role of the
pod's service account, of the container, of the machine. A client keeps its connections, and makes
one attempt for each call: when the next one comes is decided by who keeps what is to be sent.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spine.errors import ConfigError
from spine.http.egress import check_host, guarded_socket
from spine.http.url import parse

CONNECT_TIMEOUT = 5
"""Seconds."""
READ_TIMEOUT = 10
"""Seconds for an answer."""
CONNECTIONS = 50
"""Connections of one client."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where to, and as whom; empty where the SDK shall find it."""

    region: str = ""
    endpoint: str = ""
    """URL in place of the one of AWS."""
    key: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    """Of keys that last for a session."""
    role: str = ""
    """ARN of a role that is assumed by whom the SDK finds; key and secret do not count then."""


class Refusal(NamedTuple):
    """Why a call failed."""

    code: str
    """What AWS calls it, or the name of the SDK's error."""
    message: str
    hint: str
    permanent: bool
    """Whether another try gives the same answer."""


@asynccontextmanager
async def open_client(
    service: str, access: Access, doing: str, *, read_timeout: float = READ_TIMEOUT
) -> AsyncIterator[Any]:
    """Yield the SDK's client of a service, such as `sqs`.

    `doing` is what it is for, for errors; `read_timeout` is in seconds. Raises ConfigError where
    the library or the region is missing, and for an endpoint that cannot be used.
    """
    await asyncio.to_thread(_library, doing)  # the import takes a while
    from botocore.exceptions import BotoCoreError

    region = access.region or os.environ.get("AWS_REGION", "")  # the SDK of Python looks not there
    try:
        opening = _session(access, region, doing).create_client(
            service,
            region_name=region or None,
            endpoint_url=access.endpoint or None,
            aws_access_key_id=access.key or None,
            aws_secret_access_key=access.secret or None,
            aws_session_token=access.token or None,
            config=_config(read_timeout),
        )
        client = await opening.__aenter__()
    except (BotoCoreError, ValueError) as exc:
        region_is_missing = type(exc).__name__ == "NoRegionError"
        hint = "write region, or set AWS_DEFAULT_REGION" if region_is_missing else ""
        raise ConfigError(f"{doing}: {_plain(exc)}", hint=hint) from exc
    try:
        check_host(parse(client.meta.endpoint_url).host, doing)
        yield client
    finally:
        await opening.__aexit__(None, None, None)


def _library(doing: str) -> None:
    """Import the SDK. Raises ConfigError where it is missing."""
    try:
        import aiobotocore  # noqa: F401 -- whether it is there
    except ImportError as exc:
        raise ConfigError(f"{doing}: {exc}", hint="pip install 'tocsin[aws]'") from exc


def _config(read_timeout: float) -> Any:
    from aiobotocore.config import AioConfig

    from spine.http.resolver import Resolver

    return AioConfig(
        connector_args={"resolver": Resolver(), "socket_factory": guarded_socket},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": 1},
        user_agent_extra="tocsin",
    )


def _session(access: Access, region: str, doing: str) -> Any:
    """Return a session of the SDK as who we are: the role where one is named."""
    from aiobotocore.session import get_session

    session = get_session()
    if access.role:
        from aiobotocore.credentials import (
            AioCredentialResolver,
        )

        provider = _Role(access.role, region, doing)
        session.register_component("credential_provider", AioCredentialResolver([provider]))
    return session


class _Role:
    """The credentials of a role, assumed when they are needed and again before they end."""

    METHOD = "assume-role"
    CANONICAL_NAME = None

    def __init__(self, role: str, region: str, doing: str) -> None:
        self._role, self._region, self._doing = role, region, doing

    async def load(self) -> Any:
        """Return credentials that fetch themselves."""
        from aiobotocore.credentials import AioDeferredRefreshableCredentials

        return AioDeferredRefreshableCredentials(self._assume, self.METHOD)

    async def _assume(self) -> dict[str, str]:
        access = Access(self._region)
        async with open_client("sts", access, f"{self._doing} as {self._role}") as sts:
            answer = await sts.assume_role(RoleArn=self._role, RoleSessionName="tocsin")
        made = answer["Credentials"]
        return {
            "access_key": made["AccessKeyId"],
            "secret_key": made["SecretAccessKey"],
            "token": made["SessionToken"],
            "expiry_time": made["Expiration"].isoformat(),
        }


def refusal(exc: Exception) -> Refusal | None:
    """Return why a call failed, None for an exception that is not of the SDK."""
    import aiohttp
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    if isinstance(exc, ClientError):
        return _of_aws(exc)
    broken = (aiohttp.ClientError, ResponseParserError)  # what the SDK lets through of an answer
    if isinstance(exc, (BotoCoreError, OSError, TimeoutError, *broken)):
        return _of_sdk(exc)
    return None


# ---------------------------------------------------------------------------- refusals

_MAY_PASS = re.compile(
    r"throttl|toomany|limit|slowdown|expired|priorrequest|inuse|notready", re.IGNORECASE
)
"""Codes of 4xx that ask for another try: too much at a time, and tokens that are renewed."""
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "Forbidden"})
_UNKNOWN = ("InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "AuthFailure")
"""Codes that begin so are of credentials that AWS does not know."""
_ACTION = re.compile(r"not authorized to perform: (?P<action>[\w-]+:\w+)", re.IGNORECASE)
_RESOURCE = re.compile(r"on resource: (?P<arn>arn:[^\s,]+)", re.IGNORECASE)


def _of_aws(exc: Any) -> Refusal:
    error = exc.response.get("Error", {})
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code", "")) or str(status)
    message = str(error.get("Message", "") or "it gave no reason")
    may_pass = status >= 500 or bool(_MAY_PASS.search(code))  # noqa: PLR2004 -- AWS's own fault
    return Refusal(code, f"{code}: {message}", _hint(code, message), not may_pass)


def _hint(code: str, message: str) -> str:
    denied = _ACTION.search(message)
    if denied:
        resource = _RESOURCE.search(message)
        return f"grant {denied['action']}" + (f" on {resource['arn']}" if resource else "")
    if code in _DENIED:
        return "see to the policies of this identity and of what it asks for"
    if code.startswith(_UNKNOWN) or "security token included" in message:
        return "check key and secret, or the role of this process"
    return ""


_FOR_EVER = frozenset({"ParamValidationError", "UnknownServiceError", "InvalidRegionError"})
"""Errors of the SDK that come of what it was given."""
_NOBODY = frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"})


def _of_sdk(exc: Exception) -> Refusal:
    name = type(exc).__name__
    hint = "write key and secret, or run with a role" if name in _NOBODY else ""
    return Refusal(name, _plain(exc), hint, name in _FOR_EVER)


def _plain(exc: Exception) -> str:
    """Return what the SDK says on one line."""
    return " ".join(str(exc).split()).rstrip(".") or type(exc).__name__
