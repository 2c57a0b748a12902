"""Which cluster a command asks, and how objects in it are called."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click

from spine.kube import Kube, Resource
from spine.kube.naming import named

F = TypeVar("F", bound=Callable[..., Any])

CLUSTER = (
    click.option("-n", "--namespace", default="", metavar="NS",
                 help="Else that of the kubeconfig."),
    click.option("--kubeconfig", default="", metavar="FILE", help="Else KUBECONFIG, if set."),
    click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig."),
)  # fmt: skip


def cluster_options(function: F) -> F:
    """Give a command the options that name a cluster and a namespace of it."""
    for option in reversed(CLUSTER):
        function = option(function)
    return function


def kind_and_name(word: str) -> tuple[str, str]:
    """Return the halves of KIND/NAME. Raises click.UsageError."""
    kind, slash, name = word.partition("/")
    if not (kind and slash and name) or "/" in name:
        raise click.UsageError(f"{word}: give KIND/NAME.")
    return kind, name


class Fetched(NamedTuple):
    """An object of the cluster."""

    resource: Resource
    raw: bytes


async def fetch(kube: Kube, word: str, namespace: str) -> Fetched:
    """Return the object that KIND/NAME stands for. Raises UsageError, ConfigError, KubeError."""
    kind, name = kind_and_name(word)
    resource = await named(kube.discovery, kind)
    space = (namespace or kube.namespace) if resource.namespaced else ""
    return Fetched(resource, await kube.get(resource, name, space))
