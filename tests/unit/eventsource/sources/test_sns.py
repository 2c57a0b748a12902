"""The sns source: what is taken and refused, and who is believed to be SNS."""

import asyncio
import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from config_kit import reader
from sns_kit import NAME, REGION, TOPIC, URL, Signer, posted

from eventsource.aws import signature
from eventsource.aws.notice import read as read_envelope
from eventsource.aws.signature import Certificates, Refused, Seen, Verifier, check_url
from eventsource.sources.sns import Sns
from spine.errors import ConfigError, SourceError
from spine.model import InvalidModel

HOOK = {"endpoint": "/orders", "port": "12000", "url": "https://hooks.example.com/"}
WHOLE = {"region": REGION, "topicArn": TOPIC, "webhook": HOOK}


@pytest.fixture(scope="module")
def signer():
    return Signer()


read = reader(Sns, WHOLE)


@dataclass(frozen=True)
class Case:
    name: str
    told: str
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


REFUSED = [
    Case("no webhook", "webhook: required field is missing", {"webhook": None}),
    Case("no topic", "topicArn: required field is missing", {"topicArn": None}),
    Case("no region", "region: required field is missing", {"region": None}),
    Case("another region", "topicArn is in eu-central-1, and region says", {"region": "us-east-1"}),
    Case("topic in order", "subscribe a queue to it", {"topicArn": TOPIC + ".fifo"}),
    Case("half the keys", "belong together", {"accessKey": {"name": "a", "key": "b"}}),
    Case("unknown", "unknown field (did you mean topicArn)", {"topicARNs": "x"}),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_work_is_refused(case: Case):
    with pytest.raises(InvalidModel) as caught:
        read(**case.more)
    assert case.told in str(caught.value)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"topicArn": "orders"}, "no ARN of a topic"),
        ({"webhook": {**HOOK, "url": ""}}, "nothing is subscribed"),
    ],
)
def test_what_may_be_filled_in_later_is_pointed_out(more, told):
    assert told in " ".join(read(**more)[1])


async def test_a_name_is_no_topic_to_listen_to(env):
    with pytest.raises(ConfigError, match="'orders': it is no ARN of a topic"):
        await read(topicArn="orders")[0].run(env, None)


@pytest.mark.parametrize(
    ("more", "verifies"),
    [
        ({}, True),
        ({"validateSignature": True, "endpoint": "http://localhost:4566"}, True),
        ({"validateSignature": False}, False),
        ({"endpoint": "http://localhost:4566"}, False),
    ],
)
def test_signatures_are_verified_unless_it_is_said_or_aws_is_another(more, verifies):
    found, warnings = read(**more)
    assert found.verifies is verifies
    assert bool(warnings) is not verifies
    assert all("can make up events" in one for one in warnings)


def test_hook_url():
    assert read()[0].webhook.hook_url == "https://hooks.example.com/orders"


# ---------------------------------------------------------------------------- certificates


@dataclass
class Place:
    """Where certificates are, with the questions to it."""

    pem: bytes = b""
    asked: list[str] = field(default_factory=list)
    down: bool = False
    now: float = 0.0

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.down:
            raise SourceError("away")
        return self.pem

    def certificates(self) -> Certificates:
        return Certificates(self.fetch, lambda: self.now)


URLS = [
    f"http://sns.{REGION}.amazonaws.com/{NAME}",
    f"https://sns.{REGION}.amazonaws.com.evil.example/{NAME}",
    f"https://evil.example/sns.{REGION}.amazonaws.com/{NAME}",
    f"https://sns.{REGION}.amazonaws.com@evil.example/{NAME}",
    f"https://sns.{REGION}.amazonaws.com:8443/{NAME}",
    f"https://xsns.{REGION}.amazonaws.com/{NAME}",
    f"https://sns-{REGION}.amazonaws.com/{NAME}",
    f"https://sns.s3.amazonaws.com/{NAME}",
    f"https://sns.s3-{REGION}.amazonaws.com/{NAME}",
    f"https://sns.us-east-1.amazonaws.com/{NAME}",
    f"https://sns.{REGION}.amazonaws.com.cn/{NAME}",
    f"https://sns.{REGION}.amazonaws.com/?Action=x&{NAME}",
    f"https://sns.{REGION}.amazonaws.com/../{NAME}",
    f"https://sns.{REGION}.amazonaws.com/{NAME}\n",
    f"https://sns.{REGION}.amazonaws.com/{NAME.removesuffix('.pem')}",
    "",
]


@pytest.mark.parametrize("url", URLS)
def test_certificates_of_other_places_are_refused(url):
    with pytest.raises(Refused, match="SigningCertURL is not of SNS in eu-central-1"):
        check_url(url, REGION)


def test_places_of_certificates():
    check_url(URL, REGION)
    check_url(f"https://sns.cn-north-1.amazonaws.com.cn/{NAME}", "cn-north-1")


async def test_certificate_is_fetched_once_for_many_and_again_after_a_day(signer):
    place = Place(signer.pem)
    known = place.certificates()
    await asyncio.gather(*(known.key(URL) for _ in range(20)))
    assert place.asked == [URL]
    place.now = signature.GOOD_FOR - 7200
    await known.key(URL)
    place.now = signature.GOOD_FOR + 1
    await known.key(URL)
    assert place.asked == [URL, URL]


async def test_certificate_that_cannot_be_had_is_asked_for_again_soon(signer):
    place = Place(signer.pem, down=True)
    known = place.certificates()
    for _ in range(3):
        with pytest.raises(SourceError):
            await known.key(URL)
    assert len(place.asked) == 1
    place.now, place.down = signature.AWAY_FOR, False
    await known.key(URL)


async def test_made_up_certificates_do_not_push_out_the_real_one(signer):
    place = Place(signer.pem)
    known = place.certificates()
    await known.key(URL)
    place.pem = b"none"
    for n in range(2 * signature.KEPT):
        with pytest.raises(Refused, match="leads to no certificate"):
            await known.key(f"{URL}{n}")
    before = len(place.asked)
    await known.key(URL)
    assert len(place.asked) == before


BAD = [
    Case("expired", "the certificate is not valid now", {"days": -0.1}),
    Case("short key", "no RSA key of 2048 bits", {"bits": 1024}),
]


@pytest.mark.parametrize("case", BAD, ids=str)
async def test_certificates_that_are_no_good(case: Case):
    with pytest.raises(Refused, match=case.told):
        await Place(Signer(**case.more).pem).certificates().key(URL)


# ---------------------------------------------------------------------------- signatures


async def check(signer: Signer, body: bytes) -> None:
    verifier = Verifier(REGION, Place(signer.pem).certificates())
    await verifier.check(read_envelope(body), body)


CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "Token": "t0k",
    "SubscribeURL": "https://sns.example.com/?Action=ConfirmSubscription",
}
GOOD = [
    Case("version 1", "", {"version": "1"}),
    Case("version 2", ""),
    Case("subject", "", {"Subject": "größer"}),
    Case("empty subject", "", {"Subject": ""}),
    Case("lines", "", {"Message": "a\nb\r\n\u2028"}),
    Case("confirmation", "", CONFIRMATION),
    Case("farewell", "", {**CONFIRMATION, "Type": "UnsubscribeConfirmation"}),
    Case("attributes are not signed", "", {"MessageAttributes": {"a": {"Type": "String"}}}),
]


@pytest.mark.parametrize("case", GOOD, ids=str)
async def test_signed_messages_are_believed(signer, case: Case):
    await check(signer, posted(signer.message(**case.more)))


CHANGED = [
    Case("message", "does not fit", {"Message": '{"order":43}'}),
    Case("id", "does not fit", {"MessageId": "other"}),
    Case("subject", "does not fit", {"Subject": "x"}),
    Case("type", "does not fit", {"Type": "SubscriptionConfirmation"}),
    Case("signature", "does not fit", {"Signature": "AAAA"}),
    Case("no signature", "does not fit", {"Signature": ""}),
    Case("no base64", "Signature is not base64", {"Signature": "ä"}),
    Case("version", "must be 1 or 2", {"SignatureVersion": "3"}),
    Case("other version", "does not fit", {"SignatureVersion": "1"}),
    Case("host", "not of SNS", {"SigningCertURL": "https://evil.example/a.pem"}),
    Case("old", "older than SNS keeps trying", {"Timestamp": "2020-01-01T00:00:00.000Z"}),
    Case("future", "of the future", {"Timestamp": "2999-01-01T00:00:00.000Z"}),
]


@pytest.mark.parametrize("case", CHANGED, ids=str)
async def test_changed_messages_are_not(signer, case: Case):
    with pytest.raises(Refused, match=case.told):
        await check(signer, posted({**signer.message(), **case.more}))


async def test_old_message_with_its_signature_is_not_played_again(signer):
    before = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    old = signer.message(Timestamp=before.isoformat(timespec="milliseconds"))
    with pytest.raises(Refused, match="older than SNS keeps trying"):
        await check(signer, posted(old))


async def test_member_that_stands_twice(signer):
    """A sensor may read the first, and the last is what is signed."""
    body = posted(signer.message()).replace(b'"Message":', b'"Message": "forged", "Message":')
    with pytest.raises(Refused, match="a member stands twice"):
        await check(signer, body)


async def test_signature_of_another_key(signer):
    with pytest.raises(Refused, match="the signature does not fit"):
        await check(Signer(), posted(signer.message()))


@pytest.mark.parametrize("body", [b"", b"x", b"{}", b"[]", b'{"Type":"Notification"}', b"null"])
def test_what_is_no_envelope(body):
    with pytest.raises(ValueError, match="not"):
        read_envelope(body)


def test_bad_timestamps(signer):
    for bad in ("yesterday", "2026-11-21", "2026-11-21T08:50:00"):
        with pytest.raises(ValueError, match="not what SNS posts"):
            read_envelope(json.dumps(signer.message(Timestamp=bad)).encode())


def test_seen_are_forgotten_after_a_while_and_bounded(monkeypatch):
    now = 0.0
    monkeypatch.setattr(signature, "SEEN", 3)
    seen = Seen(lambda: now)
    for one in "abcd":
        seen.add(one)
    assert [one in seen for one in "abcd"] == [False, True, True, True]
    now = 100_000.0
    assert "d" not in seen
    seen.add("e")
    assert "e" in seen


async def test_certificates_asked_for_at_a_time_are_so_many(signer):
    place = Place(signer.pem)
    known = place.certificates()
    urls = [URL.replace(NAME, f"SimpleNotificationService-{n:032x}.pem") for n in range(20)]
    found = await asyncio.gather(*(known.key(url) for url in urls), return_exceptions=True)
    refused = [one for one in found if isinstance(one, SourceError)]
    assert len(place.asked) == signature.WAITING
    assert len(refused) == 20 - signature.WAITING
