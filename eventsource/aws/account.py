"""AWS as event sources are configured for it: where to, as whom, and what a refusal asks for.

Keys are read from their Secrets whenever a client is opened, so new ones are taken without a
restart. Whoever is refused is told which action its policies lack.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from eventsource.source import EventSourceFilter, Source
from spine.access import secret_of
from spine.aws import READ_TIMEOUT, Access, Refusal, open_client, refusal
from spine.errors import ConfigError, SourceError
from spine.fields import Name
from spine.http.url import parse
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef


class OnAws(Source):
    """What every source of AWS is configured by."""

    region: Name
    """Region, such as `eu-central-1`."""
    access_key: SecretRef | None = None
    """Access key; without keys and role we are who the SDK finds: the environment, a role of the
    pod's service account, of the machine. Read again when it changes."""
    secret_key: SecretRef | None = None
    """The secret that belongs to it."""
    role_arn: Annotated[str, Field(alias="roleARN")] = ""
    """ARN of a role that is assumed by whom the SDK finds; the keys do not count then."""
    endpoint: str = ""
    """URL in place of the one of AWS, such as of a VPC endpoint."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which messages become events."""

    @field_validator("role_arn")
    @classmethod
    def _is_a_role(cls, arn: str) -> str:
        if arn and (not arn.startswith("arn:") or ":role/" not in arn):
            raise ValueError("write the ARN of a role, such as arn:aws:iam::123456789012:role/name")
        return arn

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, endpoint: str) -> str:
        if endpoint:
            parse(endpoint)
        return endpoint

    @model_validator(mode="after")
    def _keys_are_whole(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("accessKey and secretKey belong together")
        if self.role_arn and self.access_key is not None:
            warn("accessKey and secretKey are without effect beside roleARN")
        return self

    def access(self, env: Env) -> Access:
        """Return where to, and as whom, as it is just now. Raises ConfigError."""
        if self.role_arn:
            return Access(self.region, self.endpoint, role=self.role_arn)
        key, secret = (
            secret_of(self.access_key, env.secrets),
            secret_of(self.secret_key, env.secrets),
        )
        return Access(self.region, self.endpoint, key, secret)


class AwsError(SourceError):
    """AWS refused a call or did not answer; `why` is its own word for it."""

    def __init__(self, message: str, *, hint: str, why: str, lasting: bool) -> None:
        super().__init__(message, hint=hint)
        self.why = why
        self.lasting = lasting
        """Whether the same call gives the same answer."""

    @property
    def denied(self) -> bool:
        """Whether it is a right that is missing."""
        return self.why in _DENIED


class Calls:
    """Calls of one client of the SDK."""

    def __init__(self, client: Any, service: str, access: Access) -> None:
        self._client, self._service = client, service
        self._hidden = [text for text in (access.secret, access.token) if text]

    async def call(self, what: str, method: str, **asked: Any) -> Mapping[str, Any]:
        """Call a method such as `receive_message`; `what` is what is done, for errors.

        Raises AwsError.
        """
        try:
            answer: Mapping[str, Any] = await getattr(self._client, method)(**asked)
        except ConfigError as exc:  # of a role that is assumed on the way
            raise AwsError(exc.message, hint=exc.hint, why="config", lasting=True) from exc
        except Exception as exc:
            found = refusal(exc)
            if found is None:
                raise
            text = f"{what}: {found.message}"
            for hidden in self._hidden:
                text = text.replace(hidden, "***")
            hint = self._hint(exc, found)
            raise AwsError(text, hint=hint, why=found.code, lasting=found.permanent) from exc
        return answer

    def _hint(self, exc: Exception, found: Refusal) -> str:
        if found.code in _NOBODY:
            return "write accessKey and secretKey, or run with a role"
        operation = getattr(exc, "operation_name", "").removesuffix("Batch")
        vague = not found.hint if found.code == _403 else not found.hint.startswith("grant")
        if found.code in _DENIED and operation and vague:
            return f"grant {'sts' if operation == 'AssumeRole' else self._service}:{operation}"
        return found.hint


_403 = "403"
"""Where there is nothing but the status, it may be the keys, too."""
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "Forbidden", _403}
)
"""Codes of AWS for a right that is missing, which it does not always name."""
_NOBODY = frozenset({"NoCredentialsError", "PartialCredentialsError"})


@asynccontextmanager
async def opened(
    service: str, access: Access, doing: str, *, read_timeout: float = READ_TIMEOUT
) -> AsyncIterator[Calls]:
    """Yield calls of a service, such as `sqs`. Raises ConfigError, see `spine.aws`."""
    async with open_client(service, access, doing, read_timeout=read_timeout) as client:
        yield Calls(client, service, access)
