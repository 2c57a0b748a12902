"""Where a broker is: the URLs that Argo Events takes."""

from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

_PLAIN = {"tcp": 1883, "mqtt": 1883, "ws": 80}
_ENCRYPTED = {"ssl": 8883, "tls": 8883, "mqtts": 8883, "tcps": 8883, "mqtt+ssl": 8883, "wss": 443}


class Place(NamedTuple):
    """A broker's address."""

    host: str
    port: int
    encrypted: bool
    path: str
    """Path of its websockets; empty for plain TCP."""
    username: str
    password: str

    @property
    def shown(self) -> str:
        """The address without name and password."""
        return f"{self.host}:{self.port}"


def place_of(url: str) -> Place:
    """Return the address that a URL names; without a scheme it is TCP. Raises ValueError."""
    found = urlsplit(url if "://" in url else f"tcp://{url}")
    scheme = found.scheme.lower()
    default = {**_PLAIN, **_ENCRYPTED}.get(scheme)
    if default is None:
        known = ", ".join([*_PLAIN, *_ENCRYPTED])
        raise ValueError(f"scheme {scheme} is none of {known}")
    if not found.hostname:
        raise ValueError("write a URL with a host, as in tcp://mqtt.argo-events.svc:1883")
    return Place(
        host=found.hostname,
        port=_port(found, default),
        encrypted=scheme in _ENCRYPTED,
        path=(found.path or "/") if scheme in {"ws", "wss"} else "",
        username=unquote(found.username or ""),
        password=unquote(found.password or ""),
    )


def _port(found: SplitResult, default: int) -> int:
    try:
        return found.port or default
    except ValueError:
        raise ValueError("its port is not a number below 65536") from None
