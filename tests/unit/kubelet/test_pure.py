"""What of the test kubelet needs no cluster: expansion, quantities, paths, selectors, DNS."""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubelet.environment import expand, quantity
from kubelet.images import image
from kubelet.launch import inside
from kubelet.names import answer
from kubelet.scheduler import selects


@dataclass(frozen=True)
class Text:
    given: str
    expanded: str


TEXTS = (
    Text("plain", "plain"),
    Text("$(A)-$(B)", "1-2"),
    Text("$$(A)", "$(A)"),
    Text("$$$(A)", "$1"),
    Text("$(NONE) $A $(A", "$(NONE) $A $(A"),
)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.given)
def test_references_to_variables(text):
    assert expand(text.given, {"A": "1", "B": "2"}) == text.expanded


@pytest.mark.parametrize(
    ("text", "number"), [("1500m", 1.5), ("2", 2), ("64Mi", 64 * 2**20), ("1k", 1000), (3, 3)]
)
def test_quantities(text, number):
    assert quantity(text) == number


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/etc/tocsin", "etc/tocsin"),
        ("/var/run/secrets/x", "run/secrets/x"),
        ("/near/x", "etc/x"),
        ("/../../etc/x", "etc/x"),
        ("/out/x", "outside/x"),
    ],
)
def test_links_of_a_container_stay_in_it(path, found, tmp_path: Path):
    root = tmp_path / "root"
    for name in ("etc", "run", "var"):
        (root / name).mkdir(parents=True)
    (root / "var" / "run").symlink_to("/run")
    (root / "near").symlink_to("etc")
    (root / "out").symlink_to("../../outside")

    assert inside(root, path) == root / found


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors_of_labels(selector, selected):
    assert selects(selector, {"a": "1"}) is selected


@pytest.mark.parametrize(
    "name",
    ["nats:2.10.29", "registry.test/library/nats", "registry.test:5000/nats@sha256:" + "0" * 64],
)
def test_an_image_is_known_by_its_last_name(name):
    assert image(name).entrypoint == ("nats-server",)


def test_an_unknown_image_is_ours_and_takes_the_arguments_of_the_pod():
    ours = image("registry.test/someone/tocsin:v1")

    assert ours.words([], ["sensor"]) == ["tocsin", "sensor"]
    assert ours.words(["python3"], ["-V"]) == ["python3", "-V"]
    assert ours.user != 0


def question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return (
        struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)
    )


@pytest.mark.parametrize(
    ("kind", "found", "code", "addresses"),
    [
        (1, ["10.0.0.1", "10.0.0.2"], 0, ["10.0.0.1", "10.0.0.2"]),
        (28, ["10.0.0.1"], 0, []),
        (1, [], 0, []),
        (1, None, 3, []),
    ],
    ids=["addresses", "of the other kind", "a name without any", "no such name"],
)
def test_answers_of_dns(kind, found, code, addresses):
    asked = []

    def resolve(name: str) -> list[str] | None:
        asked.append(name)
        return found

    said = answer(question("Web.team.svc", kind), resolve)
    number, flags, questions, count = struct.unpack("!HHHH", said[:8])
    records = said[len(question("Web.team.svc", kind)) :]

    assert asked == ["web.team.svc"]
    assert (number, flags & 0xF, questions, count) == (7, code, 1, len(addresses))
    assert [
        socket.inet_ntoa(records[n + 12 : n + 16]) for n in range(0, 16 * count, 16)
    ] == addresses
