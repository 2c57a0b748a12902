"""The subscription: used where it exists, made where a topic is known, with clear complaints.

What Argo Events does, in an order that takes as few permissions as can be: a topic is looked at
only where it is missing.
"""

import logging
from dataclasses import dataclass

from eventsource.pubsub.connection import Connection, PubSubError
from spine.errors import SourceError

log = logging.getLogger(__name__)

CONSUME = "pubsub.subscriptions.consume"
SUBSCRIBER, EDITOR = "roles/pubsub.subscriber", "roles/pubsub.editor"
_DELETED = "_deleted-topic_"


@dataclass(frozen=True, slots=True)
class Place:
    """A subscription and its topic."""

    project: str
    subscription_id: str
    topic_project: str = ""
    topic_id: str = ""
    """Empty where the manifest names none."""

    @property
    def subscription(self) -> str:
        """Its path."""
        return f"projects/{self.project}/subscriptions/{self.subscription_id}"

    @property
    def topic(self) -> str:
        """Path of the topic; empty where there is none."""
        if not self.topic_id:
            return ""
        return f"projects/{self.topic_project}/topics/{self.topic_id}"


async def ensure(connection: Connection, place: Place) -> None:
    """See to it that there is a subscription that we may pull from. Raises SourceError."""
    if not await _exists(connection, place):
        await _create(connection, place)
    elif place.topic:
        await _check_topic(connection, place)


async def _exists(connection: Connection, place: Place) -> bool:
    if not connection.real:  # the emulator has no permissions
        return await _topic_of(connection, place) is not None
    try:
        held = await connection.ask(
            "TestIamPermissions", resource=place.subscription, permissions=[CONSUME]
        )
    except PubSubError as exc:
        if exc.status == "NOT_FOUND":
            return False
        raise
    if CONSUME in held.permissions:
        return True
    # Google answers the same for what does not exist: a second look tells the one from the other
    try:
        found = await _topic_of(connection, place)
    except PubSubError as exc:
        if exc.status != "PERMISSION_DENIED":
            raise
        found = ""
    if found is None:
        return False
    raise SourceError(
        f"pulling from {place.subscription}: no permission {CONSUME}",
        hint=f"grant {connection.account} the role {SUBSCRIBER} on the subscription",
    )


async def _topic_of(connection: Connection, place: Place) -> str | None:
    """Return the topic of the subscription, None where there is no subscription."""
    try:
        found = await connection.ask("GetSubscription", subscription=place.subscription)
    except PubSubError as exc:
        if exc.status == "NOT_FOUND":
            return None
        raise
    return str(found.topic)


async def _check_topic(connection: Connection, place: Place) -> None:
    try:
        topic = await _topic_of(connection, place)
    except PubSubError as exc:
        if exc.status != "PERMISSION_DENIED":
            raise
        log.warning(
            "cannot see which topic %s is of (grant roles/pubsub.viewer to have it checked)",
            place.subscription,
        )
        return
    if topic == _DELETED:
        raise SourceError(
            f"pulling from {place.subscription}: its topic was deleted",
            hint="delete the subscription, so that it is made anew",
        )
    if topic not in {place.topic, None}:
        raise SourceError(
            f"pulling from {place.subscription}: this subscription belongs to wrong topic {topic},"
            f" not to {place.topic}",
            hint="write the right topic and topicProjectID, or another subscriptionID",
        )


async def _create(connection: Connection, place: Place) -> None:
    if not place.topic:
        raise SourceError(
            f"pulling from {place.subscription}: it does not exist",
            hint="write topic, so that it is made, or check subscriptionID and projectID",
        )
    if await _subscribed(connection, place):
        return
    grant = f"{EDITOR} on project {place.topic_project}, or make the topic yourself"
    try:
        await connection.ask("CreateTopic", grant=grant, name=place.topic)
    except PubSubError as exc:
        if exc.status != "ALREADY_EXISTS":  # a replica was faster
            raise
    else:
        log.info("made topic %s", place.topic)
    if not await _subscribed(connection, place):
        raise SourceError(f"creating {place.subscription}: there is no topic {place.topic}")


async def _subscribed(connection: Connection, place: Place) -> bool:
    """Make the subscription; return False where it has no topic."""
    grant = f"{EDITOR} on project {place.project}"
    if place.topic_project != place.project:
        grant += f" and {SUBSCRIBER} on {place.topic}"
    try:
        await connection.ask(
            "CreateSubscription", grant=grant, name=place.subscription, topic=place.topic
        )
    except PubSubError as exc:
        if exc.status == "ALREADY_EXISTS":  # a replica was faster
            return True
        if exc.status == "NOT_FOUND" and not exc.no_project:
            return False
        raise
    log.info("made %s; messages come from now on", place.subscription)
    return True


async def delete(connection: Connection, place: Place) -> None:
    """Delete the subscription. Raises SourceError."""
    grant = f"{EDITOR} on the subscription"
    try:
        await connection.ask("DeleteSubscription", grant=grant, subscription=place.subscription)
    except PubSubError as exc:
        if exc.status != "NOT_FOUND":
            raise
