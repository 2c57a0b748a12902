"""Looks at one object, in a process that may be killed.

A Sensor is compiled here, and what a tenant wrote may hang or eat memory. Everything that has to
be looked up in the cluster is only named, and held against it by who asked.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from controller.admission.changes import Edit, forbidden
from controller.admission.review import Said, cut
from controller.alone import alone
from controller.objects import Checked, check_object, model_of
from controller.together import Needs, Reference, needs
from controller.workload.limits import Allowed, beyond
from controller.workload.names import Names
from spine.lang.guard import Serve
from spine.manifest import CHECKED_KINDS, Finding, Object
from spine.model import Path, dotted

MOST = 50
"""Complaints of one object, and things that are looked up for it."""


class Asked(msgspec.Struct, frozen=True):
    """What is to be looked at."""

    kind: str
    name: str
    namespace: str
    object: msgspec.Raw
    old: msgspec.Raw = msgspec.Raw(b"null")
    """The object before; null where it is new."""
    servers: msgspec.Raw = msgspec.Raw(b"null")
    """StatefulSet of an EventBus; null where it is not known."""


class Verdict(msgspec.Struct, frozen=True):
    """What came of it."""

    errors: list[Said] = []
    warnings: list[Said] = []
    needs: Needs | None = None
    """What is to be looked up; None where the object cannot be read."""
    service: str = ""
    """Service that is made for it; empty where there is none."""
    unchanged: bool = False
    """Whether its spec is what it was."""


NOTHING = Allowed()
"""Where an administrator said nothing."""

encode = msgspec.json.Encoder().encode
decode_asked = msgspec.json.Decoder(Asked).decode
decode_allowed = msgspec.json.Decoder(Allowed).decode
decode_verdict = msgspec.json.Decoder(Verdict).decode
_decode = msgspec.json.Decoder(dict[str, Any] | None).decode


def serve(allowed: bytes) -> Serve:
    """Return what answers requests; an empty one is answered by nothing.

    `allowed` is what the administrator allows, in JSON.
    """
    import sensor.plan as _plan  # noqa: F401 -- so that the first request does not wait for it

    for kind in CHECKED_KINDS:
        model_of(kind)
    known = decode_allowed(allowed)
    return lambda request: encode(look(decode_asked(request), known)) if request else b""


def look(asked: Asked, allowed: Allowed = NOTHING) -> Verdict:
    """Look at an object."""
    manifest, before = _decode(asked.object), _decode(asked.old)
    if manifest is None:
        return Verdict()
    if before is not None and manifest.get("spec") == before.get("spec"):
        return Verdict(unchanged=True)
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        why = "required field is missing" if spec is None else "not a map"
        return Verdict([Said("spec", why)])
    checked, findings = _check(asked, manifest)
    findings += alone(checked)
    if before is not None and isinstance(before.get("spec"), dict):
        findings += forbidden(Edit(_check(asked, before)[0], checked, _decode(asked.servers)))
    errors = [_said(one) for one in findings if one.severity == "error"]
    errors += [Said("spec", cut(one)) for one in beyond(checked, allowed)]
    warnings = [_said(one) for one in findings if one.severity == "warning"]
    return Verdict(errors[:MOST], warnings[:MOST], _needs(checked), _service(checked))


def _check(asked: Asked, manifest: dict[str, Any]) -> tuple[Checked, list[Finding]]:
    raw = {key: value for key, value in manifest.items() if key != "status"}
    positions = dict.fromkeys(_paths(raw), (1, 1))
    checked, findings = check_object(
        Object(asked.kind, asked.name, asked.namespace, raw, "", positions, {})
    )
    return checked, list(findings)


def _paths(value: Any) -> Iterator[Path]:
    """Yield the paths of all that is in an object; a complaint may have to find its own."""
    left: list[tuple[Path, Any]] = [((), value)]
    while left:
        path, one = left.pop()
        inner: Iterable[tuple[Any, Any]] = ()
        if isinstance(one, dict):
            inner = one.items()
        elif isinstance(one, list):
            inner = enumerate(one)
        for step, item in inner:
            yield (*path, step)
            left.append(((*path, step), item))


def _said(finding: Finding) -> Said:
    return Said(cut(dotted(finding.path)), cut(finding.message))


def _needs(checked: Checked) -> Needs:
    found = needs(checked)
    if checked.object.kind == "Notifier" and checked.spec is not None:
        path = ("spec", "configMap")
        found.references.append(Reference("ConfigMap", checked.spec.config_map, "", path, path))
    return msgspec.structs.replace(
        found, dependencies=found.dependencies[:MOST], references=found.references[:MOST]
    )


def _service(checked: Checked) -> str:
    service = getattr(checked.spec, "service", None)
    wanted = service is not None and bool(service.ports)
    return Names("EventSource", checked.object.name).service if wanted else ""
