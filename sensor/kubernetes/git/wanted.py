"""Which commit of a repository is meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sensor.artifact import GitArtifact
from spine.errors import ConfigError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A commit, by its id or by references of which the first that is there counts."""

    commit: bytes = b""
    references: tuple[bytes, ...] = ()

    @property
    def shown(self) -> str:
        """For messages."""
        return (self.commit or self.references[0]).decode()

    def of(self, references: Mapping[bytes, bytes], what: str) -> bytes:
        """Return the id of what is meant. Raises ConfigError where it is not there."""
        if self.commit:
            return self.commit
        for name in self.references:
            if name in references:
                return references[name]
        if self.references == (b"HEAD",):
            raise ConfigError(f"{what}: it has no HEAD: it is empty", hint="or set branch")
        raise Missing(f"{what}: there is no {self.shown}", hint="look at ref, tag and branch")

    @property
    def prefixes(self) -> Sequence[bytes]:
        """What references to ask for; some servers send all, whatever is asked."""
        return self.references or (b"refs/none/",)


class Missing(ConfigError):
    """A repository has no such reference."""


def wanted_of(artifact: GitArtifact) -> Wanted:
    """Return what is meant: ref before tag before branch, and HEAD where nothing is said."""
    if artifact.ref:
        return _of_ref(artifact.ref)
    if artifact.tag:
        return Wanted(references=_names(artifact.tag, "refs/tags/"))
    if artifact.branch:
        return Wanted(references=_names(artifact.branch, "refs/heads/"))
    return Wanted(references=(b"HEAD",))


def _of_ref(ref: str) -> Wanted:
    if _COMMIT.fullmatch(ref):
        return Wanted(commit=ref.encode())
    if ref == "HEAD" or ref.startswith("refs/"):
        return Wanted(references=(ref.encode(),))
    return Wanted(references=_names(ref, "refs/", "refs/tags/", "refs/heads/"))


def _names(name: str, *before: str) -> tuple[bytes, ...]:
    if name.startswith("refs/"):
        return (name.encode(),)
    return tuple(f"{one}{name}".encode() for one in before)
