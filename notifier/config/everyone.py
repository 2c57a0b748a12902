"""`subscriptions`: what every object with certain labels is subscribed to."""

from collections.abc import Iterator

from notifier.config import destinations
from notifier.config.configuration import Destination, Subscription
from notifier.config.entry import Entry
from notifier.config.known import Known
from notifier.config.shapes import SubscriptionShape
from notifier.config.shaping import Shaping
from notifier.selectors import ALL, compile_selector
from spine.errors import ConfigError
from spine.model import Path


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
            if entry.full:
                return
            for destination in destinations.of_shape(item):
                problem = known.destination_problem(destination)
                against = problem or known.recipient_problem(destination)
                if against:
                    entry.error((*path, key, index), against)
                if not problem:
                    yield destination


def _triggers(entry: Entry, path: Path, shape: SubscriptionShape, known: Known) -> Iterator[str]:
    single = [shape.trigger] if isinstance(shape.trigger, str) else shape.trigger
    named = [*shape.triggers, *(one for one in single if one)]
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
