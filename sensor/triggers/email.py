"""Email: sends a mail to each address, as the service `email` does it.

Each address gets a mail of its own, so that one that is refused keeps no other from it; a further
attempt is for those alone who have none yet. The password is named in an action and read when it
is sent.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from delivery.action import Action, Outcome, Sender
from sensor.sending import Sending, missing
from sensor.telling import tell_each
from services.mail import wrong_address
from services.opened import Clients
from services.service import Message, Service
from spine.errors import ConfigError, TriggerError
from spine.fields import Name
from spine.model import load
from spine.runtime import Env
from spine.secrets import SecretRef, Secrets

SUBMISSION = 587
"""Port where users hand in mail."""
RELAY = 25
"""Port where nobody logs in."""


class Email(Sending):
    """Sends mail."""

    kind: ClassVar[str] = "email"

    host: Name
    """Host of the SMTP server."""
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 0
    """Its port; 0 is 587 where there is a name to log in with, else 25."""
    username: str = ""
    """Name to log in with; nobody logs in without a password."""
    smtp_password: SecretRef | None = None
    """Where the password stands."""
    sender: Annotated[str, Field(alias="from")] = ""
    """Address that it is from; none: the name to log in with, where that is an address."""
    to: list[str] = []
    """Addresses that it goes to; each gets a mail of its own."""
    subject: str = ""
    """Its subject."""
    body: str = ""
    """Its text."""

    @override
    def check(self) -> None:
        missing(
            self.kind, to=self.to, subject=self.subject, body=self.body, **{"from": self.author}
        )
        for address in (self.author, *self.to):
            if why := wrong_address(address):
                raise ConfigError(f"reading email: {why}")

    @property
    def author(self) -> str:
        """The address that it is from."""
        return self.sender or (self.username if "@" in self.username else "")

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Sender]:
        return _open(env)


# ---------------------------------------------------------------------------- sending


@asynccontextmanager
async def _open(env: Env) -> AsyncIterator[Sender]:
    async with Clients(env) as clients:
        yield EmailSender(clients, env.secrets)


class EmailSender(Sender):
    """Sends what an action of kind `email` holds."""

    def __init__(self, clients: Clients, secrets: Secrets) -> None:
        self._clients, self._secrets = clients, secrets

    @override
    async def send(self, action: Action, attempt: int) -> Outcome:
        content = action.content
        block = {"subject": content["subject"]}
        message = Message(text=content["body"], block=block, template=action.trigger)
        try:
            async with self._clients.of(self._service(content)) as client:
                return await tell_each(action, "to", partial(client.send, message))
        except ConfigError as exc:  # a Secret may yet come
            raise TriggerError(f"sending mail by {content['host']}: {exc}") from exc

    def _service(self, content: Mapping[str, Any]) -> Service:
        from services import email

        user, password = content.get("username", ""), ""
        if "smtpPassword" in content:
            password = self._secrets.secret(SecretRef(**content["smtpPassword"]))
        settings: dict[str, Any] = {
            "host": content["host"],
            "port": content.get("port") or (SUBMISSION if user else RELAY),
            "from": content.get("from") or user,
        }
        if user and password:
            settings |= {"username": user, "password": password}
        return load(email.Email, settings)
