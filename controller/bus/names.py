"""Names of what is made for an EventBus, as Argo Events has them, so that a bus can be taken over.

The name of a StatefulSet goes into labels and host names of its pods, which leaves it 52
characters; all other names here begin with it.
"""

from dataclasses import dataclass

from controller.cache import LABEL
from controller.workload.names import LABEL_LENGTH, domain, shortened

LONGEST = 52
"""Characters of the name of a StatefulSet."""
CLIENT, CLUSTER, METRICS, MONITOR = 4222, 6222, 7777, 8222
"""Ports of the servers."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of all that belongs to one bus."""

    bus: str
    namespace: str

    @property
    def servers(self) -> str:
        """The StatefulSet, its PodDisruptionBudget, and what its pods are called."""
        return shortened(domain(f"eventbus-{self.bus}-js"), LONGEST)

    @property
    def service(self) -> str:
        """The headless Service that gives each server its host name."""
        return f"{self.servers}-svc"

    @property
    def client(self) -> str:
        """The Service that leads clients to servers that are ready."""
        return f"{self.servers}-client"

    @property
    def config(self) -> str:
        """The ConfigMap of the servers."""
        return f"{self.servers}-config"

    @property
    def secret(self) -> str:
        """The Secret of the servers: accounts, keys, certificates."""
        return f"{self.servers}-server"

    @property
    def access(self) -> str:
        """The Secret of clients: their login, and the authority to trust."""
        return f"{self.servers}-client-auth"

    @property
    def root(self) -> str:
        """The Secret of what must never be lost; no pod sees it."""
        return f"{self.servers}-root"

    @property
    def volume(self) -> str:
        """The claim of each server."""
        return f"{self.servers}-vol"

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{self.client}.{self.namespace}.svc:{CLIENT}"

    def pods(self, count: int) -> list[str]:
        """Return the names of the servers."""
        return [f"{self.servers}-{number}" for number in range(count)]

    def host(self, pod: str) -> str:
        """Return the host name of a server."""
        return f"{pod}.{self.service}.{self.namespace}.svc"

    def hosts(self, cluster_domain: str) -> list[str]:
        """Return all names under which a certificate must stand."""
        found = []
        for name in (self.client, self.service, f"*.{self.service}"):
            host = f"{name}.{self.namespace}.svc"
            found += [host, f"{host}.{cluster_domain}"]
        return [*found, "localhost"]

    @property
    def selector(self) -> dict[str, str]:
        """Labels that the servers bear and nobody else."""
        value = shortened(self.bus, LABEL_LENGTH)
        return {LABEL[0]: LABEL[1], "eventbus-name": value, "owner-name": value}

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all that is made for the bus."""
        return {
            **self.selector,
            "app.kubernetes.io/name": "eventbus",
            "app.kubernetes.io/instance": shortened(self.bus, LABEL_LENGTH),
            "app.kubernetes.io/part-of": "tocsin",
            "app.kubernetes.io/managed-by": "tocsin-controller",
        }
