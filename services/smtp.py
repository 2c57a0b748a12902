"""Connections to a mail server, kept between mails, and its answers in our words.

A 4xx of the server may pass, a 5xx stays. Of several recipients some may be refused: the others
have their mail then, so only those who are refused for now are tried again.
"""

import asyncio
import base64
import ipaddress
import socket
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from services.hiding import Hiding
from spine.errors import ConfigError, TriggerError
from spine.http.egress import check_host
from spine.http.tls import Tls, tls_context
from spine.runtime import cancellation_kept

if TYPE_CHECKING:
    from aiosmtplib import SMTP, SMTPException

CONNECTIONS = 4
"""Connections to a server at a time."""
IDLE = 30.0
"""Seconds after which an idle connection is not used again."""
CONNECTING = 10.0
"""Seconds for a connection with its greeting."""
LEAVING = 1.0
"""Seconds for a farewell."""
_STAYS = 500
"""Codes from which on an answer stays the same."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails go, and how."""

    host: str
    port: int
    timeout: float
    """Seconds for one mail."""
    username: str = ""
    password: str = field(default="", repr=False)
    tls: str = ""
    """`starttls` insists on it, `implicit` begins with it, `none` never has it; empty: where the
    server offers it."""
    verify: bool = True
    ca: str = ""
    """Certificates that the server's must come from; empty: those of the system."""

    def credentials(self) -> Iterator[str]:
        """Yield the password in the forms in which it goes out."""
        yield self.password
        for text in (f"\0{self.username}\0{self.password}", self.password):
            yield base64.b64encode(text.encode()).decode()


class Refusal(NamedTuple):
    """What a server said about one recipient that it did not take."""

    code: int
    told: str

    @property
    def stays(self) -> bool:
        """Whether it will say so again."""
        return self.code >= _STAYS


class Line:
    """The connections to one server."""

    def __init__(self, server: Server, what: str) -> None:
        self._server, self._what, self._hide = server, what, Hiding(server.credentials())
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._idle: list[tuple[float, SMTP]] = []
        self._tls = tls_context(Tls(ca=server.ca, verify=server.verify))
        self.notes: set[str] = set()
        """What is worth telling about the server."""

    async def send(
        self, sender: str, recipients: list[str], data: bytes, *, wide: bool
    ) -> tuple[str, Mapping[str, Refusal]]:
        """Send a mail; return the server's answer and who was refused, where not all were.

        Raises TriggerError where nobody has the mail.
        """
        import aiosmtplib

        options = ["SMTPUTF8"] if wide else []
        server = self._server
        try:
            check_host(server.host, self._what)
            with cancellation_kept():
                async with self._free, asyncio.timeout(server.timeout), self._connection() as smtp:
                    refused, told = await smtp.sendmail(
                        sender, recipients, data, mail_options=options
                    )
        except ConfigError as exc:
            raise TriggerError(exc.message, permanent=True) from exc
        except aiosmtplib.SMTPException as exc:
            raise self._error(exc) from exc
        except TimeoutError as exc:
            raise TriggerError(
                f"{self._what} at {server.host}: no answer within {server.timeout:g} s"
            ) from exc
        except (OSError, ValueError) as exc:
            why = getattr(exc, "verify_message", "")
            hint = "give caCert, or set insecure_skip_verify" if why else ""
            raise TriggerError(f"{self._what} at {server.host}: {why or exc}", hint=hint) from exc
        answers = {
            who: Refusal(answer.code, self._hide(answer.message)) for who, answer in refused.items()
        }
        return self._hide(told), answers

    async def close(self) -> None:
        """Say goodbye on all connections."""
        for _, smtp in self._idle:
            with suppress(Exception):  # they end in any case
                async with asyncio.timeout(LEAVING):
                    await smtp.quit()
            smtp.close()
        self._idle.clear()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["SMTP"]:
        smtp = await self._kept() or await self._connected()
        try:
            yield smtp
        except BaseException:
            smtp.close()
            raise
        self._idle.append((time.monotonic(), smtp))

    async def _kept(self) -> "SMTP | None":
        """Return a connection that still answers, None where there is none."""
        from aiosmtplib import SMTPException

        while self._idle:
            since, smtp = self._idle.pop()
            if time.monotonic() - since < IDLE:
                with suppress(SMTPException, OSError):
                    await smtp.rset()
                    return smtp
            smtp.close()
        return None

    async def _connected(self) -> "SMTP":
        """Return a new connection, encrypted and logged in as it is configured."""
        from aiosmtplib import SMTP

        server = self._server
        smtp = SMTP(
            hostname=server.host,
            port=server.port,
            timeout=server.timeout,
            use_tls=server.tls == "implicit",
            start_tls={"starttls": True, "none": False}.get(server.tls),
            tls_context=self._tls,
            local_hostname=socket.gethostname(),
        )
        await smtp.connect(timeout=min(CONNECTING, server.timeout))
        try:
            await smtp.ehlo()
            if server.username:
                await self._log_in(smtp)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _log_in(self, smtp: "SMTP") -> None:
        server = self._server
        offered = smtp.server_auth_methods
        if not offered:
            self.notes.add("the server offers no login: username and password are not used")
            return
        encrypted = smtp.get_transport_info("sslcontext") is not None
        safe = encrypted or "cram-md5" in offered or _near(server.host)
        if not safe and server.tls != "none":
            raise TriggerError(
                f"{self._what} at {server.host}: the connection is not encrypted, so the password "
                "is not sent",
                hint="tls: none allows it",
                permanent=True,
            )
        await smtp.login(server.username, server.password)

    def _error(self, exc: "SMTPException") -> TriggerError:
        """Return what an answer of the server means."""
        import aiosmtplib

        what = f"{self._what} at {self._server.host}"
        if isinstance(exc, aiosmtplib.SMTPRecipientsRefused):
            told = "; ".join(
                self._hide(f"{one.recipient}: {one.code} {one.message}") for one in exc.recipients
            )
            stays = all(one.code >= _STAYS for one in exc.recipients)
            return TriggerError(f"{what}: recipients refused: {told}", permanent=stays)
        if isinstance(exc, aiosmtplib.SMTPResponseException):
            told = self._hide(f"{exc.code} {exc.message}")
            hint = ""
            if isinstance(exc, aiosmtplib.SMTPAuthenticationError):
                hint = "are username and password right?"
            return TriggerError(f"{what}: {told}", hint=hint, permanent=exc.code >= _STAYS)
        if isinstance(exc, aiosmtplib.SMTPNotSupported) or "not supported" in exc.message:
            return TriggerError(f"{what}: {exc.message}", permanent=True)
        return TriggerError(f"{what}: {self._hide(exc.message)}")


def _near(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
