"""The sqs source: what is taken and refused, its payload, and who it is to AWS."""

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from config_kit import reader
from hypothesis import given
from hypothesis import strategies as st

from eventsource.aws.queue_message import SqsMessage, attributes
from eventsource.sources.sqs import Sqs
from spine.aws import Access
from spine.model import InvalidModel
from spine.runtime import Env, Shared
from spine.secrets import GivenSecrets

WHOLE = {"region": "eu-central-1", "queue": "orders"}
KEYS = {"accessKey": {"name": "aws", "key": "id"}, "secretKey": {"name": "aws", "key": "secret"}}
TOKEN = {"sessionToken": {"name": "aws", "key": "token"}}
ROLE = "arn:aws:iam::123456789012:role/reader"
SECRETS = GivenSecrets({("aws", "id"): "AK", ("aws", "secret"): "s3", ("aws", "token"): "t0\n"})


read = reader(Sqs, WHOLE)


@dataclass(frozen=True)
class Refused:
    name: str
    told: str
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


REFUSED = [
    Refused("no queue", "queue: required field is missing", {"queue": None}),
    Refused("empty queue", "queue", {"queue": ""}),
    Refused("no region", "region: required field is missing", {"region": None}),
    Refused(
        "queue is a URL",
        "write the name of the queue alone",
        {"queue": "https://sqs.eu-central-1.amazonaws.com/1/orders"},
    ),
    Refused("half the keys", "belong together", {"accessKey": KEYS["accessKey"]}),
    Refused("token alone", "sessionToken needs accessKey", TOKEN),
    Refused("no role", "write the ARN of a role", {"roleARN": "reader"}),
    Refused("no URL", "scheme", {"endpoint": "localhost:4566"}),
    Refused("waits too long", "waitTimeSeconds", {"waitTimeSeconds": 21}),
    Refused("waits a text", "waitTimeSeconds", {"waitTimeSeconds": "3"}),
    Refused("hidden for ever", "visibilityTimeout", {"visibilityTimeout": 43_201}),
    Refused("dlq is a text", "dlq", {"dlq": "true"}),
    Refused("unknown", "unknown field (did you mean queue)", {"queues": "x"}),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_work_is_refused(case: Refused):
    with pytest.raises(InvalidModel) as caught:
        read(**case.more)
    assert case.told in str(caught.value)


def test_every_field():
    found, warnings = read(
        **KEYS,
        **TOKEN,
        queueAccountId="123456789012",
        waitTimeSeconds=20,
        endpoint="http://localhost:4566",
        jsonBody=True,
        dlq=True,
        metadata={"a": "b"},
        filter={"expression": "body.a == 1"},
        visibilityTimeout=30,
    )
    assert warnings == []
    assert (found.queue_account_id, found.wait_time_seconds) == ("123456789012", 20)


def test_keys_beside_a_role_are_said_to_be_of_no_use():
    assert read(**KEYS, roleARN=ROLE)[1] == [
        "accessKey and secretKey are without effect beside roleARN"
    ]


@dataclass(frozen=True)
class Login:
    name: str
    more: dict[str, Any]
    access: Access

    def __str__(self) -> str:
        return self.name


LOGINS = [
    Login("found by the SDK", {}, Access("eu-central-1")),
    Login("keys", KEYS, Access("eu-central-1", key="AK", secret="s3")),
    Login(
        "keys of a session",
        {**KEYS, **TOKEN},
        Access("eu-central-1", key="AK", secret="s3", token="t0"),
    ),
    Login("role", {**KEYS, "roleARN": ROLE}, Access("eu-central-1", role=ROLE)),
    Login("other place", {"endpoint": "http://a:1"}, Access("eu-central-1", "http://a:1")),
]


@pytest.mark.parametrize("case", LOGINS, ids=str)
async def test_as_whom(case: Login):
    async with Shared() as shared:
        env = Env("es", "ev", "ns", SECRETS, shared)
        found = read(**case.more)[0].access(env)
    assert found == case.access
    assert "s3" not in repr(found)
    assert "t0" not in repr(found)


# ---------------------------------------------------------------------------- payload


def test_attributes_are_those_of_the_go_sdk():
    found = attributes(
        {
            "n": {"DataType": "Number", "StringValue": "1"},
            "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        }
    )
    assert found == (
        b'{"b":{"BinaryListValues":null,"BinaryValue":"AP8=","DataType":"Binary",'
        b'"StringListValues":null,"StringValue":null},'
        b'"n":{"BinaryListValues":null,"BinaryValue":null,"DataType":"Number",'
        b'"StringListValues":null,"StringValue":"1"}}'
    )
    assert attributes({}) == b"null"


@given(st.dictionaries(st.text(min_size=1), st.binary()), st.text())
def test_every_payload_is_json(values: dict[str, bytes], number: str):
    given_ = {n: {"DataType": "Binary", "BinaryValue": v} for n, v in values.items()}
    read_back = json.loads(SqsMessage(number, attributes(given_), b'"x"').encode())
    attributes_back = read_back["messageAttributes"] or {}
    assert len(attributes_back) == len(values)
    for name, value in values.items():
        assert base64.b64decode(attributes_back[name]["BinaryValue"]) == value
