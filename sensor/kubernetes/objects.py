"""What an action wants to be there: the object, its kind in this cluster, and its place."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sensor.changes import put_changes
from sensor.kubernetes.sources import Sources
from spine.errors import ConfigError, ParameterError, TriggerError
from spine.kube import Kube, Resource


@dataclass(frozen=True, slots=True)
class Target:
    """An object and where it belongs."""

    made: dict[str, Any]
    resource: Resource
    namespace: str
    """Empty where its kind has none."""
    name: str
    """Empty where the API server is to make one."""

    @property
    def shown(self) -> str:
        """For messages, such as `Ingress playground/shop-ing`."""
        name = self.name or (self.made.get("metadata") or {}).get("generateName", "")
        return f"{self.resource.kind} {self.namespace + '/' if self.namespace else ''}{name}"


async def target_of(
    content: Mapping[str, Any], kube: Kube, namespace: str, sources: Sources
) -> Target:
    """Return the object of an action's content.

    Raises TriggerError for what cannot be read now, and ConfigError for a kind nobody serves.
    """
    made = content["object"] if "object" in content else await _fetched(content, sources)
    resource = await kube.discovery.kind(made.get("apiVersion", ""), made["kind"])
    metadata = made.get("metadata") or {}
    place = (metadata.get("namespace") or namespace) if resource.namespaced else ""
    return Target(made, resource, place, metadata.get("name") or "")


async def _fetched(content: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """Read the source of an object and put the settled values into it."""
    try:
        document = await sources.read(content["source"])
        document = put_changes(document, content.get("changes", ()))
        made = orjson.loads(document)
    except (ConfigError, ParameterError, orjson.JSONDecodeError) as exc:
        raise TriggerError(f"reading the object: {exc}") from exc
    if not isinstance(made, dict) or not isinstance(made.get("kind"), str):
        raise TriggerError("reading the object: it has no kind", hint="write apiVersion and kind")
    return made
