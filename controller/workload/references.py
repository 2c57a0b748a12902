"""The Secrets and ConfigMaps that a specification refers to, which its pods have to see."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from controller.objects import walk
from spine.compat import FILE
from spine.model import Model
from spine.secrets import KeyRef, SecretRef

Kind = Literal["ConfigMap", "Secret"]


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A Secret or ConfigMap, and what is read of it."""

    kind: Kind
    name: str
    keys: tuple[str, ...]
    optional: bool
    """Whether pods can do without it."""


def references(specs: Iterable[Model]) -> list[Reference]:
    """Return what specifications refer to, each Secret and ConfigMap once, by kind and name."""
    keys: dict[tuple[Kind, str], set[str]] = {}
    needed: set[tuple[Kind, str]] = set()

    def visit(_: Any, model: Model) -> None:
        if isinstance(model, KeyRef) and model.name and model.name != FILE:
            kind: Kind = "Secret" if isinstance(model, SecretRef) else "ConfigMap"
            keys.setdefault((kind, model.name), set()).add(model.key)
            if not model.optional:
                needed.add((kind, model.name))

    for spec in specs:
        walk(spec, (), visit)
    return sorted(
        Reference(kind, name, tuple(sorted(found)), (kind, name) not in needed)
        for (kind, name), found in keys.items()
    )
