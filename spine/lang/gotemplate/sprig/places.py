"""Paths and URLs."""

import posixpath
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from spine.lang import EvaluationError
from spine.lang.gotemplate.functions import mismatch
from spine.lang.govalue import decode, encode


def _base(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _clean(path: str) -> str:
    clean = posixpath.normpath(path) if path else "."
    return clean[1:] if clean.startswith("//") else clean


def _dir(path: str) -> str:
    return _clean(path[: path.rfind("/") + 1])


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    at = name.rfind(".")
    return name[at:] if at >= 0 else ""


# ---------------------------------------------------------------------------- URLs


class _Url(NamedTuple):
    scheme: str = ""
    userinfo: str = ""
    host: str = ""
    path: str = ""
    query: str = ""
    opaque: str = ""
    fragment: str = ""
    authority: bool = False
    """Whether there is `//`, with a host or without."""


_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_HOST = re.compile(r"(?:\[[^\]]*\]|(?:[^\[\]]*:)?[^\[\]:]*)(?::[0-9]*)?")
_PORT = re.compile(r":[^\]:]*[^\]:0-9][^\]:]*$")
_HOST_PERCENT = re.compile(r"%(?!25)[0-7]")
_BAD_HOST = re.compile(r'[ "<>\\^`{|}\x00-\x1f]')
_USERINFO = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_IN_PATH = "/$&+,:;=@-_.~!*'()"
_IN_FRAGMENT = "/$&+,:;=?@-_.~!*'()"


def _unescaped(text: str) -> str:
    bad = _BAD_PERCENT.search(text)
    if bad is not None:
        raise ValueError(f'invalid URL escape "{text[bad.start() : bad.start() + 3]}"')
    if "%" not in text:
        return text
    return decode(_PERCENT.sub(lambda match: bytes([int(match[1], 16)]), encode(text)))


def _parsed(text: str) -> _Url:
    """Return the parts of a URL as Go's net/url finds them. Raises ValueError."""
    if _CONTROL.search(text):
        raise ValueError("invalid control character in URL")
    rest, mark, fragment = text.partition("#")
    scheme = _scheme(rest)
    rest = rest[len(scheme) + 1 :] if scheme else rest
    rest, _, query = rest.partition("?")
    url = _Url(scheme.lower(), query=query, fragment=_unescaped(fragment) if mark else "")
    if not rest.startswith("/"):
        if scheme:
            return url._replace(opaque=rest)
        if ":" in rest.partition("/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, rest = rest[2:].partition("/")
        userinfo, host = _authority(authority)
        url = url._replace(userinfo=userinfo, host=host, authority=True)
        rest = slash + rest
    return url._replace(path=_unescaped(rest))


def _scheme(text: str) -> str:
    match = _SCHEME.match(text)
    if match is not None:
        return match[0][:-1]
    if text.startswith(":"):
        raise ValueError("missing protocol scheme")
    return ""


def _authority(text: str) -> tuple[str, str]:
    userinfo, at, host = text.rpartition("@")
    if at and not _USERINFO.fullmatch(userinfo):
        raise ValueError("invalid userinfo")
    match = _HOST.fullmatch(host)
    if match is None or _PORT.search(host):
        raise ValueError(f'invalid port or brackets in host "{host}"')
    if _HOST_PERCENT.search(host):
        raise ValueError("invalid URL escape in host name")
    bad = _BAD_HOST.search(host.replace("<", "").replace(">", "").replace('"', ""))
    if bad is not None:
        raise ValueError(f'invalid character "{bad[0]}" in host name')
    return (_user(userinfo) if at else ""), _unescaped(host)


_IN_USER = "-_.~$&+,;="


def _user(text: str) -> str:
    """Return a user and a password with what must be escaped in them, and nothing more."""
    name, colon, password = text.partition(":")
    written = quote(encode(_unescaped(name)), safe=_IN_USER)
    if colon:
        written += ":" + quote(encode(_unescaped(password)), safe=_IN_USER)
    return written


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.rpartition(":")[0] if ":" in host else host


def _url_parse(text: str) -> dict[str, Any]:
    try:
        url = _parsed(text)
    except ValueError as exc:
        raise EvaluationError(f"unable to parse url {text[:80]!r}: {exc}") from exc
    return {
        "scheme": url.scheme,
        "host": url.host,
        "hostname": _hostname(url.host),
        "path": url.path,
        "query": url.query,
        "opaque": url.opaque,
        "fragment": url.fragment,
        "userinfo": url.userinfo,
    }


def _part(given: dict[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise mismatch("string", value)
    return value


def _url_join(given: dict[str, Any] | None) -> str:
    parts = {name: _part(given or {}, name) for name in ("scheme", "host", "path", "query")}
    opaque, fragment = _part(given or {}, "opaque"), _part(given or {}, "fragment")
    userinfo = _part(given or {}, "userinfo")
    if userinfo:
        try:
            userinfo = _parsed(f"proto://{userinfo}@host").userinfo
        except ValueError as exc:
            raise EvaluationError(f"unable to parse userinfo: {exc}") from exc
    text = parts["scheme"] + ":" if parts["scheme"] else ""
    text += opaque or _located(parts["scheme"], userinfo, parts["host"], parts["path"])
    if parts["query"]:
        text += "?" + parts["query"]
    return text + "#" + quote(encode(fragment), safe=_IN_FRAGMENT) if fragment else text


def _located(scheme: str, userinfo: str, host: str, path: str) -> str:
    text = ""
    if scheme or host or userinfo:
        if host or path or userinfo:
            text = "//"
        if userinfo:
            text += userinfo + "@"
        text += quote(encode(host), safe="!$&'()*+,;=:[]<>\"-_.~")
    escaped = quote(encode(path), safe=_IN_PATH)
    if path and not path.startswith("/") and host:
        text += "/"
    if not text and ":" in path.partition("/")[0]:
        text = "./"
    return text + escaped


_PATHS: list[tuple[str, Callable[[str], Any]]] = [
    ("base", _base),
    ("clean", _clean),
    ("dir", _dir),
    ("ext", _ext),
    ("isAbs", lambda path: path.startswith("/")),
]

ALL: list[tuple[str, str, Callable[..., Any]]] = [
    *((name, "string", call) for name, call in _PATHS),
    *((f"os{name[0].upper()}{name[1:]}", "string", call) for name, call in _PATHS),
    ("urlParse", "string", _url_parse),
    ("urlJoin", "map", _url_join),
]
