"""Configurations of a bus: shapes, credentials, and what no log may show."""

import pytest

from eventbus import config as config_module
from eventbus.config import BusConfig, JetStreamConfig, credentials, shown, tls_context
from eventbus.opening import options_of
from spine.errors import ConfigError
from spine.model import InvalidModel, load
from spine.secrets import GivenSecrets

NONE = GivenSecrets()


def jetstream(**fields) -> JetStreamConfig:
    return load(BusConfig, {"jetstream": {"url": "nats://h:4222", **fields}}).require_jetstream()


def given(text: str) -> GivenSecrets:
    return GivenSecrets({("s", "k"): text})


ACCESS = {"accessSecret": {"name": "s", "key": "k"}}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("username: u\npassword: p\n", {"user": "u", "password": "p"}),
        ("Username: u\nPassword: p", {"user": "u", "password": "p"}),
        ("username: 1\npassword: 2", {"user": "1", "password": "2"}),
        ('token: "t"', {"token": "t"}),
        ("username: ''\ntoken: t", {"token": "t"}),
        ("just-a-token", {"token": "just-a-token"}),
        ("12345\n", {"token": "12345"}),
        ("a: [b", {"token": "a: [b"}),
    ],
)
def test_access_secret(text, want):
    assert credentials(jetstream(**ACCESS), given(text)) == want


@pytest.mark.parametrize("text", ["", "username: u", "user: u\npass: p", "- a"])
def test_access_secrets_that_say_nothing(text):
    with pytest.raises(ConfigError, match=r"key 'k' of Secret 's' \(accessSecret of the bus\)"):
        credentials(jetstream(**ACCESS), given(text))


def test_the_file_that_a_controller_mounts(tmp_path, monkeypatch):
    path = tmp_path / "auth.yaml"
    monkeypatch.setattr(config_module, "AUTH_FILE", path)
    with pytest.raises(ConfigError, match="no Secret of that name"):
        credentials(jetstream(**ACCESS), NONE)
    path.write_text("username: u\npassword: p")
    assert credentials(jetstream(**ACCESS), NONE) == {"user": "u", "password": "p"}


def test_a_secret_that_is_given_goes_before_the_file(tmp_path, monkeypatch):
    path = tmp_path / "auth.yaml"
    path.write_text("token: file")
    monkeypatch.setattr(config_module, "AUTH_FILE", path)
    assert credentials(jetstream(**ACCESS), given("token: secret")) == {"token": "secret"}


@pytest.mark.parametrize(
    ("url", "want"),
    [
        ("nats://u:p@h", {"user": "u", "password": "p"}),
        ("nats://u%40x:p%3Aw@h", {"user": "u@x", "password": "p:w"}),
        ("nats://tok@h", {"token": "tok"}),
        ("nats://h", {}),
    ],
)
def test_credentials_in_the_url_leave_it(url, want):
    config = jetstream(url=url)
    assert credentials(config, NONE) == want
    assert options_of(config, NONE, "t").servers == ("nats://h",)


def test_several_servers_and_no_scheme():
    options = options_of(jetstream(url="a:4222, nats://u:p@b:4222"), NONE, "t")
    assert options.servers == ("nats://a:4222", "nats://b:4222")
    assert (options.user, options.password) == ("u", "p")


def test_a_url_is_shown_without_its_password():
    assert shown("nats://u:p@a:1,b:2") == "nats://a:1, nats://b:2"


@pytest.mark.parametrize("url", ["http://h", "nats://", "nats://h:port", "nats://h:99999"])
def test_urls_that_cannot_be(url):
    with pytest.raises(InvalidModel, match=r"jetstream.url: .*not the address of a server"):
        jetstream(url=url)


def test_a_bad_stream_config_is_found_when_it_is_read():
    with pytest.raises(InvalidModel, match=r"jetstream.streamConfig: .*not a size"):
        jetstream(streamConfig="maxBytes: big")


def test_settings_only_where_something_is_said():
    assert load(BusConfig, {"jetstream": {"url": "h", "streamConfig": " "}}).settings() is None
    found = load(BusConfig, {"jetstream": {"url": "h", "streamConfig": "maxMsgs: 5"}}).settings()
    assert found is not None
    assert found.max_msgs == 5


@pytest.mark.parametrize(
    ("fields", "demanded", "verified"),
    [
        ({}, False, False),
        ({"url": "tls://h"}, True, True),
        ({"url": "wss://h"}, True, True),
        ({"tls": {}}, True, True),
        ({"tls": {"enabled": True}}, True, True),
        ({"tls": {"enabled": False}}, False, True),
        ({"tls": {"insecureSkipVerify": True}}, True, False),
    ],
)
def test_tls(fields, demanded, verified):
    context, found = tls_context(jetstream(**fields), NONE)
    assert found is demanded
    assert bool(context.verify_mode) is verified


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "no kind of bus is configured"),
        ({"kafka": {"url": "k"}}, "not built yet"),
        ({"nats": {"url": "nats://u:secret@h"}}, "nats://h: NATS Streaming ended in 2023"),
    ],
)
def test_kinds_that_cannot_be_opened(raw, message):
    with pytest.raises(ConfigError, match=message) as found:
        load(BusConfig, raw).require_jetstream()
    assert "secret" not in str(found.value)


def test_files_that_are_not_there():
    for key in ("credsFile", "nkeyFile", "tokenFile"):
        with pytest.raises(ConfigError, match=r"/none: No such file"):
            credentials(jetstream(**{key: "/none"}), NONE)
