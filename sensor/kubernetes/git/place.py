"""Where a repository is, and what one proves oneself with there."""

import posixpath
import re
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote, urlsplit

from spine.errors import ConfigError

_SCP = re.compile(r"(?:([A-Za-z0-9_.-]+)@)?([A-Za-z0-9_.-]+|\[[0-9a-fA-F:.]+\]):(?!:|//)(.+)")
"""The short form of SSH: USER@HOST:PATH, the path beginning at home."""
_PORTS = {"http": 80, "https": 443, "ssh": 22}


@dataclass(frozen=True, slots=True)
class Place:
    """A repository."""

    scheme: str
    """`http`, `https` or `ssh`."""
    host: str
    port: int
    path: str
    """For SSH without a slash in front where it begins at home."""
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials are good for."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The URL, without name and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        path = self.path if self.path.startswith("/") else f"/~/{self.path}"
        return f"{self.scheme}://{host}{port}{path}"

    def beside(self, url: str) -> "Place":
        """Return the place of a submodule, whose URL may begin with `./` or `../`.

        Raises ConfigError for one that is none.
        """
        if not url.startswith(("./", "../")):
            return place_of(url)
        return replace(self, path=posixpath.normpath(posixpath.join(self.path, url)))


def place_of(url: str) -> Place:
    """Read a URL, or the short form of SSH. Raises ConfigError."""
    if "://" not in url:
        short = _SCP.fullmatch(url)
        if short is None:
            raise _unusable(url)
        user, host, path = short.groups()
        return Place("ssh", host.strip("[]"), 22, path, user or "")
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise _unusable(url) from None
    if not parts.hostname or not parts.path.strip("/") or parts.query or parts.fragment:
        raise _unusable(url)
    path = (
        unquote(parts.path) if parts.scheme == "ssh" else quote(parts.path, safe="/%~+,;=@:!$&'()*")
    )
    if parts.scheme == "ssh" and path.startswith("/~/"):
        path = path.removeprefix("/~/")
    return Place(
        parts.scheme,
        parts.hostname,
        port,
        path,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _unusable(url: str) -> ConfigError:
    shown = re.sub(r"//[^/@]*@", "//", url)
    return ConfigError(
        f"reading source git {shown!r}: it is no URL of http, https or ssh",
        hint="write https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH",
    )


@dataclass(frozen=True, slots=True)
class Auth:
    """What one proves oneself with, at one origin."""

    user: str = ""
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    """Private key of SSH, as a text."""
    any_host_key: bool = False
    identity: str = field(default="", repr=False)
    """Says whether two are the same; not a secret."""
