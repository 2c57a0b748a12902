"""SNS: which recipients can never be reached, and what goes with a message."""

from dataclasses import dataclass

import pytest

from services.awssns import Awssns, _extras
from services.service import Message
from spine.model import load

ARN = "arn:aws:sns:eu-central-1:123456789012:told"


@dataclass(frozen=True)
class Case:
    name: str
    config: dict[str, str]
    recipient: str
    why: str = ""

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("topic of the recipient", {}, ARN),
    Case("topic of the configuration", {"topic": ARN}, ""),
    Case("of China", {}, "arn:aws-cn:sns:cn-north-1:1:told.fifo"),
    Case("none", {}, "", "no topic"),
    Case("a name", {}, "told", "'told' is no ARN of a topic"),
    Case("a queue", {}, "arn:aws:sqs:eu-central-1:1:told", "is no ARN of a topic"),
    Case(
        "elsewhere", {"region": "us-east-1"}, ARN, "is in eu-central-1, and region says us-east-1"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_recipients(case: Case):
    found = load(Awssns, case.config).problem(case.recipient)
    assert case.why in found
    assert bool(found) == bool(case.why)


def test_region_is_that_of_the_topic():
    assert load(Awssns, {"topic": ARN}).access("eu-central-1").region == "eu-central-1"
    assert load(Awssns, {"region": "r"}).access("eu-central-1").region == "r"


def test_topic_in_order_needs_a_group():
    assert _extras(f"{ARN}.fifo", Message(text="t"), "k") == {
        "MessageGroupId": "tocsin",
        "MessageDeduplicationId": "k",
    }
