"""Which kinds an API server has: plural, scope and verbs of each, asked once and kept.

Nothing is guessed from a name: `Endpoints`, `Gateway` and whatever a CRD calls itself are looked
up. A kind that is not known is looked for again, as a CRD may have come meanwhile.
"""

import asyncio
import difflib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import msgspec

from spine.errors import ConfigError, KubeError

FRESH = 600.0
"""Seconds for which what was found is used without asking again."""
AGAIN = 2.0
"""Seconds before a group in which a kind was not found is asked again."""

Get = Callable[[str], Awaitable[bytes]]
"""Gets a path of the API."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind that an API server serves."""

    group: str
    """Empty for the core group."""
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    subresources: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()
    """What people may call it instead: singular and short names."""

    @property
    def api_version(self) -> str:
        """As it stands in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the path of an object, or of all; without a namespace where it has none."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


class _Entry(msgspec.Struct):
    name: str
    kind: str = ""
    namespaced: bool = False
    verbs: list[str] = []
    singular_name: str = msgspec.field(name="singularName", default="")
    short_names: list[str] = msgspec.field(name="shortNames", default_factory=list)


class _Entries(msgspec.Struct):
    resources: list[_Entry] = []


class _Version(msgspec.Struct):
    version: str


class _Group(msgspec.Struct, rename="camel"):
    name: str = ""
    preferred_version: _Version | None = None
    versions: list[_Version] = []


class _Groups(msgspec.Struct):
    groups: list[_Group] = []


@dataclass(slots=True)
class _Known:
    at: float
    resources: tuple[Resource, ...]


@dataclass(slots=True, eq=False)
class Discovery:
    """Looks kinds up."""

    get: Get
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = field(default_factory=dict)
    _preferred: dict[str, tuple[float, str]] = field(default_factory=dict)
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """Of versions that are being asked for, be they there or not."""

    async def kind(self, api_version: str, kind: str) -> Resource:
        """Return the resource of a manifest. Raises ConfigError for one that nobody serves."""
        group, _, version = api_version.rpartition("/")
        return await self._find(group, version, lambda one: one.kind, kind)

    async def plural(self, group: str, version: str, plural: str) -> Resource:
        """Return a resource by its name in URLs; an empty version is the preferred one."""
        version = version or await self.preferred(group)
        return await self._find(group, version, lambda one: one.plural, plural)

    async def preferred(self, group: str) -> str:
        """Return the version of a group that the server prefers."""
        if not group:
            return "v1"
        found = self._preferred.get(group)
        if found is None or self.clock() - found[0] > FRESH:
            try:
                answer = msgspec.json.decode(await self.get(f"/apis/{group}"), type=_Group)
            except KubeError as exc:
                raise await self._no_group(group, exc) from exc
            chosen = answer.preferred_version or answer.versions[0]
            found = self._preferred[group] = (self.clock(), chosen.version)
        return found[1]

    async def _find(
        self, group: str, version: str, named: Callable[[Resource], str], name: str
    ) -> Resource:
        resources: tuple[Resource, ...] = ()
        for patience in (FRESH, AGAIN):
            resources = await self.resources(group, version, patience)
            for one in resources:
                if named(one) == name:
                    return one
        where = f"{group}/{version}" if group else version
        names = [named(one) for one in resources]
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        alike = [n for n in names if n.lower() == name.lower()]
        did = f"did you mean {(alike or near)[0]}" if alike or near else "is its CRD installed"
        raise ConfigError(
            f"looking for {name} in {where}: the API server has no such kind", hint=did
        )

    async def groups(self) -> list[tuple[str, list[str]]]:
        """Return the API groups, core first, each with its versions, the preferred one first."""
        found = msgspec.json.decode(await self.get("/apis"), type=_Groups).groups
        return [("", ["v1"]), *((one.name, _versions(one)) for one in found)]

    async def resources(
        self, group: str, version: str, patience: float = FRESH
    ) -> tuple[Resource, ...]:
        """Return all kinds of a version, asked for again after so many seconds."""
        key = f"{group}/{version}"
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            known = self._known.get(key)
            if known is None or self.clock() - known.at > patience:
                path = f"/apis/{key}" if group else f"/api/{version}"
                try:
                    entries = msgspec.json.decode(await self.get(path), type=_Entries)
                except KubeError as exc:
                    if exc.status != 404:  # noqa: PLR2004 -- not found
                        raise
                    raise await self._no_group(group, exc, version) from exc
                known = _Known(self.clock(), _joined(group, version, entries.resources))
                self._known[key] = known
            return known.resources

    async def _no_group(self, group: str, exc: KubeError, version: str = "") -> Exception:
        if exc.status != 404:  # noqa: PLR2004 -- not found
            return exc
        groups = msgspec.json.decode(await self.get("/apis"), type=_Groups).groups
        for one in groups:
            if one.name == group:
                known = ", ".join(v.version for v in one.versions)
                return ConfigError(
                    f"looking for {group}/{version}: the API server has no such version",
                    hint=f"it has {known}",
                )
        near = difflib.get_close_matches(group, [one.name for one in groups], n=1)
        return ConfigError(
            f"looking for API group {group!r}: the API server does not have it",
            hint=f"did you mean {near[0]}" if near else "is its CRD installed",
        )


def _versions(group: _Group) -> list[str]:
    first = group.preferred_version.version if group.preferred_version else ""
    return sorted((one.version for one in group.versions), key=lambda version: version != first)


def _joined(group: str, version: str, entries: list[_Entry]) -> tuple[Resource, ...]:
    """Return resources with their subresources, which the API lists beside them."""
    below: dict[str, set[str]] = {}
    for entry in entries:
        parent, slash, sub = entry.name.partition("/")
        if slash:
            below.setdefault(parent, set()).add(sub)
    return tuple(
        Resource(
            group=group,
            version=version,
            kind=entry.kind,
            plural=entry.name,
            namespaced=entry.namespaced,
            verbs=frozenset(entry.verbs),
            subresources=frozenset(below.get(entry.name, ())),
            aliases=frozenset({entry.singular_name, *entry.short_names} - {""}),
        )
        for entry in entries
        if "/" not in entry.name
    )
