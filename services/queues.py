"""Services of AWS that take messages: settings, calls and their errors that they share."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from services.fitting import word
from services.hiding import HIDDEN, Hiding, credentials
from services.service import Service
from spine.aws import Access, refusal
from spine.errors import TriggerError

KEY = "idempotency-key"
"""The attribute of a message in which its key stands, where the service itself knows none."""
MOST = 10
"""Attributes that AWS takes with a message."""
GROUP = "tocsin"
"""Group of messages in order, where a template names none."""


class OfAws(Service):
    """How AWS is reached."""

    region: str = ""
    """Region; none: that of the environment."""
    endpoint_url: Annotated[str, Field(alias="endpointUrl")] = ""
    """URL in place of the one of AWS, such as of a VPC endpoint."""
    key: str = ""
    """Access key; none: what the SDK finds, such as a role of the pod's service account."""
    secret: Annotated[str, HIDDEN] = ""
    """Its secret."""

    @model_validator(mode="after")
    def _both(self) -> "OfAws":
        if bool(self.key) != bool(self.secret):
            raise ValueError("key and secret belong together")
        return self

    def access(self, region: str = "") -> Access:
        """Return where to, and as whom; `region` counts where none is written."""
        return Access(self.region or region, self.endpoint_url, self.key, self.secret)


class Calls:
    """Calls of one client of the SDK."""

    def __init__(self, service: OfAws, client: Any) -> None:
        self._client, self._hide = client, Hiding(credentials(service))

    async def call(self, what: str, method: str, **asked: Any) -> Mapping[str, Any]:
        """Call a method such as `send_message`; `what` is what is done, for errors.

        Raises Refused.
        """
        try:
            answer: Mapping[str, Any] = await getattr(self._client, method)(**asked)
        except Exception as exc:
            why = refusal(exc)
            if why is None:
                raise
            text = self._hide(f"{what}: {why.message}")
            raise Refused(text, hint=why.hint, permanent=why.permanent, code=why.code) from exc
        return answer


class Refused(TriggerError):
    """AWS refused a call or did not answer."""

    def __init__(self, message: str, *, hint: str, permanent: bool, code: str) -> None:
        super().__init__(message, hint=hint, permanent=permanent)
        self.why = code


def attributes(given: Mapping[str, Any], key: str) -> dict[str, dict[str, str]]:
    """Return attributes as AWS wants them, with the key of the message if there is room."""
    texts = {name: text for name in given if (text := word(given, name))}
    if key and len(texts) < MOST:
        texts.setdefault(KEY, key)
    return {
        name: {"DataType": "String", "StringValue": value} for name, value in sorted(texts.items())
    }


_ID = re.compile(r"[!-~]{1,128}")


def deduplication(key: str) -> str:
    """Return a key as FIFO queues and topics take it: 128 letters, digits and signs at most."""
    return key if _ID.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
