"""The service NATS: which subjects and servers can never be reached."""

import pytest

from services.nats import Nats
from spine.errors import ConfigError
from spine.model import load


@pytest.mark.parametrize("subject", ["", "a b", "a.*", "a.>", ">", "a.", "a..b"])
def test_no_subject_to_publish_to(subject):
    assert load(Nats, {"url": "nats://n"}).problem(subject)


@pytest.mark.parametrize("subject", ["a", "a.b", "told.shop-1", "a>b"])
def test_subjects(subject):
    assert load(Nats, {"url": "nats://n"}).problem(subject) == ""


@pytest.mark.parametrize("url", ["nats://", "nats://a:1, ://", "nats://[::1"])
async def test_url_that_is_none(env, url):
    with pytest.raises(ConfigError, match="reading url of service nats"):
        async with load(Nats, {"url": url}).open(env):
            pass


async def test_server_that_egress_does_not_allow(env, monkeypatch):
    monkeypatch.setenv("TOCSIN_EGRESS", "*.example.com")
    with pytest.raises(ConfigError, match="TOCSIN_EGRESS does not allow broker"):
        async with load(Nats, {"url": "nats://n.example.com, nats://broker:4222"}).open(env):
            pass
