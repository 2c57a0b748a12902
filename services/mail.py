"""A mail as bytes: addresses, headers, body.

Whatever a template makes of a header, it stays one line of that header: blanks and line ends are
folded into one space, and addresses are taken apart and put together again.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import NamedTuple

from services.fitting import cut, first_line, word
from services.service import Message

SUBJECT = 100
"""Letters of a message that become its subject where the template has none."""
_PLAIN = policy.SMTP.clone(cte_type="7bit")
_WIDE = policy.SMTPUTF8.clone(cte_type="7bit")
_LOCAL = r"""[^\x00-\x20\x7f"(),:;<>@\[\\\]]+"""
_ADDRESS = re.compile(rf"({_LOCAL})@([^\s@\x00-\x20\x7f\"(),:;<>\[\\\]]+)")
_BETWEEN = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
"""A comma that stands in no quotes."""
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,120}")


class Letter(NamedTuple):
    """A mail that is ready to be sent."""

    sender: str
    """Address of the envelope."""
    recipients: list[str]
    """Addresses of the envelope: To, Cc and Bcc, each once."""
    id: str
    """Message-ID."""
    data: bytes
    wide: bool
    """Whether an address is not ASCII, so that the server must take SMTPUTF8."""


def addresses(text: str) -> list[str]:
    """Return the addresses in a list that is separated by commas, each with its name."""
    return [one for part in _BETWEEN.split(text) if (one := part.strip())]


def wrong_address(text: str) -> str:
    """Return what is wrong with an address, such as `Jane <jane@example.com>`; empty: nothing."""
    _, found = _parts(text)
    if "\n" in text or "\r" in text or not _ADDRESS.fullmatch(found):
        return f"{text!r} is no e-mail address"
    try:
        _address(text)
    except ValueError as exc:
        return f"{text!r} is no e-mail address: {exc}"
    return ""


def letter(message: Message, sender: str, to: Sequence[str], key: str, *, html: bool) -> Letter:
    """Return a message as a mail to all of these. Raises ValueError for what is no address."""
    block = message.block
    others = {name: addresses(word(block, name)) for name in ("cc", "bcc", "replyTo")}
    for one in (address for found in others.values() for address in found):
        wrong = wrong_address(one)
        if wrong:
            raise ValueError(wrong)
    everybody = [_address(one).addr_spec for one in (*to, *others["cc"], *others["bcc"])]
    author = _address(sender)
    wide = not all(one.isascii() for one in (author.addr_spec, *everybody))
    mail = EmailMessage(policy=_WIDE if wide else _PLAIN)
    mail["From"] = author
    mail["To"] = [_address(one) for one in to]
    if others["cc"]:
        mail["Cc"] = [_address(one) for one in others["cc"]]
    if others["replyTo"]:
        mail["Reply-To"] = [_address(one) for one in others["replyTo"]]
    mail["Subject"] = " ".join(subject_of(message).split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = message_id = _id(key, author.domain)
    if message.incident and message.incident != key:
        mail["References"] = _id(message.incident, author.domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body_of(message), subtype="html" if html else "plain")
    once = list(dict.fromkeys(everybody))
    return Letter(author.addr_spec, once, message_id, mail.as_bytes(), wide)


def subject_of(message: Message) -> str:
    """Return the subject of a mail: that of the template, else how the message begins."""
    return word(message.block, "subject") or cut(first_line(message.text), SUBJECT)


def body_of(message: Message) -> str:
    """Return the body of a mail, as text or HTML."""
    return str(message.block.get("body") or message.text)


def _parts(text: str) -> tuple[str, str]:
    """Return the name and the address of `Jane <jane@example.com>`, as they stand there."""
    named = _NAMED.fullmatch(text.strip())
    if named is None:
        return "", text.strip()
    name = named[1].strip()
    quoted = _QUOTED.fullmatch(name)
    return re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else name, named[2].strip()


def _address(text: str) -> Address:
    """Return an address with its name; its domain is turned into its ASCII form."""
    name, found = _parts(text)
    local, _, domain = found.rpartition("@")
    if not domain.isascii():
        import idna

        try:
            domain = idna.encode(domain, uts46=True).decode()
        except idna.IDNAError as exc:
            raise ValueError(str(exc)) from exc
    return Address(" ".join(name.split()), username=local, domain=domain)


def _id(key: str, domain: str) -> str:
    """Return a Message-ID that is always the same for a key."""
    safe = key if _SAFE.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()
    return f"<{safe}@{domain}>"
