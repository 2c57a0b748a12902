"""The sftp source without a server: its configuration, and addresses."""

from typing import Any

import pytest

from eventsource.files.ssh import Access
from eventsource.sources.sftp import Sftp
from spine.errors import ConfigError
from spine.model import InvalidModel, load
from spine.secrets import GivenSecrets, SecretRef

PATH = {"directory": "/in", "path": "a"}


def ref(key: str) -> dict[str, str]:
    return {"name": "sftp", "key": key}


def read(**raw: Any) -> tuple[Sftp, list[str]]:
    warnings: list[str] = []
    given = {
        "eventType": "CREATE",
        "watchPathConfig": PATH,
        "address": ref("address"),
        "username": ref("username"),
        "password": ref("password"),
        "knownHosts": ref("known"),
        **raw,
    }
    return load(Sftp, given, on_warning=warnings.append), warnings


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"address": None}, "address: required field is missing"),
        ({"username": None}, "username: required field is missing"),
        ({"password": None}, "needs password or sshKeySecret"),
        ({"pollIntervalDuration": "soon"}, "'soon'"),
        ({"pollIntervalDuration": "10"}, "'10'"),
        ({"pollIntervalDuration": "50ms"}, "below 100ms"),
        ({"pollIntervalDuration": "-1s"}, "below 100ms"),
        ({"eventType": "CREATED"}, "is none of CREATE"),
        ({"watchPathConfig": {"directory": "in", "path": "a"}}, "must be an absolute path"),
        ({"pollInterval": "1s"}, "did you mean pollIntervalDuration"),
    ],
)
def test_refused(raw, message):
    with pytest.raises(InvalidModel) as caught:
        read(**raw)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        ({"knownHosts": None}, "password: given to any server that answers: set knownHosts"),
        ({"eventType": "WRITE"}, "WRITE never happens here"),
        ({"eventType": "CREATE|REMOVE"}, "Argo Events never matches it"),
    ],
)
def test_taken_with_a_warning(raw, warning):
    assert any(warning in w for w in read(**raw)[1])


@pytest.mark.parametrize("more", [{}, {"knownHosts": None, "sshKeySecret": ref("key")}])
def test_taken_without_a_warning(more):
    source, warnings = read(**more)
    assert warnings == []
    assert source.poll_interval_duration == "10s"


def test_empty_interval_is_the_default_and_no_busy_loop():
    assert read(pollIntervalDuration="")[0].poll_interval_duration == "10s"


ADDRESS = SecretRef(name="sftp", key="address")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("sftp.example.com:2022", "sftp.example.com", 2022),
        ("sftp.example.com", "sftp.example.com", 22),
        (" 10.0.0.1:22\n", "10.0.0.1", 22),
        ("[2001:db8::1]:2022", "2001:db8::1", 2022),
        ("[::1]", "::1", 22),
    ],
)
def test_addresses(text, host, port):
    values = {("sftp", "address"): text, ("sftp", "user"): "me"}
    access = Access(ADDRESS, SecretRef(name="sftp", key="user"), None, None, None)
    assert access.read(GivenSecrets(values))[:2] == (host, port)


@pytest.mark.parametrize("text", ["", ":22", "host:", "host:0", "host:70000", "::1", "a b", "h/x"])
def test_no_addresses(text):
    access = Access(ADDRESS, ADDRESS, None, None, None)
    with pytest.raises(ConfigError, match="reading key 'address' of Secret 'sftp': it is no addr"):
        access.read(GivenSecrets({("sftp", "address"): text}))
