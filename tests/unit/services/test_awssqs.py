"""SQS: what is refused before anything is sent, and what goes with a message."""

import sys
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.awssqs import Awssqs, _extras
from services.queues import attributes, deduplication
from services.service import Message
from spine.aws import refusal
from spine.errors import ConfigError
from spine.model import load


def test_key_and_secret_belong_together():
    with pytest.raises(ConfigError, match="key and secret belong together"):
        load(Awssqs, {"key": "AKIA"})


def test_a_queue_is_needed():
    assert load(Awssqs, {}).problem("") == "no queue: name one, or write queue"
    assert load(Awssqs, {"queue": "q"}).problem("") == ""
    assert load(Awssqs, {}).problem("q") == ""


@pytest.mark.parametrize("recipient", ["orders.fifo", "https://sqs.eu-1.amazonaws.com/1/q.fifo"])
def test_queue_in_order_is_never_told_to_wait(recipient):
    found = _extras(recipient, Message(text="t", block={"messageGroupId": "g"}), "k")
    assert found == {"MessageGroupId": "g", "MessageDeduplicationId": "k"}


def test_what_was_not_there_is_no_attribute():
    given_ = {"messageAttributes": {"a": "<no value>", "b": "", "c": "1"}}
    found = _extras("q", Message(text="t", block=given_), "k")["MessageAttributes"]
    assert sorted(found) == ["c", "idempotency-key"]


def test_ten_attributes_leave_no_room_for_the_key():
    many = {f"a{number}": "x" for number in range(10)}
    assert "idempotency-key" not in attributes(many, "k")
    assert "idempotency-key" in attributes(dict(list(many.items())[1:]), "k")


@given(st.text(max_size=300))
def test_deduplication_is_always_one_that_aws_takes(key):
    found = deduplication(key)
    assert 1 <= len(found) <= 128
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found
    assert deduplication(key) == found


async def test_missing_library_is_named(env, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiobotocore", None)
    with pytest.raises(ConfigError, match=r"opening awssqs 'beep': .*pip install 'tocsin\[aws\]'"):
        async with load(Awssqs, {"region": "eu-central-1"}).open(env):
            pass


async def test_endpoint_where_clouds_hand_out_credentials_is_never_asked(env):
    config = {"region": "r-1", "key": "k", "secret": "s", "endpointUrl": "http://169.254.169.254"}
    with pytest.raises(ConfigError, match="never fetched from"):
        async with load(Awssqs, config).open(env):
            pass


# ---------------------------------------------------------------------------- refusals


@dataclass(frozen=True)
class Said:
    name: str
    status: int
    code: str
    message: str
    permanent: bool
    hint: str = ""

    def __str__(self) -> str:
        return self.name


ARN = "arn:aws:sqs:eu-central-1:1:orders"
DENIED = f"User: arn:aws:iam::1:user/x is not authorized to perform: sqs:SendMessage on {{}}: {ARN}"
SAID = [
    Said("throttled", 400, "RequestThrottled", "slow down", permanent=False),
    Said("its own fault", 500, "InternalFailure", "oh", permanent=False),
    Said("an expired token", 403, "ExpiredToken", "it has expired", permanent=False),
    Said("a bad parameter", 400, "InvalidParameterValue", "no", permanent=True),
    Said("denied", 403, "AccessDenied", DENIED.format("resource"), True,
         f"grant sqs:SendMessage on {ARN}"),
    Said("denied by a key", 400, "AccessDeniedException",
         "x is not authorized to perform: kms:GenerateDataKey", True, "grant kms:GenerateDataKey"),
    Said("denied without a word", 403, "AccessDenied", "Access Denied", True,
         "see to the policies of this identity and of what it asks for"),
    Said("unknown key", 403, "InvalidClientTokenId", "no such token", True,
         "check key and secret, or the role of this process"),
]  # fmt: skip


@pytest.mark.parametrize("said", SAID, ids=str)
def test_refusals(said: Said):
    from botocore.exceptions import ClientError

    answer = {
        "Error": {"Code": said.code, "Message": said.message},
        "ResponseMetadata": {"HTTPStatusCode": said.status},
    }
    found = refusal(ClientError(answer, "SendMessage"))
    assert found is not None
    assert (found.permanent, found.hint) == (said.permanent, said.hint)
    assert found.message == f"{said.code}: {said.message}"


def test_a_bug_is_no_refusal():
    assert refusal(KeyError("x")) is None
