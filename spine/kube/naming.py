"""Kinds by what people call them: `deploy`, `Deployment`, `deployments.apps`, `deployment.v1.apps`.

Names are compared without regard to letter case. Of several kinds of one name that of the core
group counts, then that of the group that the API server lists first.
"""

import asyncio
import difflib
import re
from collections.abc import Iterable

from spine.errors import ConfigError, KubeError
from spine.kube.discovery import Discovery, Resource

_VERSION = re.compile(r"v[0-9]+(?:(?:alpha|beta)[0-9]+)?")


async def named(discovery: Discovery, text: str) -> Resource:
    """Return the resource of a name. Raises ConfigError with what was probably meant."""
    name, _, rest = text.partition(".")
    version, _, group = rest.partition(".")
    groups = await discovery.groups()
    if rest and _VERSION.fullmatch(version):
        groups = [(given, [version]) for given, versions in groups if given == group]
    elif rest:
        groups = [(given, versions) for given, versions in groups if given == rest]
    known: list[Resource] = []
    for newest in (True, False):  # a kind may be left in an older version only
        found = await _all(discovery, groups, newest=newest)
        for one in found:
            if _is(one, name.lower()):
                return one
        known += found
    raise ConfigError(
        f"looking for a kind called {text!r}: the API server has none", hint=_hint(name, known)
    )


async def _all(
    discovery: Discovery, groups: Iterable[tuple[str, list[str]]], *, newest: bool
) -> list[Resource]:
    wanted = [
        (group, version)
        for group, versions in groups
        for version in (versions[:1] if newest else versions[1:])
    ]
    found = await asyncio.gather(*(_of(discovery, group, version) for group, version in wanted))
    return [one for some in found for one in some]


async def _of(discovery: Discovery, group: str, version: str) -> tuple[Resource, ...]:
    try:
        return await discovery.resources(group, version)
    except KubeError:  # a group that another server answers for, and that is away
        if group:
            return ()
        raise


def _is(resource: Resource, name: str) -> bool:
    names = {resource.plural, resource.kind.lower(), *(a.lower() for a in resource.aliases)}
    return name in names


def _hint(name: str, known: list[Resource]) -> str:
    names = {word for one in known for word in (one.plural, one.kind, *one.aliases)}
    near = difflib.get_close_matches(name, sorted(names), n=1)
    return f"did you mean {near[0]}" if near else "is its CRD installed"
