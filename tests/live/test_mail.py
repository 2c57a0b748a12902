"""Mail through a real SMTP server: in clear, by STARTTLS, by TLS at once, with a login."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from services_kit import Mailbox, mail_server, server_tls

from services import smtp
from services.email import Email
from services.service import Client, Message
from spine.errors import ConfigError, TriggerError
from spine.model import load

USERS = {"bot": "hush-hush"}
LOGIN = {"username": "bot", "password": "hush-hush"}
DONE = Message(text="it is done", block={"subject": "Done"})


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The context of a server on localhost, and the certificate that clients trust."""
    return server_tls(tmp_path_factory.mktemp("mail"))


@asynccontextmanager
async def opened(env, box: Mailbox, **config: Any) -> AsyncIterator[Client]:
    raw = {"host": "localhost", "port": box.port, "from": "Bot <bot@example.com>"} | config
    async with load(Email, raw).open(env) as client:
        yield client


async def test_in_clear(env):
    async with mail_server() as box, opened(env, box) as client:
        receipt = await client.send(DONE, "jane@example.com, joe@example.org", "k1")
        (mail,) = box.mails
    assert receipt.summary == "250 taken"
    assert receipt.detail == {"messageId": "<k1@example.com>"}
    assert (mail.sender, mail.tls, mail.user) == ("bot@example.com", False, "")
    assert mail.recipients == ("jane@example.com", "joe@example.org")
    assert mail.message["To"] == "jane@example.com, joe@example.org"
    assert mail.message["From"] == "Bot <bot@example.com>"
    assert mail.message["Subject"] == "Done"
    assert mail.message["Message-ID"] == "<k1@example.com>"
    assert mail.message.get_content_type() == "text/plain"
    assert mail.message.get_content().strip() == "it is done"


async def test_starttls_is_taken_where_it_is_offered(env, tls):
    context, ca = tls
    async with (
        mail_server(starttls=context, users=USERS) as box,
        opened(env, box, caCert=ca, **LOGIN) as client,
    ):
        await client.send(DONE, "jane@example.com", "k1")
        assert [(mail.tls, mail.user) for mail in box.mails] == [(True, "bot")]


async def test_starttls_that_is_asked_for_and_not_offered(env):
    async with mail_server() as box, opened(env, box, tls="starttls") as client:
        with pytest.raises(TriggerError, match="STARTTLS") as caught:
            await client.send(DONE, "jane@example.com", "k1")
        assert caught.value.permanent
        assert box.mails == []


async def test_starttls_can_be_declined(env, tls):
    async with (
        mail_server(starttls=tls[0]) as box,
        opened(env, box, tls="none") as client,
    ):
        await client.send(DONE, "jane@example.com", "k1")
        assert [mail.tls for mail in box.mails] == [False]


async def test_tls_from_the_first_byte_on_any_port(env, tls):
    context, ca = tls
    async with (
        mail_server(implicit=context, users=USERS) as box,
        opened(env, box, tls="implicit", caCert=ca, **LOGIN) as client,
    ):
        await client.send(DONE, "jane@example.com", "k1")
        assert [mail.user for mail in box.mails] == ["bot"]


async def test_certificate_that_is_not_trusted(env, tls):
    context, _ = tls
    async with mail_server(starttls=context) as box:
        async with opened(env, box) as client:
            with pytest.raises(TriggerError, match="self-signed certificate") as caught:
                await client.send(DONE, "jane@example.com", "k1")
            assert not caught.value.permanent
            assert "insecure_skip_verify" in caught.value.hint
        async with opened(env, box, insecure_skip_verify=True) as client:
            await client.send(DONE, "jane@example.com", "k1")
        assert [mail.tls for mail in box.mails] == [True]


async def test_wrong_password(env):
    async with (
        mail_server(users=USERS) as box,
        opened(env, box, username="bot", password="hush-wrong") as client,
    ):
        with pytest.raises(TriggerError, match="535") as caught:
            await client.send(DONE, "jane@example.com", "k1")
    assert caught.value.permanent
    assert caught.value.hint == "are username and password right?"
    assert "hush" not in str(caught.value)


async def test_password_is_not_sent_in_clear(env, monkeypatch):
    monkeypatch.setattr(smtp, "_near", lambda _: False)
    async with mail_server(users=USERS) as box:
        async with opened(env, box, **LOGIN) as client:
            with pytest.raises(TriggerError, match="not encrypted") as caught:
                await client.send(DONE, "jane@example.com", "k1")
            assert caught.value.permanent
        async with opened(env, box, tls="none", **LOGIN) as client:
            await client.send(DONE, "jane@example.com", "k1")
        assert [mail.user for mail in box.mails] == ["bot"]


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", True),
        ("127.0.0.5", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_which_host_is_near(host: str, near: bool):
    assert smtp._near(host) == near


async def test_server_without_login_gets_the_mail_all_the_same(env):
    async with mail_server() as box, opened(env, box, **LOGIN) as client:
        receipt = await client.send(DONE, "jane@example.com", "k1")
        assert len(box.mails) == 1
    assert receipt.problems == ("the server offers no login: username and password are not used",)


@dataclass(frozen=True)
class Refused:
    """What a server refuses, and what becomes of it."""

    name: str
    refused: dict[str, str]
    data: str
    permanent: bool
    told: str

    def __str__(self) -> str:
        return self.name


REFUSED = [
    Refused("for ever", {"jane@example.com": "550 no such user"}, "", True, "550 no such user"),
    Refused("for now", {"jane@example.com": "450 come again"}, "", False, "450 come again"),
    Refused("content for ever", {}, "554 spam", True, "554 spam"),
    Refused("content for now", {}, "451 busy", False, "451 busy"),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
async def test_refused(env, case: Refused):
    async with mail_server() as box, opened(env, box) as client:
        box.refused, box.refused_data = case.refused, case.data
        with pytest.raises(TriggerError, match=case.told) as caught:
            await client.send(DONE, "jane@example.com", "k1")
        assert caught.value.permanent == case.permanent
        assert box.mails == []
        box.refused, box.refused_data = {}, ""
        await client.send(DONE, "jane@example.com", "k1")
        assert len(box.mails) == 1


async def test_one_of_two_is_refused_for_ever(env):
    async with mail_server() as box, opened(env, box) as client:
        box.refused = {"joe@example.com": "550 no such user"}
        receipt = await client.send(DONE, "jane@example.com,joe@example.com", "k1")
        assert [mail.recipients for mail in box.mails] == [("jane@example.com",)]
    assert receipt.problems == ("refused: joe@example.com: 550 no such user",)


async def test_one_of_two_is_refused_for_now_and_alone_tried_again(env):
    async with mail_server() as box, opened(env, box) as client:
        box.refused = {"joe@example.com": "451 greylisted"}
        with pytest.raises(TriggerError, match=r"refused for now: joe@example\.com: 451") as caught:
            await client.send(DONE, "jane@example.com,joe@example.com", "k1")
        assert not caught.value.permanent
        box.refused = {}
        await client.send(DONE, "jane@example.com,joe@example.com", "k1")
        assert [mail.recipients for mail in box.mails] == [
            ("jane@example.com",),
            ("joe@example.com",),
        ]
        assert len({mail.message["Message-ID"] for mail in box.mails}) == 1


async def test_connection_is_kept_and_made_anew(env):
    async with mail_server() as box, opened(env, box) as client:
        for number in range(3):
            await client.send(DONE, "jane@example.com", f"k{number}")
        assert (len(box.mails), box.connections) == (3, 1)
        box.hang_up()
        await client.send(DONE, "jane@example.com", "k4")
        assert (len(box.mails), box.connections) == (4, 2)


async def test_so_many_connections_and_no_more(env):
    async with mail_server() as box, opened(env, box) as client:
        box.hold = asyncio.Event()
        sending = [
            asyncio.create_task(client.send(DONE, "jane@example.com", f"k{number}"))
            for number in range(20)
        ]
        while box.waiting < smtp.CONNECTIONS:
            await box.changed()
        box.hold.set()
        await asyncio.gather(*sending)
        assert (len(box.mails), box.connections) == (20, smtp.CONNECTIONS)


async def test_slow_server_does_not_hold_up_another(env):
    async with (
        mail_server() as slow,
        mail_server() as quick,
        opened(env, slow) as held,
        opened(env, quick) as client,
    ):
        slow.hold = asyncio.Event()
        sending = asyncio.create_task(held.send(DONE, "jane@example.com", "k1"))
        await slow.came.wait()
        async with asyncio.timeout(30):
            await client.send(DONE, "jane@example.com", "k2")
        assert not sending.done()
        slow.hold.set()
        await sending


async def test_server_that_does_not_answer_in_time(env):
    async with mail_server() as box, opened(env, box, timeout=0.2) as client:
        box.hold = asyncio.Event()
        with pytest.raises(TriggerError) as caught:
            await client.send(DONE, "jane@example.com", "k1")
        assert not caught.value.permanent
        box.hold.set()


async def test_cancelled_it_does_not_wait_for_the_server(env):
    async with mail_server() as box, opened(env, box, timeout=60) as client:
        box.hold = asyncio.Event()
        sending = asyncio.create_task(client.send(DONE, "jane@example.com", "k1"))
        await box.came.wait()
        sending.cancel()
        done, _ = await asyncio.wait([sending], timeout=20)
        assert done
        assert sending.cancelled()
        box.hold.set()


async def test_nobody_there(env):
    async with mail_server() as box:
        pass
    async with opened(env, box) as client:
        with pytest.raises(TriggerError) as caught:
            await client.send(DONE, "jane@example.com", "k1")
    assert not caught.value.permanent


async def test_addresses_beyond_ascii(env):
    async with mail_server() as box, opened(env, box) as client:
        await client.send(DONE, "Jörg <jörg@exämple.com>", "k1")
        (mail,) = box.mails
    assert mail.recipients == ("jörg@xn--exmple-cua.com",)


async def test_certificate_that_is_none(env):
    box = Mailbox()
    box.port = 25
    with pytest.raises(ConfigError, match="caCert"):
        async with opened(env, box, caCert="nonsense"):
            pass
