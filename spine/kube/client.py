"""Asks for Kubernetes objects and changes them, whatever their kind.

Objects are JSON, in and out. Every method raises KubeError where the API refuses or is away, and
ConfigError for a kind that it does not have.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from spine.kube.discovery import Discovery, Resource
from spine.kube.session import JSON, Session, open_session

PatchType = Literal[
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
]

APPLY = "application/apply-patch+yaml"
FIELD_MANAGER = "tocsin"
PAGE = 500
"""Objects in one answer to a list."""


class ListMeta(msgspec.Struct, rename="camel"):
    """What is said of a list as a whole."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class Listed(msgspec.Struct):
    """One page of a list."""

    metadata: ListMeta
    items: list[msgspec.Raw] = []


class _Listed(msgspec.Struct):
    """The same as a server writes it: an empty list of metadata is null."""

    metadata: ListMeta
    items: list[msgspec.Raw] | None = None


_decode_list = msgspec.json.Decoder(_Listed).decode


class Kube:
    """One API server, seen with one identity."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.discovery = Discovery(session.request_get)

    @property
    def namespace(self) -> str:
        """Where namespaced objects go that name none."""
        return self.session.namespace

    async def get(
        self, resource: Resource, name: str, namespace: str = "", *, subresource: str = ""
    ) -> bytes:
        """Return an object."""
        return await self.session.request("GET", resource.path(namespace, name, subresource))

    async def page(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        query: Mapping[str, str] | None = None,
        accept: str = JSON,
    ) -> Listed:
        """Return one page of a list."""
        path = resource.path(namespace)
        given = {"limit": str(PAGE), **(query or {})}
        accept = accept.format("List")
        raw = await self.session.request("GET", path, query=given, accept=accept)
        found = _decode_list(raw)
        return Listed(found.metadata, found.items or [])

    async def create(
        self, resource: Resource, body: bytes, namespace: str = "", *, dry_run: bool = False
    ) -> bytes:
        """Create an object and return it."""
        return await self.session.request(
            "POST", resource.path(namespace), body=body, query=_query(dry_run=dry_run)
        )

    async def update(
        self,
        resource: Resource,
        name: str,
        body: bytes,
        namespace: str = "",
        *,
        subresource: str = "",
    ) -> bytes:
        """Replace an object; the body's resourceVersion, if any, must be the current one."""
        path = resource.path(namespace, name, subresource)
        return await self.session.request("PUT", path, body=body, query=_query())

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: bytes,
        namespace: str = "",
        *,
        patch_type: str = "application/merge-patch+json",
        subresource: str = "",
    ) -> bytes:
        """Change an object and return it."""
        path = resource.path(namespace, name, subresource)
        return await self.session.request(
            "PATCH", path, body=body, content_type=patch_type, query=_query()
        )

    async def apply(  # noqa: PLR0913 -- what to apply, and how
        self,
        resource: Resource,
        name: str,
        body: bytes,
        namespace: str = "",
        *,
        force: bool = True,
        subresource: str = "",
        manager: str = FIELD_MANAGER,
    ) -> bytes:
        """Apply an object on the server's side and return it."""
        query = {"fieldManager": manager, "force": str(force).lower()}
        path = resource.path(namespace, name, subresource)
        return await self.session.request("PATCH", path, body=body, content_type=APPLY, query=query)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
        uid: str = "",
        version: str = "",
    ) -> bytes:
        """Delete an object; with a uid or a resourceVersion, only the one that bears it."""
        options: dict[str, object] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        only = {"uid": uid, "resourceVersion": version}
        if uid or version:
            options["preconditions"] = {key: value for key, value in only.items() if value}
        path = resource.path(namespace, name)
        return await self.session.request("DELETE", path, body=msgspec.json.encode(options))


def _query(*, dry_run: bool = False) -> dict[str, str]:
    query = {"fieldManager": FIELD_MANAGER}
    return {**query, "dryRun": "All"} if dry_run else query


@asynccontextmanager
async def open_kube(kubeconfig: str = "", context: str = "") -> AsyncIterator[Kube]:
    """Connect to an API server. Raises ConfigError where there is no usable configuration."""
    async with open_session(kubeconfig, context) as session:
        yield Kube(session)
