"""Headers in payloads: Go's names, arrays, order, and no credential."""

import json

import pytest

from eventsource import headers


def shown(*lines: tuple[bytes, bytes]) -> str:
    return headers.encode(lines, len({name for name, _ in lines}) == len(lines)).decode()


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        (b"x-github-event", "X-Github-Event"),
        (b"etag", "Etag"),
        (b"x--y", "X--Y"),
        (b"1a-b2c", "1a-B2c"),
        (b"content-md5", "Content-Md5"),
    ],
)
def test_names_are_those_of_go(name, canonical):
    assert headers.canonical(name) == canonical


def test_sorted_without_host_and_transfer_encoding():
    lines = (
        (b"host", b"example.com"),
        (b"x-b", b"2"),
        (b"transfer-encoding", b"chunked"),
        (b"accept-encoding", b"gzip"),
        (b"accept", b"*/*"),
    )
    assert shown(*lines) == '{"Accept":["*/*"],"Accept-Encoding":["gzip"],"X-B":["2"]}'


def test_repeated_names_become_one_array_in_the_order_of_arrival():
    lines = ((b"x-a", b"2"), (b"b", b"0"), (b"x-a", b"1"), (b"host", b"h"))
    assert shown(*lines) == '{"B":["0"],"X-A":["2","1"]}'


def test_sorting_is_by_name_and_not_by_what_follows_it():
    assert shown((b"accept!", b"1"), (b"accept", b"2")) == '{"Accept":["2"],"Accept!":["1"]}'


@pytest.mark.parametrize("name", [b"authorization", b"proxy-authorization"])
def test_credentials_never_show(name):
    once = shown((name, b"Bearer hunter2"))
    twice = shown((name, b"Bearer hunter2"), (name, b"Basic hunter2"))
    assert "hunter2" not in once + twice
    assert list(json.loads(once).values()) == [["*** Masked Auth Secret ***"]]


def test_empty_authorization_stays_empty():
    assert shown((b"authorization", b"")) == '{"Authorization":[""]}'


def test_go_escapes():
    assert shown((b"x", b'<a href="&">')) == '{"X":["\\u003ca href=\\"\\u0026\\"\\u003e"]}'


def test_a_byte_that_is_no_utf8_becomes_one_replacement():
    assert json.loads(shown((b"x", b"a\xff\xfeb\xc3\xa9"))) == {"X": ["a\ufffd\ufffdbé"]}


def test_memory_is_bounded_and_long_values_are_not_kept():
    for n in range(headers._REMEMBERED + 10):
        shown((b"x-request-id", b"%d" % n))
    assert len(headers._lines) <= headers._REMEMBERED
    long = (b"x", b"v" * 10_000)
    assert json.loads(shown(long)) == {"X": ["v" * 10_000]}
    assert long not in headers._lines
