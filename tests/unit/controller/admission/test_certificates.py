"""The webhook's certificate on its way from one to the next."""

import datetime as dt

import pytest
from cryptography import x509

from controller.admission.certificates import (
    CERTIFICATE,
    KEY,
    NEXT,
    NEXT_KEY,
    TRUST,
    Terms,
    advanced,
    ends,
    usable,
)

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOSTS = ["tocsin-webhook.tocsin.svc", "localhost"]
TERMS = Terms()


def after(days):
    return NOW + dt.timedelta(days=days)


def step(data, days=0.0, *, trusted=False, hosts=HOSTS):
    return advanced(data, hosts, after(days), TERMS, trusted=trusted)


def signed(certificate, trust):
    """Return which authorities of a bundle signed a certificate."""
    found = x509.load_pem_x509_certificate(certificate.encode())
    names = [one.subject for one in x509.load_pem_x509_certificates(trust.encode())]
    return [name == found.issuer for name in names]


@pytest.fixture(scope="module")
def first():
    return step({})


def test_the_first_is_made_at_once(first):
    assert set(first) == {CERTIFICATE, KEY, TRUST}
    assert usable(first, HOSTS, NOW)
    assert signed(first[CERTIFICATE], first[TRUST]) == [True]
    assert ends(first) == after(90)


def test_nothing_is_done_before_its_time(first):
    assert step(first) == first
    assert step(first, 53) == first
    assert step(first, 53, trusted=True) == first


def test_the_next_is_announced_trusted_and_then_served(first):
    announced = step(first, 55)
    assert (announced[CERTIFICATE], announced[KEY]) == (first[CERTIFICATE], first[KEY])
    assert signed(announced[NEXT], announced[TRUST]) == [True, False]
    assert signed(first[CERTIFICATE], announced[TRUST]) == [False, True]
    assert step(announced, 56) == announced  # nobody trusts it yet

    served = step(announced, 56, trusted=True)
    assert set(served) == {CERTIFICATE, KEY, TRUST}
    assert (served[CERTIFICATE], served[KEY]) == (announced[NEXT], announced[NEXT_KEY])
    assert served[TRUST] == announced[TRUST]  # somebody may still serve the one before
    assert step(served, 57, trusted=True) == served
    assert usable(served, HOSTS, after(140))

    third = step(served, 55 + 55)
    assert signed(third[NEXT], third[TRUST]) == [True, False]
    assert signed(served[CERTIFICATE], third[TRUST]) == [False, True]
    assert signed(first[CERTIFICATE], third[TRUST]) == [False, False]


def test_all_is_done_before_two_thirds_of_the_life():
    assert TERMS.renewed < 2 / 3
    assert TERMS.overlap < TERMS.life.total_seconds() * (2 / 3 - TERMS.renewed) / 10


def test_an_announced_one_that_is_spoilt_is_made_again(first):
    announced = step(first, 55)
    again = step({**announced, NEXT_KEY: first[KEY]}, 56, trusted=True)
    assert again[CERTIFICATE] == first[CERTIFICATE]
    assert again[NEXT] != announced[NEXT]
    assert signed(again[NEXT], again[TRUST]) == [True, False]


@pytest.mark.parametrize("key", [CERTIFICATE, KEY, TRUST])
@pytest.mark.parametrize("value", ["", "x", None])
def test_what_cannot_be_served_is_made_anew(first, key, value):
    spoilt = {k: v for k, v in {**first, key: value}.items() if v is not None}
    assert not usable(spoilt, HOSTS, NOW)
    made = step(spoilt)
    assert usable(made, HOSTS, NOW)
    assert made[CERTIFICATE] != first[CERTIFICATE]


def test_a_certificate_of_other_hosts_or_times_is_none(first):
    assert not usable(first, ["elsewhere.svc"], NOW)
    assert not usable(first, HOSTS, after(91))
    assert not usable(first, HOSTS, after(-1))
    made = step(first, hosts=["elsewhere.svc"])
    assert usable(made, ["elsewhere.svc"], NOW)
