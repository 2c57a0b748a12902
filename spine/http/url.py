"""URLs as Go reads and sends them.

A manifest may hold a URL that no strict parser takes: spaces and letters beyond ASCII in the
path are escaped, the query is sent as it stands, the host is turned into its ASCII form. What
Go's client refuses is refused here, when the trigger is planned where that is possible.
"""

import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_AS_IS = re.compile(r"[A-Za-z0-9\-_.~!$&'()*+,;=:@\[\]/%]*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\]|[^\[\]:]*)(?::(\d*))?")
_BAD_HOST = re.compile(r"[\s<>\"\\^`{|}%/?#@]")
_PORTS = {"http": 80, "https": 443}


class Url(NamedTuple):
    """The parts of an HTTP URL, ready to be sent."""

    scheme: str
    user: str
    """`user:password`, or empty."""
    host: str
    """ASCII; an IPv6 address stands in brackets."""
    port: int | None
    """None where the URL names none."""
    target: str
    """Path and query on the request line."""

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who is talked to: credentials go nowhere else."""
        return self.scheme, self.host.lower(), self.port or _PORTS[self.scheme]

    @property
    def text(self) -> str:
        """The URL without credentials."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def shown(self) -> str:
        """The URL for messages: without credentials and query, which may hold a token."""
        path, _, query = self.target.partition("?")
        return f"{self.scheme}://{self.authority}{path}" + ("?..." if query else "")


def parse(text: str) -> Url:
    """Return the parts of a URL. Raises ValueError with what is wrong with it."""
    if _CONTROL.search(text):
        raise ValueError("it holds a control character")
    text = text.partition("#")[0]
    scheme = _SCHEME.match(text)
    name = scheme[1].lower() if scheme else ""
    if name not in _PORTS:
        raise ValueError(f"scheme {name!r} is not http or https")
    assert scheme is not None
    rest = text[scheme.end() :]
    if not rest.startswith("//"):
        raise ValueError("it names no host")
    rest, question, query = rest[2:].partition("?")
    authority, slash, path = rest.partition("/")
    user, host, port = _authority(authority)
    target = _path(slash + path) or "/"
    query = re.sub(r"\s", "%20", query)
    return Url(name, user, host, port, target + question + query)


def _authority(text: str) -> tuple[str, str, int | None]:
    user, _, place = text.rpartition("@")
    match = _HOST.fullmatch(place)
    if match is None:
        raise ValueError(f"{place!r} is no host and port")
    host = match[1]
    if not host:
        raise ValueError("it names no host")
    if not host.startswith("[") and _BAD_HOST.search(host):
        raise ValueError(f"{host!r} is no host")
    if match[2] and int(match[2]) > 0xFFFF:  # noqa: PLR2004 -- the largest port
        raise ValueError(f"port {match[2]} is out of range")
    return user, _ascii(host), int(match[2]) if match[2] else None


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    import idna

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as exc:
        raise ValueError(f"{host!r} is no host: {exc}") from exc


def _path(path: str) -> str:
    if _BAD_ESCAPE.search(path):
        raise ValueError("its path holds a % that begins no escape")
    if _PATH_AS_IS.fullmatch(path):
        return path
    return quote_from_bytes(unquote_to_bytes(path), safe="/$&+,:;=@~-_.")


def join(base: Url, location: str) -> Url:
    """Return where a redirect leads. Raises ValueError for what is no http or https URL."""
    from urllib.parse import urljoin

    return parse(urljoin(base.text, location))
