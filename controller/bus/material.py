"""Keys, certificates and passwords of a bus: made once, and kept for as long as it lives.

A new encryption key makes a store unreadable, a new authority cuts servers off from each other,
and a new password shuts clients out. So what is there is kept, from wherever it is still to be
had, and what is lost and cannot be made anew is said. What must not be lost is in a Secret of its
own that no pod mounts; those of servers and clients are written again from it.
"""

import datetime as dt
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.bus.access import Login
from controller.bus.names import Names
from spine.errors import ConfigError

Texts = Mapping[str, str]

CLIENT, CONTROLLER, SYSTEM = "client-auth", "controller-auth", "system-auth"
"""Keys with a login."""
ENCRYPTION = "encryption"
"""Key with the key of the store."""
ADOPTED = "adopted"
"""Key that is there where Argo Events made the bus."""
PAIR = ("cert", "private-key", "ca-cert")
"""Keys with a certificate, its key and the authority; as Argo Events has them."""
CLUSTER_PAIR = tuple(f"cluster-{key}" for key in PAIR)
"""The same between servers."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is, by key; empty where there is none."""

    root: Texts = field(default_factory=dict)
    server: Texts = field(default_factory=dict)
    access: Texts = field(default_factory=dict)
    running: bool = False
    """Whether there are servers already."""


@dataclass(frozen=True, slots=True)
class Material:
    """All that is secret."""

    root: Texts
    """For our own Secret."""
    tls: Texts
    """Certificates of the servers, by the keys of PAIR and CLUSTER_PAIR."""

    def login(self, key: str) -> Login:
        """Return a login. Raises ConfigError."""
        return Login.of(self.root[key], f"key {key!r} of the bus's root Secret")

    @property
    def adopted(self) -> bool:
        """Whether Argo Events made the bus."""
        return ADOPTED in self.root


def material(names: Names, kept: Kept, domain: str, now: dt.datetime) -> Material:
    """Return what there is, and make what is missing.

    `domain` is that of the cluster. Raises ConfigError where something is lost for good.
    """
    root = dict(kept.root)
    if not root and CLIENT in kept.access and "ca-cert" not in kept.access:
        root[ADOPTED] = "true"
    root.setdefault(ENCRYPTION, kept.server.get(ENCRYPTION, ""))
    if not root[ENCRYPTION]:
        if kept.running:
            raise ConfigError(
                f"reading Secret {names.root!r}: the encryption key of the store is gone",
                hint="restore that Secret from a backup, or delete the StatefulSet and its claims",
            )
        root[ENCRYPTION] = word(48)
    root.setdefault(CLIENT, kept.access.get(CLIENT) or Login("tocsin", word(32)).text)
    root.setdefault(CONTROLLER, Login("tocsin-controller", word(32)).text)
    root.setdefault(SYSTEM, Login("sys", word(32)).text)
    hosts = names.hosts(domain)
    tls = _pair(PAIR, kept, root, names, (hosts, hosts), now)
    tls |= _pair(CLUSTER_PAIR, kept, root, names, (hosts, ()), now)
    return Material(root, tls)


def _pair(
    keys: Sequence[str],
    kept: Kept,
    root: dict[str, str],
    names: Names,
    hosts: tuple[Sequence[str], Sequence[str]],
    now: dt.datetime,
) -> dict[str, str]:
    """Return a certificate, its key and its authority; what is missing is made.

    `hosts` are the names that it gets when it is made, and those that it must have to be kept.
    """
    try:
        from controller.bus import certificates
    except ModuleNotFoundError as exc:
        raise ConfigError(f"making certificates: {exc}", hint="pip install cryptography") from exc

    found = {key: kept.server.get(key, "") for key in keys}
    if all(found.values()) and certificates.good(found[keys[0]], hosts[1], now):
        return found
    if "ca-key" not in root or not certificates.good(root.get("ca-cert", ""), (), now):
        root["ca-cert"], root["ca-key"] = certificates.authority(f"{names.servers}-ca", now)
    signer = root["ca-cert"], root["ca-key"]
    made, key = certificates.certificate(names.servers, hosts[0], now, signer)
    return dict(zip(keys, (made, key, root["ca-cert"]), strict=True))


def word(length: int) -> str:
    """Return a random word that no format takes for anything but a text."""
    letters = string.ascii_letters
    more = (secrets.choice(letters + string.digits) for _ in range(length - 1))
    return secrets.choice(letters) + "".join(more)
