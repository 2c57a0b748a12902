"""Email: sends a mail. Its fields are read and checked; sending comes later."""

from typing import Annotated, ClassVar

from pydantic import Field
from typing_extensions import override

from sensor.fields import Name
from sensor.sending import Sending, missing
from sensor.unbuilt import Unbuilt
from spine.secrets import SecretRef


class Email(Unbuilt, Sending):
    """Sends mail."""

    kind: ClassVar[str] = "email"

    host: Name
    """Host of the SMTP server."""
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 0
    """Its port."""
    username: str = ""
    """Name to log in with."""
    smtp_password: SecretRef | None = None
    """Where the password stands."""
    sender: Annotated[str, Field(alias="from")] = ""
    """Address that it is from."""
    to: list[str] = []
    """Addresses that it goes to."""
    subject: str = ""
    """Its subject."""
    body: str = ""
    """Its text."""

    @override
    def check(self) -> None:
        missing(self.kind, to=self.to, subject=self.subject, body=self.body)
