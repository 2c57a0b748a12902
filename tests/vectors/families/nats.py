"""NATS triggers: the messages that they publish."""

from vectors.corpus import events
from vectors.families.plans import action_of
from vectors.outcome import Outcome, Vector


def published(given: Vector) -> Outcome:
    content = action_of(given["trigger"], events(given["events"])).content
    return Outcome.of([{"subject": content["subject"], "body": content.get("body", "")}])
