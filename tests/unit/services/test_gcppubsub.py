"""Pub/Sub: topics, and credentials that cannot be read."""

import sys
from dataclasses import dataclass

import pytest

from services import gcppubsub
from services.gcppubsub import Gcppubsub
from spine.errors import ConfigError, TriggerError
from spine.model import load


def test_topics():
    service = load(Gcppubsub, {"project": "p", "topic": "t"})
    assert service.path("") == "projects/p/topics/t"
    assert service.path("u") == "projects/p/topics/u"
    assert service.path("projects/q/topics/u") == "projects/q/topics/u"
    assert load(Gcppubsub, {"project": "p"}).problem("") == "no topic: name one, or write topic"


@dataclass(frozen=True)
class Bad:
    name: str
    key: str
    why: str

    def __str__(self) -> str:
        return self.name


BAD = [
    Bad("no file", "/does/not/exist", "No such file"),
    Bad("no path", "\0", "it is no path"),
    Bad("broken", '{"top-secret": ', "it is not JSON"),
    Bad("of a user", '{"type": "authorized_user"}', "its type is 'authorized_user'"),
    Bad("without a key", '{"type": "service_account", "private_key": "top-secret"}', "missing"),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
async def test_key_that_is_none(env, monkeypatch, bad: Bad):
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    with pytest.raises(ConfigError, match=r"reading keyFile of gcppubsub 'beep'") as caught:
        async with load(Gcppubsub, {"project": "p", "keyFile": bad.key}).open(env):
            pass
    assert bad.why in str(caught.value)
    assert "top-secret" not in str(caught.value)


async def test_no_credentials_anywhere(env, monkeypatch, tmp_path):
    monkeypatch.delenv("PUBSUB_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(TriggerError, match=r"finding credentials for gcppubsub.*write keyFile"):
        async with load(Gcppubsub, {"project": "p"}).open(env):
            pass


async def test_missing_library_is_named(env, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.pubsub_v1.types", None)
    gcppubsub._api.cache_clear()
    try:
        with pytest.raises(ConfigError, match=r"pip install 'tocsin\[gcp\]'"):
            async with load(Gcppubsub, {"project": "p"}).open(env):
                pass
    finally:
        gcppubsub._api.cache_clear()
