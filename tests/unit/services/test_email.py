"""Mail: what a message becomes as a mail, whatever a template makes of it."""

import sys
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.email import Email
from services.mail import addresses, letter, wrong_address
from services.service import Message
from spine.errors import ConfigError
from spine.model import InvalidModel, load

CONFIG = {"host": "localhost", "port": 25, "from": "bot@example.com"}


def mail(
    message: Message, to: str = "jane@example.com", key: str = "k1", *, html: bool = False
) -> tuple[Any, EmailMessage]:
    made = letter(message, "Bot <bot@example.com>", addresses(to), key, html=html)
    return made, message_from_bytes(made.data, _class=EmailMessage, policy=policy.default)


def test_mail() -> None:
    block = {"subject": "Dönè\n", "body": "Grüße,\nich\n"}
    made, read = mail(Message(text="it is done", block=block))
    assert made.data.isascii()
    assert read["Subject"] == "Dönè"
    assert read.get_content().split() == ["Grüße,", "ich"]
    assert read.get_content_type() == "text/plain"
    assert read["Message-ID"] == made.id == "<k1@example.com>"
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["Date"].datetime
    assert read["References"] is None


@pytest.mark.parametrize("subject", ["", "  ", "<no value>"])
def test_subject_that_the_template_does_not_give(subject: str) -> None:
    _, read = mail(Message(text="\nit is done\nand so on", block={"subject": subject}))
    assert read["Subject"] == "it is done"
    _, read = mail(Message(text="x" * 200, block={"subject": subject}))
    assert read["Subject"] == "x" * 97 + "..."


def test_html() -> None:
    made, read = mail(Message(text="<b>done</b>"), html=True)
    assert read.get_content_type() == "text/html"
    assert read.get_content().strip() == "<b>done</b>"
    assert not read.is_multipart()
    assert made.wide is False


def test_key_that_is_no_message_id_is_hashed_and_the_same_each_time() -> None:
    first, _ = mail(Message(text="a"), key="uid:a b/<c>")
    again, _ = mail(Message(text="b"), key="uid:a b/<c>")
    other, _ = mail(Message(text="a"), key="uid:a b/<d>")
    assert first.id == again.id != other.id


def test_mails_of_one_occurrence_are_one_thread() -> None:
    _, first = mail(Message(text="a", incident="i1"), key="i1")
    _, second = mail(Message(text="a", incident="i1"), key="k2")
    assert first["References"] is None
    assert second["References"] == first["Message-ID"] == "<i1@example.com>"


def test_cc_bcc_and_reply_to() -> None:
    block = {"cc": "joe@example.com, Ann <ann@example.com>", "bcc": "eve@example.com",
             "replyTo": "team@example.com"}  # fmt: skip
    made, read = mail(Message(text="a", block=block), "jane@example.com,joe@example.com")
    assert made.recipients == [
        "jane@example.com",
        "joe@example.com",
        "ann@example.com",
        "eve@example.com",
    ]
    assert read["To"] == "jane@example.com, joe@example.com"
    assert read["Cc"] == "joe@example.com, Ann <ann@example.com>"
    assert read["Reply-To"] == "team@example.com"
    assert b"eve" not in made.data


@dataclass(frozen=True)
class Address:
    text: str
    wrong: bool = False

    def __str__(self) -> str:
        return repr(self.text)


ADDRESSES = [
    Address("jane@example.com"),
    Address("Jane <jane@example.com>"),
    Address('"Doe, Jane" <jane.doe+tag@example.com>'),
    Address("jörg@exämple.com"),
    Address("jane@localhost"),
    Address("jane", wrong=True),
    Address("", wrong=True),
    Address("@example.com", wrong=True),
    Address("jane@", wrong=True),
    Address("jane@example.com\r\nBcc: eve@example.com", wrong=True),
    Address("jane@exa mple.com", wrong=True),
    Address("jane@example.com> RCPT TO:<eve@example.com", wrong=True),
    Address("a@b@example.com", wrong=True),
]


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_address(address: Address) -> None:
    assert bool(wrong_address(address.text)) == address.wrong


def test_addresses_are_split_at_commas_outside_of_quotes() -> None:
    text = ' a@x.org ,, "Doe, Jane" <jane@x.org>,b@x.org '
    assert addresses(text) == ["a@x.org", '"Doe, Jane" <jane@x.org>', "b@x.org"]


@given(
    st.text(max_size=80) | st.just("a\r\nBcc: eve@example.com\r\n\r\nbody"),
    st.text(max_size=200),
    st.text(min_size=1, max_size=50),
)
def test_no_text_makes_a_header_or_ends_them(subject: str, body: str, key: str) -> None:
    made, read = mail(Message(text="a", block={"subject": subject, "body": body}), key=key)
    names = {"from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version"}
    names |= {"content-type", "content-transfer-encoding"}
    assert {name.lower() for name in read} == names
    assert made.recipients == ["jane@example.com"]
    assert str(read.get_content()).split() == (body or "a").split()
    if subject.strip() and "".join(subject.split()).isprintable():
        assert " ".join(str(read["Subject"]).split()) == " ".join(subject.split())


@given(st.text(max_size=60))
def test_any_recipient_is_known_to_be_wrong_or_can_be_written_to(text: str) -> None:
    service = load(Email, CONFIG)
    if not service.problem(text):
        made, read = mail(Message(text="a"), text)
        assert made.recipients
        assert len(read.get_all("To", [])) == 1
        assert not any(c in "\r\n" for one in made.recipients for c in one)


def test_wrong_address_of_a_template_is_an_error() -> None:
    with pytest.raises(ValueError, match="'nobody' is no e-mail address"):
        mail(Message(text="a", block={"cc": "nobody"}))


# ---------------------------------------------------------------------------- configuration


@dataclass(frozen=True)
class Mode:
    config: dict[str, Any]
    tls: str

    def __str__(self) -> str:
        return str(self.config)


LOGIN = {"username": "u", "password": "p"}
MODES = [
    Mode({"port": 25}, ""),
    Mode({"port": 465}, ""),
    Mode({"port": 465, **LOGIN}, "implicit"),
    Mode({"port": 587, **LOGIN}, ""),
    Mode({"port": 465, "tls": "starttls", **LOGIN}, "starttls"),
    Mode({"port": 2465, "tls": "implicit"}, "implicit"),
    Mode({"port": 25, "tls": "none"}, "none"),
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_encryption(mode: Mode) -> None:
    assert load(Email, CONFIG | mode.config).server.tls == mode.tls


def test_published_configuration_loads_without_a_warning() -> None:
    warnings: list[str] = []
    raw = CONFIG | {"html": True, "insecure_skip_verify": True, **LOGIN}
    service = load(Email, raw, on_warning=warnings.append)
    assert (service.html, service.insecure_skip_verify, warnings) == (True, True, [])


@pytest.mark.parametrize("raw", [{"port": 0}, {"host": ""}, {"from": "nobody"}, {"tls": "yes"}])
def test_configuration_that_cannot_work(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidModel):
        load(Email, CONFIG | raw)


async def test_missing_library_is_named(env, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)
    with pytest.raises(ConfigError, match=r"pip install 'tocsin\[email\]'"):
        async with load(Email, CONFIG).open(env):
            pass


def test_problem_of_a_recipient() -> None:
    service = load(Email, CONFIG)
    assert service.problem("a@x.org, b@x.org") == ""
    assert service.problem(" , ") == "it names no address"
    assert service.problem("a@x.org,nobody") == "'nobody' is no e-mail address"


def test_preview() -> None:
    block = {"subject": "Done", "body": "<b>a</b>", "cc": "joe@x.org"}
    shown = Email.preview(Message(text="m", block=block))
    assert shown == "Subject: Done\nCc: joe@x.org\n\n<b>a</b>"
    assert Email.preview(Message(text="m\nn")) == "Subject: m\n\nm\nn"
