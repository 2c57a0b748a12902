"""Values of Secrets and ConfigMaps: from manifests and from options."""

import base64

import pytest

from spine.errors import ConfigError
from spine.manifest import read_text
from tocsin.values import read_values


def manifest(kind: str, body: str, name: str = "hub", namespace: str = "default") -> bytes:
    head = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}{body}\n".encode()


def values(text: bytes, *secrets: str):
    found, findings = read_values(read_text(text, "f").objects, secrets)
    return found, [str(f) for f in findings]


def test_a_secret_gives_plain_and_encoded_values_and_plain_wins():
    encoded = base64.b64encode(b"from data\n").decode()
    text = f"data: {{a: {encoded}, b: {encoded}}}\nstringData: {{b: plain}}"

    found, findings = values(manifest("Secret", text))

    assert found.find("Secret", "default") == {("hub", "a"): "from data\n", ("hub", "b"): "plain"}
    assert findings == []


def test_a_config_map_is_another_thing_than_a_secret():
    found, _ = values(manifest("ConfigMap", "data: {a: x}"))

    assert found.find("ConfigMap", "default") == {("hub", "a"): "x"}
    assert found.find("Secret", "default") == {}


def test_namespaces_are_apart_and_options_are_for_all_of_them(tmp_path):
    (tmp_path / "token").write_text("from a file\n")
    text = manifest("Secret", "stringData: {a: x}", namespace="one")

    found, _ = values(text, "hub.a=option", f"hub.dotted.key=@{tmp_path}/token")

    extra = {("hub", "dotted.key"): "from a file\n"}
    assert found.find("Secret", "one") == {("hub", "a"): "option", **extra}
    assert found.find("Secret", "two") == {("hub", "a"): "option", **extra}


BAD = [
    ("data: {a: '?'}", "data.a: not base64 (plain text goes into stringData, or use: base64"),
    ("data: {a: /w==}", "data.a: not a text in UTF-8"),
    ("stringData: {a: 12}", "stringData.a: input should be a valid string"),
    ("data: [a]", "data: input should be a map of texts"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_values_are_told_without_the_value(text, message):
    _, (finding,) = values(manifest("Secret", text))

    assert message in finding
    assert "'?'" not in finding


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("hub", "reading --secret 'hub': not of the form NAME.KEY=VALUE"),
        ("hub=x", "not of the form"),
        ("hub.a=@/no/such", "reading --secret hub.a: file /no/such: No such file"),
    ],
)
def test_bad_options_are_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        read_values([], [option])
