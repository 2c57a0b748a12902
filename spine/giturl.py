"""URLs of repositories, as people write them: https, ssh, and the short form USER@HOST:PATH."""

import re
from urllib.parse import urlsplit

_SHORT = re.compile(r"(?:[\w.-]+@)?([\w.-]+):(?!/?/)(.+)")


def https_url(url: str) -> str:
    """Return the https URL of a repository; empty where it has none.

    `git@host:a/b` and `ssh://git@host:22/a/b` are `https://host/a/b`; http stays as it is. Name
    and password are left out.
    """
    host, path, scheme = _parts(url)
    return f"{scheme}://{host}/{path}" if host and path else ""


def full_name(url: str) -> tuple[str, str] | None:
    """Return owner and name of a repository: the first two parts of its path; None without both.

    Neither is a step of a path, such as `..`, so that they can be put into one.
    """
    _, path, _ = _parts(url)
    parts = [part for part in path.removesuffix("/").removesuffix(".git").split("/") if part]
    known = len(parts) > 1 and not {".", ".."} & set(parts)
    return (parts[0], parts[1]) if known else None


def _parts(url: str) -> tuple[str, str, str]:
    """Return host with port, path without its first slash, and scheme; empty for what is none."""
    short = None if "://" in url else _SHORT.fullmatch(url.strip())
    if short is not None:
        return short[1], short[2].lstrip("/"), "https"
    try:
        split = urlsplit(url.strip())
        host, port = split.hostname or "", split.port
    except ValueError:
        return "", "", ""
    scheme = split.scheme.removeprefix("git+")
    if scheme not in {"http", "https", "ssh", "git"}:
        return "", "", ""
    host = f"[{host}]" if ":" in host else host
    if scheme in {"http", "https"}:
        return (f"{host}:{port}" if port else host), split.path.lstrip("/"), scheme
    return host, split.path.lstrip("/"), "https"  # the port is that of ssh
