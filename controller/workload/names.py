"""Names of what is made for an object, as Argo Events has them where clients rely on them.

A name that is too long for where it goes is cut and ends in a hash of the whole, so two never
become one.
"""

import hashlib
import re
from dataclasses import dataclass

from controller.cache import LABEL

WORDS = {"EventSource": "eventsource", "Sensor": "sensor", "Notifier": "notifier"}
"""What stands for a kind in names, and is the verb of its process."""
LABEL_LENGTH = 63
"""Characters of a label's value, and of a name that is a part of a domain."""
NAME_LENGTH = 253
"""Characters of most names."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of all that belongs to one object."""

    kind: str
    name: str

    @property
    def word(self) -> str:
        """What stands for the kind."""
        return WORDS[self.kind]

    @property
    def deployment(self) -> str:
        """Its Deployment, and its PodDisruptionBudget."""
        return shortened(f"{self.name}-{self.word}", NAME_LENGTH)

    @property
    def config(self) -> str:
        """The Secret with the object and its bus."""
        return shortened(f"{self.word}-{self.name}-config", NAME_LENGTH)

    @property
    def service(self) -> str:
        """The Service in front of an EventSource."""
        return domain(f"{self.name}-eventsource-svc")

    @property
    def account(self) -> str:
        """The service account that is made for it, its Role and its RoleBinding."""
        return shortened(f"{self.word}-{self.name}", NAME_LENGTH)

    @property
    def selector(self) -> dict[str, str]:
        """Labels that its pods bear and nobody else's."""
        value = shortened(self.name, LABEL_LENGTH)
        return {LABEL[0]: LABEL[1], f"{self.word}-name": value, "owner-name": value}

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all that is made for it."""
        return {
            **self.selector,
            "app.kubernetes.io/name": self.word,
            "app.kubernetes.io/instance": shortened(self.name, LABEL_LENGTH),
            "app.kubernetes.io/part-of": "tocsin",
            "app.kubernetes.io/managed-by": "tocsin-controller",
        }


def shortened(text: str, length: int) -> str:
    """Return a name that is no longer than that."""
    if len(text) <= length:
        return text
    return f"{text[: length - 9].rstrip('-.')}-{_hash(text)}"


def domain(text: str) -> str:
    """Return a name that can be a part of a domain: a letter, then letters, digits and `-`."""
    plain = re.sub(r"[^a-z0-9-]", "-", text.lower())
    if not plain[:1].isalpha():
        plain = f"x-{plain}"
    plain = plain.rstrip("-")
    if plain == text:
        return shortened(text, LABEL_LENGTH)
    return f"{plain[: LABEL_LENGTH - 9].rstrip('-')}-{_hash(text)}"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
