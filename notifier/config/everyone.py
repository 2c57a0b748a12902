"""`subscriptions`: what every object with certain labels is subscribed to."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from notifier.config import destinations
from notifier.config.configuration import GROUP, Destination, Subscription
from notifier.config.entry import Entry
from notifier.config.shapes import SubscriptionShape
from notifier.config.shaping import Shaping, near
from notifier.selectors import ALL, compile_selector
from services.service import Service
from spine.errors import ConfigError
from spine.model import Path


class Known(NamedTuple):
    """What there is to subscribe to, and what would be there but for an error of its own."""

    triggers: Collection[str]
    services: dict[str, Service]
    groups: Collection[str]
    directory: Collection[str]
    default_triggers: tuple[str, ...]
    broken: Collection[str]

    def trigger_problem(self, name: str) -> str:
        """Return what is wrong with the name of a trigger, empty where nothing is."""
        if name in self.triggers:
            return ""
        if f"trigger.{name}" in self.broken:
            return f"trigger {name!r} is disabled by an error of its own"
        return f"there is no trigger {name!r}{near(name, list(self.triggers))}"

    def destination_problem(self, destination: Destination) -> str:
        """Return why a destination cannot be used, empty where it can."""
        if f"service.{destination.service}" in self.broken:
            return f"service {destination.service!r} is disabled by an error of its own"
        return destinations.unknown(destination, self.services, self.groups)

    def recipient_problem(self, destination: Destination) -> str:
        """Return what is known against a recipient that is no template."""
        recipient = destination.recipient
        service = self.services.get(destination.service)
        if service is None or "{{" in recipient:
            return ""
        for prefix, known in ((f"{GROUP}:", self.groups), ("user:", self.directory)):
            if recipient.startswith(prefix):
                name = recipient.removeprefix(prefix)
                found = name in known
                return "" if found else f"there is no {recipient!r}{near(name, list(known))}"
        return service.problem(recipient)


def read_subscriptions(entry: Entry, known: Known) -> tuple[Subscription, ...]:
    """Return the global subscriptions; a bad one is left out, after errors."""
    shaping = Shaping()
    value = entry.value
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if not isinstance(value, list):
        entry.warn((), "a list is meant here: begin each item with -")
    out: list[Subscription] = []
    for index, item in enumerate(items):
        path: Path = (index,) if isinstance(value, list) else ()
        shape = shaping.model(SubscriptionShape, item, path, what=entry.key)
        if shape is not None:
            out += subscription_of(entry, path, shape, known)
    entry.take(shaping)
    return tuple(out)


def subscription_of(
    entry: Entry, path: Path, shape: SubscriptionShape, known: Known
) -> Iterator[Subscription]:
    """Yield the subscription of an item, none where nothing of it can be used."""
    for wrong, right in (("recipient", "recipients"), ("trigger", "triggers")):
        if getattr(shape, wrong):
            entry.warn((*path, wrong), f"write {right}; Argo's engine does not look at {wrong}")
    try:
        selector = compile_selector(shape.selector) if shape.selector.strip() else ALL
    except ConfigError as exc:
        entry.error((*path, "selector"), str(exc))
        return
    found = tuple(dict.fromkeys(_destinations(entry, path, shape, known)))
    triggers = tuple(_triggers(entry, path, shape, known))
    if found and triggers:
        yield Subscription(found, triggers, selector)


def _destinations(
    entry: Entry, path: Path, shape: SubscriptionShape, known: Known
) -> Iterator[Destination]:
    if not shape.recipients and not shape.recipient:
        entry.warn((*path, "recipients"), "it has no recipients, so nobody is told")
    for key in ("recipients", "recipient"):
        for index, item in enumerate(getattr(shape, key)):
            for destination in destinations.of_shape(item):
                problem = known.destination_problem(destination)
                against = problem or known.recipient_problem(destination)
                if against:
                    entry.error((*path, key, index), against)
                if not problem:
                    yield destination


def _triggers(entry: Entry, path: Path, shape: SubscriptionShape, known: Known) -> Iterator[str]:
    named = [*shape.triggers, *shape.trigger]
    if not named:
        if not known.default_triggers:
            entry.warn((*path, "triggers"), "it names no trigger, and there are no defaultTriggers")
        yield from known.default_triggers
    for index, name in enumerate(named):
        problem = known.trigger_problem(name)
        if problem:
            entry.error((*path, "triggers", index), problem)
        else:
            yield name
