"""The least rights of an object in its own namespace, for an account that is made for it.

Only there: an account of the controller's making that reached further would let whoever may
create a Sensor in one namespace act in all others.
"""

from controller.cluster import Cluster
from controller.objects import Checked
from controller.rights import Right, rights_of
from controller.roles import Named, named
from spine.errors import ConfigError


async def rights_in(cluster: Cluster, checked: Checked) -> tuple[list[Named], list[str]]:
    """Return the rights that are given, and what is to be said of those that are not.

    Raises KubeError where the API server cannot be asked how kinds are called.
    """
    needs = rights_of(checked)
    found = {}
    for right in needs.rights:
        resource = await _resource(cluster, right)
        if resource is not None:
            found[right.group, right.kind or right.resource] = resource
    rights = named(needs.rights, found)
    given = [right for right in rights if right.namespace == checked.object.namespace]
    outside = sorted({right.plural for right in rights if right not in given})
    notes = list(needs.notes)
    if outside:
        notes.append(
            f"its service account has no rights on {', '.join(outside)} outside of its namespace:"
            " print them with tocsin rbac, and set template.serviceAccountName"
        )
    return given, notes


async def _resource(cluster: Cluster, right: Right) -> tuple[str, bool] | None:
    """Return plural of a kind and whether it is in namespaces; None where nobody serves it."""
    discovery = cluster.kube.discovery
    try:
        if right.kind:
            version = f"{right.group}/{right.version}" if right.group else right.version
            resource = await discovery.kind(version, right.kind)
        else:
            resource = await discovery.plural(right.group, right.version, right.resource)
    except ConfigError:
        return None
    return resource.plural, resource.namespaced
