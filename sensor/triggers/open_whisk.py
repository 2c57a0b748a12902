"""OpenWhisk: calls an action. Its fields are read and checked; calling comes later."""

from typing import ClassVar

from pydantic import field_validator

from sensor.fields import Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from sensor.unbuilt import Unbuilt
from spine.secrets import SecretRef


class OpenWhisk(Unbuilt, Sending):
    """Calls an OpenWhisk action."""

    kind: ClassVar[str] = "openWhisk"

    host: Name
    """Host of the API."""
    action_name: Name
    """Action to call."""
    payload: list[PayloadEntry]
    """What the body is built from."""
    version: str = ""
    """Version of the API; empty is `v1`."""
    namespace: str = ""
    """Namespace of the action; empty is `_`, that of the token."""
    auth_token: SecretRef | None = None
    """Where the token stands."""

    @field_validator("auth_token")
    @classmethod
    def _names_a_secret(cls, token: SecretRef | None) -> SecretRef | None:
        if token is not None and not (token.name and token.key):
            raise ValueError("set name and key of the auth token's Secret")
        return token
