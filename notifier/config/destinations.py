"""Destinations as they are written: `service:recipient`, or a map with both."""

from collections.abc import Collection, Iterable, Iterator

from notifier.config.configuration import GROUP, Destination
from notifier.config.shapes import DestinationShape
from notifier.config.shaping import near


def split(text: str) -> Destination:
    """Split `service:recipient` at the first colon; the recipient may have more, as a URL has.

    (Argo's engine keeps what stands between the first two.)
    """
    service, _, recipient = text.partition(":")
    return Destination(service.strip(), recipient.strip())


def of_shape(shape: str | DestinationShape) -> Iterator[Destination]:
    """Yield the destinations of an item: without recipients one with none."""
    if isinstance(shape, str):
        yield split(shape)
        return
    for recipient in shape.all or [""]:
        yield Destination(shape.service, recipient)


def unknown(destination: Destination, services: Collection[str], groups: Collection[str]) -> str:
    """Return what is wrong with a destination by its names, empty where nothing is."""
    service, recipient = destination
    if service == GROUP:
        if recipient in groups or "{{" in recipient:
            return ""
        return f"there is no group {recipient!r}{near(recipient, list(groups))}"
    if service in services:
        return ""
    if not service:
        return "a service is missing"
    known = [*services, *([GROUP] if groups else [])]
    return f"there is no service {service!r}{near(service, known) or _listed(known)}"


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return f" (there is {', '.join(found)})" if found else " (there is none at all)"
