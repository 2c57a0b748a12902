"""URLs: what goes onto the request line, and what is refused."""

import pytest

from spine.http import url as gourl


@pytest.mark.parametrize(
    ("text", "authority", "target"),
    [
        ("http://host", "host", "/"),
        ("http://host:8080/a/b?c=d#e", "host:8080", "/a/b?c=d"),
        ("HTTPS://Host/a", "Host", "/a"),
        ("http://host/ a b ", "host", "/%20a%20b%20"),
        ("http://host/å?q=ø", "host", "/%C3%A5?q=ø"),
        ("http://host/a%20b", "host", "/a%20b"),
        ("http://host/a!b", "host", "/a!b"),
        ("http://host/?q=a b", "host", "/?q=a%20b"),
        ("http://host?q=1", "host", "/?q=1"),
        ("http://[::1]:80/x", "[::1]:80", "/x"),
        ("http://bücher.example/x", "xn--bcher-kva.example", "/x"),
        ("http://host:", "host", "/"),
    ],
)
def test_parse(text: str, authority: str, target: str) -> None:
    url = gourl.parse(text)
    assert (url.authority, url.target) == (authority, target)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "scheme '' is not http or https"),
        ("svc.local/x", "scheme '' is not http or https"),
        ("ftp://host/x", "scheme 'ftp' is not http or https"),
        ("http:host", "it names no host"),
        ("http:///x", "it names no host"),
        ("http://host:port/", "'host:port' is no host and port"),
        ("http://host:70000/", "port 70000 is out of range"),
        ("http://ho st/", "'ho st' is no host"),
        ("http://host/%zz", "its path holds a % that begins no escape"),
        ("http://host/a\nb", "it holds a control character"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        gourl.parse(text)
    assert str(caught.value) == problem


def test_credentials_are_kept_apart_and_never_shown() -> None:
    url = gourl.parse("https://me:pw@host/path?token=x")
    assert url.user == "me:pw"
    assert url.text == "https://host/path?token=x"
    assert url.shown == "https://host/path?..."


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("/b", "http://host:81/b"),
        ("c?x=1", "http://host:81/a/c?x=1"),
        ("//other/d", "http://other/d"),
        ("https://other/d", "https://other/d"),
    ],
)
def test_join(location: str, text: str) -> None:
    assert gourl.join(gourl.parse("http://host:81/a/b"), location).text == text


def test_a_redirect_leads_nowhere_else_than_http() -> None:
    with pytest.raises(ValueError, match="scheme 'file'"):
        gourl.join(gourl.parse("http://host/"), "file:///etc/passwd")


def test_origin_knows_default_ports() -> None:
    assert gourl.parse("http://Host/").origin == gourl.parse("http://host:80/x").origin
    assert gourl.parse("https://host/").origin != gourl.parse("http://host/").origin
