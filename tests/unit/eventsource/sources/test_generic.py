"""The generic source: what is taken and refused, and that its protocol is the published one."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from config_kit import reader

import eventsource.generic
from eventsource.generic.protocol import METHOD, SERVICE, messages
from eventsource.sources.generic import Generic
from spine.model import InvalidModel

WHOLE = {"url": "doors:8080", "config": "x"}
SECRET = {"name": "doors", "key": "token"}
CA = {"caCertSecret": {"name": "doors", "key": "ca"}}


read = reader(Generic, WHOLE)


@dataclass(frozen=True)
class Refused:
    name: str
    told: str
    more: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


REFUSED = [
    Refused("no url", "url: required field is missing", {"url": None}),
    Refused("no config", "config: required field is missing", {"config": None}),
    Refused("HTTP", "write host and port", {"url": "https://doors:8443"}),
    Refused("TLS in plain text", "leave one of them away", {"tls": CA, "insecure": True}),
    Refused("unchecked", "gRPC always checks", {"tls": {"insecureSkipVerify": True}}),
    Refused("insecure is a text", "insecure", {"insecure": "true"}),
    Refused("unknown", "unknown field (did you mean config)", {"confg": "x"}),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_what_cannot_work_is_refused(case: Refused):
    with pytest.raises(InvalidModel) as caught:
        read(**case.more)
    assert case.told in str(caught.value)


def test_every_field():
    found, warnings = read(
        tls=CA,
        jsonBody=True,
        authSecret=SECRET,
        metadata={"a": "b"},
        filter={"expression": "body.a == 1"},
    )
    assert warnings == []
    assert (found.url, found.config, found.insecure) == ("doors:8080", "x", False)


def test_token_in_plain_text_is_warned_of():
    (warning,) = read(insecure=True, authSecret=SECRET)[1]
    assert "the token can be read on its way" in warning


def test_messages_are_those_of_the_published_file():
    text = Path(eventsource.generic.__file__).with_name("eventing.proto").read_text()
    text = re.sub(r"//.*", "", text)
    package = re.search(r"package (\w+);", text)
    assert package is not None
    service = re.search(r"service (\w+) \{\s*rpc (\w+)\((\w+)\) returns \(stream (\w+)\);", text)
    assert service is not None
    assert (f"{package[1]}.{service[1]}", service[2]) == (SERVICE, METHOD)
    assert (service[3], service[4]) == ("EventSource", "Event")
    kinds = {9: "string", 12: "bytes"}  # as descriptors number them
    written = {
        name: {
            (field, kind, int(number))
            for kind, field, number in re.findall(r"(\w+) (\w+) = (\d+);", body)
        }
        for name, body in re.findall(r"message (\w+) \{([^}]*)\}", text)
    }
    ours = {
        name: {(f.name, kinds[f.type], f.number) for f in message.DESCRIPTOR.fields}
        for name, message in messages().items()
    }
    assert written == ours


def test_bytes_on_the_wire():
    asked = messages()["EventSource"](name="door", config=b"x")
    assert asked.SerializeToString() == b"\x0a\x04door\x12\x01x"
