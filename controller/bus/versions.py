"""Versions of the server that an EventBus may name, and what all buses have in common.

Argo Events lists releases of nats-server back to 2.8. Our processes need 2.10, the first with
several filters for one consumer, and a newer server reads what an older one stored; so those of
the list that are older are served by the oldest that will do, and the status says so.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from spine.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Version:
    """One release, and where it is found."""

    image: str
    metrics: str = "natsio/prometheus-nats-exporter:0.14.0"
    """Image of the exporter of metrics."""
    reloader: str = "natsio/nats-server-config-reloader:0.14.0"
    """Image of the reloader."""
    command: str = "/nats-server"
    """The program in the image."""
    note: str = ""
    """What has to be said to who asks for it."""


_OLDEST = "nats:2.10.29"


def _instead(version: str) -> Version:
    note = f"nats-server {version} is too old for Tocsin; {_OLDEST.partition(':')[2]} runs instead"
    return Version(_OLDEST, note=note)


_OLD = ("2.8.1", "2.8.1-alpine", "2.8.2", "2.8.2-alpine", "2.9.1", "2.9.12", "2.9.16")
VERSIONS: Mapping[str, Version] = {
    "latest": Version(_OLDEST),
    "2.10.29": Version(_OLDEST),
    **{version: _instead(version) for version in _OLD},
}
"""Versions as Argo Events lists them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all buses have in common."""

    versions: Mapping[str, Version] = field(default_factory=lambda: VERSIONS)
    cluster_domain: str = "cluster.local"

    def version(self, name: str) -> Version:
        """Return a version. Raises ConfigError where it is not in the list."""
        found = self.versions.get(name)
        if found is not None:
            return found
        near = difflib.get_close_matches(name, self.versions, n=1)
        known = ", ".join(sorted(self.versions))
        raise ConfigError(
            f"looking up jetstream version {name!r}: not one of {known}",
            hint=f"did you mean {near[0]}?" if near else "write latest",
        )
