"""Rights as the objects of Kubernetes' RBAC: accounts, roles and bindings, in YAML."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from controller.rights import Right, Rights

API = "rbac.authorization.k8s.io"


class Named(NamedTuple):
    """A right with the plural of its kind and its place."""

    namespace: str
    group: str
    plural: str
    verb: str
    name: str = ""
    """The only object that is meant; empty: all of the kind."""


def guessed_plural(kind: str) -> str:
    """Return what the plural of a kind probably is; only the API server knows."""
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith(("s", "x", "ch", "sh")):
        return f"{lower}es"
    if lower.endswith("y") and lower[-2:-1] not in set("aeiou"):
        return f"{lower[:-1]}ies"
    return f"{lower}s"


def named(
    rights: Iterable[Right], found: Mapping[tuple[str, str], tuple[str, bool]]
) -> list[Named]:
    """Return rights by plural.

    `found` tells plural and whether it is in namespaces, by group and kind.
    """
    out = set()
    for right in rights:
        plural, namespaced = found.get((right.group, right.kind or right.resource), ("", True))
        plural = plural or right.resource or guessed_plural(right.kind)
        space = right.namespace if namespaced else ""
        out.add(Named(space, right.group, plural, right.verb, right.name))
    return sorted(out)


def documents(needs: Rights, rights: Iterable[Named]) -> Iterator[dict[str, Any]]:
    """Yield the objects that give an account these rights."""
    account = needs.account or needs.name
    name = f"{needs.kind.lower()}-{needs.name}"
    if account != "default":
        yield {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": account, "namespace": needs.namespace},
        }
    subject = {"kind": "ServiceAccount", "name": account, "namespace": needs.namespace}
    for namespace, group in groupby(sorted(rights), key=lambda right: right.namespace):
        prefix = "" if namespace else "Cluster"
        unique = name if namespace else f"{needs.namespace}-{name}"
        metadata = {"name": unique} | ({"namespace": namespace} if namespace else {})
        version = f"{API}/v1"
        yield {
            "apiVersion": version,
            "kind": f"{prefix}Role",
            "metadata": metadata,
            "rules": rules(group),
        }
        yield {
            "apiVersion": version,
            "kind": f"{prefix}RoleBinding",
            "metadata": metadata,
            "subjects": [subject],
            "roleRef": {"apiGroup": API, "kind": f"{prefix}Role", "name": unique},
        }


def rules(rights: Iterable[Named]) -> list[dict[str, Any]]:
    """Return the rules of a Role: kinds of one group with the same verbs together."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.group, right.plural, right.name), []).append(right.verb)
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, plural, name), words in verbs.items():
        alike.setdefault((group, name, tuple(sorted(words))), []).append(plural)
    return [
        {"apiGroups": [group], "resources": sorted(plurals)}
        | ({"resourceNames": [name]} if name else {})
        | {"verbs": list(words)}
        for (group, name, words), plurals in sorted(alike.items())
    ]
