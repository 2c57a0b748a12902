"""Checks objects as `tocsin lint` and admission do, once for each state of an object.

A Sensor is compiled for it, which takes a moment and memory: it is done in a thread, and what was
compiled is not kept.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace

from controller.alone import alone
from controller.objects import Checked, check_object
from controller.reconciler import Manifest
from spine.manifest import Finding, Object
from spine.model import dotted

KEPT = 256
"""Objects whose check is remembered."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of checking an object."""

    checked: Checked
    """Without a plan."""
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


class Checker:
    """Remembers what came of checking."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, str], Looked] = OrderedDict()

    async def check(self, manifest: Manifest) -> Looked:
        """Return what is to be said of an object as it is now."""
        metadata = manifest["metadata"]
        key = metadata["uid"], metadata.get("generation", 0), _outside(manifest)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = await asyncio.to_thread(look, manifest)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


def _outside(manifest: Manifest) -> str:
    """Return what of the metadata is looked at and no part of the generation."""
    metadata = manifest["metadata"]
    return repr((metadata.get("labels"), metadata.get("annotations")))


def look(manifest: Manifest) -> Looked:
    """Check one object; nothing is raised, whatever is in it."""
    metadata = manifest["metadata"]
    if not isinstance(manifest.get("spec"), dict):
        manifest = {**manifest, "spec": {}}
    raw = {key: value for key, value in manifest.items() if key != "status"}
    obj = Object(manifest["kind"], metadata["name"], metadata["namespace"], raw, "", {}, {})
    checked, findings = check_object(obj, lenient=True)
    findings += alone(checked)
    return Looked(
        replace(checked, plan=None),
        tuple(_text(one) for one in findings if one.severity == "error"),
        tuple(_text(one) for one in findings if one.severity == "warning"),
    )


def _text(finding: Finding) -> str:
    """Return a finding without the place in a file, which a stored object does not have."""
    return f"{dotted(finding.path)}: {finding.message}" if finding.path else finding.message
