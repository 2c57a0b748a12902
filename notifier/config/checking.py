"""Names of what is not there, and what nobody can subscribe to: told, and not refused."""

from collections.abc import Collection, Iterable, Mapping

from notifier.config import destinations
from notifier.config.configuration import Destination, Digest, Scope
from notifier.config.entry import Entry
from notifier.config.known import Known
from notifier.config.shaping import near
from notifier.templates import Template
from spine.model import Path

LONGEST_ANNOTATION = 63
"""Letters of the part of an annotation's name behind the slash, which Kubernetes allows."""


def check_blocks(entry: Entry, template: Template, known: Known) -> None:
    """Say which blocks of a template are for services that are not there."""
    for kind, block in template.blocks.items():
        if isinstance(block, Mapping):
            names = [name for name, one in known.services.items() if one.kind == kind]
            for name in sorted(block.keys() - names):
                if f"service.{name}" not in known.broken:
                    why = f"there is no service {name!r} of type {kind}"
                    entry.warn((kind, name), f"{why}{near(name, names)}")


def check_trigger(entry: Entry, name: str, services: Collection[str]) -> None:
    """Say whether a trigger cannot be named in an annotation."""
    longest = max((f"subscribe.{name}.{one}" for one in services), key=len, default="")
    if "." in name:
        why = "a name with a dot cannot stand in an annotation subscribe.TRIGGER.SERVICE"
    elif len(longest) > LONGEST_ANNOTATION:
        why = f"the annotation {longest} has {len(longest)} letters, 63 are allowed"
    else:
        return
    entry.say("note", (), f"{why}: subscribe to it in …/subscriptions")


def check_groups(entry: Entry, groups: Mapping[str, tuple[Destination, ...]], known: Known) -> None:
    """Say which members of groups cannot be told."""
    for name, members in groups.items():
        for member in () if entry.full else members:
            problem = known.destination_problem(member) or known.recipient_problem(member)
            if problem:
                entry.error((name,), f"{member}: {problem}")
        if not members:
            entry.warn((name,), "nobody is in it")


def check_scopes(entry: Entry, scopes: Iterable[Scope], known: Known) -> None:
    """Say which services and triggers are meant by something and are not there."""
    for scope in scopes:
        for service in scope.services:
            check_service(entry, (), service, known)
        for trigger in scope.triggers:
            if not _pattern(trigger) and f"trigger.{trigger}" not in known.broken:
                problem = known.trigger_problem(trigger)
                if problem:
                    entry.warn((), problem)


def check_service(entry: Entry, path: Path, name: str, known: Known) -> None:
    """Say whether a service that is meant by something is not there."""
    if not _pattern(name) and f"service.{name}" not in known.broken:
        problem = destinations.unknown(Destination(name), known.services, ())
        if problem:
            entry.warn(path, problem)


def _pattern(text: str) -> bool:
    return any(letter in text for letter in "*?[")


def with_templates(
    entry: Entry, digests: Iterable[Digest], templates: Collection[str]
) -> Iterable[Digest]:
    """Yield the digests whose templates are there, after errors for the others."""
    for digest in digests:
        if not digest.template or digest.template in templates:
            yield digest
        else:
            hint = near(digest.template, list(templates))
            entry.error((), f"there is no template {digest.template!r}{hint}")
