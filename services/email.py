"""Mail, by SMTP.

One mail goes to all addresses of a recipient. It is encrypted where the server offers that, and
always where `tls` says so. Its Message-ID is made of the key, so a mail that is sent twice has the
same one, and most mail programs show it once.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import override

from services.bounded import Bounded
from services.hiding import HIDDEN
from services.mail import addresses, body_of, letter, subject_of, wrong_address
from services.service import Block, Client, Message, Receipt, Service
from services.smtp import Line, Refusal, Server
from services.web import check_certificates
from spine.errors import ConfigError, TriggerError
from spine.runtime import Env

IMPLICIT = 465
"""Port on which servers expect TLS from the first byte."""
REMEMBERED = 10_000
"""Mails of which is known who has them, where some recipients were refused for now."""
REMEMBERED_FOR = 86400.0
"""Seconds for which it is."""


class EmailBlock(Block):
    """Subject and body of a mail."""

    together: ClassVar[bool] = False

    subject: str = ""
    """Its subject; the first line of the message where it is empty."""
    body: str = ""
    """Its body; the message where it is empty."""
    cc: str = ""
    """Ours: more addresses, separated by commas, that all recipients see."""
    bcc: str = ""
    """Ours: more addresses, separated by commas, that nobody sees."""
    reply_to: str = ""
    """Ours: where answers go."""


class Email(Service):
    """Sends mail by an SMTP server."""

    kind: ClassVar[str] = "email"
    block: ClassVar[type[Block] | None] = EmailBlock
    recipients: ClassVar[str] = "an address, or several separated by commas"
    idempotent: ClassVar[str] = "header Message-ID"
    example: ClassVar[str] = """
service.email: |
  host: smtp.example.com
  port: 587
  from: deployments@example.com
  username: $email-username
  password: $email-password
template.app-deployed: |
  message: "{{ .app.metadata.name }} is deployed"
  email:
    subject: "{{ .app.metadata.name }} is deployed"
    body: |
      {{ .app.metadata.name }} runs {{ .app.status.sync.revision }}.
"""

    host: Annotated[str, Field(min_length=1)]
    """Host of the server."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Its port: 587 as a rule, 465 for TLS from the first byte, 25 within a network."""
    sender: Annotated[str, Field(alias="from", min_length=1)]
    """Who mails come from: an address, with a name before it where one is wanted."""
    username: str = ""
    """Name to log in with; empty: nobody logs in."""
    password: Annotated[str, HIDDEN] = ""
    """Password to log in with."""
    html: bool = False
    """Whether the body is HTML."""
    insecure_skip_verify: Annotated[bool, Field(alias="insecure_skip_verify")] = False
    """Whether any certificate is accepted."""
    tls: Literal["", "starttls", "implicit", "none"] = ""
    """Ours: `starttls` sends nothing unless the connection is encrypted, `implicit` encrypts from
    the first byte, `none` never. Empty: as Argo's engine does, from the first byte on port 465
    where there are name and password, else where the server offers it."""
    ca_cert: str = ""
    """Ours: certificates in PEM that the server's must come from, in place of the system's."""
    timeout: Annotated[float, Field(gt=0, le=300)] = 30
    """Ours: seconds for one mail, of which 10 for the connection."""

    @model_validator(mode="after")
    def _sender(self) -> "Email":
        wrong = wrong_address(self.sender)
        if wrong:
            raise ValueError(f"from: {wrong}")
        return self

    @property
    def server(self) -> Server:
        """Where mails go, and how."""
        implicit = self.port == IMPLICIT and self.username and self.password
        return Server(
            host=self.host,
            port=self.port,
            timeout=self.timeout,
            username=self.username,
            password=self.password,
            tls=self.tls or ("implicit" if implicit else ""),
            verify=not self.insecure_skip_verify,
            ca=self.ca_cert.strip(),
        )

    @override
    def problem(self, recipient: str) -> str:
        found = addresses(recipient)
        if not found:
            return "it names no address"
        return next((wrong for one in found if (wrong := wrong_address(one))), "")

    @classmethod
    @override
    def preview(cls, message: Message) -> str:
        block = message.block
        others = {"Cc": "cc", "Bcc": "bcc", "Reply-To": "replyTo"}
        heads = [f"{name}: {block[key]}" for name, key in others.items() if block.get(key)]
        return "\n".join([f"Subject: {subject_of(message)}", *heads, "", body_of(message)])

    @override
    def open(self, env: Env) -> AbstractAsyncContextManager[Client]:
        return _open(self, env)


@asynccontextmanager
async def _open(service: Email, env: Env) -> AsyncIterator[Client]:
    try:
        import aiosmtplib  # noqa: F401 -- only to know whether it is there
    except ImportError as exc:
        raise ConfigError(f"sending mail: {exc}", hint="pip install 'tocsin[email]'") from exc
    if service.ca_cert:
        check_certificates(service.ca_cert)
    what = f"sending mail by {env.name!r}"
    line = Line(service.server, what)
    try:
        yield _Client(service, what, line)
    finally:
        await line.close()


class _Client(Client):
    def __init__(self, service: Email, what: str, line: Line) -> None:
        self._service, self._what, self._line = service, what, line
        self._served: Bounded[str, frozenset[str]] = Bounded(REMEMBERED, REMEMBERED_FOR)

    @override
    async def send(self, message: Message, recipient: str, key: str) -> Receipt:
        service = self._service
        problem = service.problem(recipient)
        if problem:
            raise TriggerError(f"{self._what}: {problem}", permanent=True)
        try:
            mail = letter(message, service.sender, addresses(recipient), key, html=service.html)
        except ValueError as exc:
            raise TriggerError(f"{self._what}: {exc}", permanent=True) from exc
        served = self._served.get(key) or frozenset()
        waiting = [one for one in mail.recipients if one not in served]
        told, refused = await self._line.send(mail.sender, waiting, mail.data, wide=mail.wide)
        later = {who: answer for who, answer in refused.items() if not answer.stays}
        if later:
            self._served.put(key, frozenset(mail.recipients) - later.keys())
            raise TriggerError(f"{self._what}: refused for now: {_listed(later)}")
        problems = (f"refused: {_listed(refused)}",) if refused else ()
        return Receipt(f"250 {told}", {"messageId": mail.id}, (*problems, *self._line.notes))


def _listed(refused: Mapping[str, Refusal]) -> str:
    return "; ".join(f"{who}: {answer.code} {answer.told}" for who, answer in refused.items())
