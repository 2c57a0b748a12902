"""Pub/Sub: an event for each message of a Google Cloud Pub/Sub subscription.

A message is acknowledged after its event is on the bus, so a crash redelivers it, and the event
of a redelivery has the same id. One that can never become an event is set aside with the reason
instead of coming again and again. Several replicas share the subscription.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator
from typing_extensions import override

from eventsource.pubsub import names
from eventsource.pubsub.connection import Connection, connect
from eventsource.pubsub.message import (
    PubSubMessage,
    Received,
    base64_body,
    event_id,
    former,
    json_body,
)
from eventsource.pubsub.puller import Puller
from eventsource.pubsub.push import Push
from eventsource.pubsub.subscription import Place, delete, ensure
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.compat.files import FILE
from spine.errors import EventError, Fault, RemoteError
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef

log = logging.getLogger(__name__)

DELETION = 5.0
"""Seconds that the deletion of the subscription may take at the end."""


class PubSub(Source):
    """Receives the messages of a subscription.

    Subscription and topic are made where they do not exist. Messages come in no particular
    order. With PUBSUB_EMULATOR_HOST in the environment they come from the emulator.
    """

    type: ClassVar[str] = "pubsub"
    example: ClassVar[Payload] = PubSubMessage(
        "12187362536987",
        b'{"bucket":"reports","name":"2026/11/sales.json","size":"5120"}',
        {"bucketId": "reports", "eventType": "OBJECT_FINALIZE", "objectId": "2026/11/sales.json"},
        "2026-11-21 08:50:00.125 +0000 UTC",
        b',"metadata":{"team":"sales"}',
    )
    project_id: Annotated[str, Field(alias="projectID")] = ""
    """Project of the subscription; that of the machine or of the credentials where it is empty."""
    topic_project_id: Annotated[str, Field(alias="topicProjectID")] = ""
    """Project of the topic; that of the subscription where it is empty."""
    topic: str = ""
    """Topic to receive from; made when it does not exist. Needed without `subscriptionID`."""
    subscription_id: Annotated[str, Field(alias="subscriptionID")] = ""
    """The subscription; made when it does not exist and the topic is given. Where it is empty, the
    name is made of the event's name and a hash of what is configured here, as in Argo Events."""
    credential_secret: SecretRef | None = None
    """Key of a service account, JSON; without it the process is who the machine says (workload
    identity, application default credentials). Read again when it changes."""
    delete_subscription_on_finish: bool = False
    """Whether the subscription is deleted when this process stops; messages published until it
    starts again are then never received, and replicas share the one that is deleted."""
    json_body: bool = False
    """Whether messages are JSON and become `body` as they are; otherwise `body` is base64."""
    max_outstanding: Annotated[int, Field(gt=0, le=10_000)] = 1_000
    """Ours: messages that are taken from the subscription and not yet on the bus. The default is
    that of Google's clients."""
    push: Push | None = None
    """Ours: messages are not pulled but posted to us, by a push subscription."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which messages become events."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.push is not None:
            pulls = (self.topic, self.topic_project_id, self.credential_secret)
            if any(pulls) or self.delete_subscription_on_finish:
                warn(
                    "push: topic, topicProjectID, credentialSecret and deleteSubscriptionOnFinish"
                    " are without effect, as nothing is pulled"
                )
            return self
        if not self.topic and not self.subscription_id:
            raise ValueError("needs topic or subscriptionID, to know what to receive")
        if self.topic_project_id and not self.topic:
            raise ValueError("topicProjectID needs topic, whose project it is")
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        if self.push is not None:
            await self.push.serve(env, self._is_ours, self._taker(env, emit))
        else:
            await self._pull(env, emit)

    async def _pull(self, env: Env, emit: Emit) -> None:
        async with connect(env, self.credential_secret) as connection:
            place = self._place(env, self.project_id or await names.project(connection.key_project))
            await ensure(connection, place)
            take = self._taker(env, emit)
            path = place.subscription
            puller = Puller(connection, path, lambda m: take(path, m), self.max_outstanding)
            try:
                await puller.run(env.listening)
            except asyncio.CancelledError:
                if self.delete_subscription_on_finish:
                    await _delete(connection, place)
                raise

    def _place(self, env: Env, project: str) -> Place:
        topic_project = (self.topic_project_id or project) if self.topic else ""
        return Place(project, self.subscription(env.name, project), topic_project, self.topic)

    def subscription(self, event: str, project: str) -> str:
        """Return the name of the subscription, that is given or made up, of an event."""
        topic_project = (self.topic_project_id or project) if self.topic else ""
        return self.subscription_id or names.subscription_id(
            event, self._members(project, topic_project)
        )

    def _members(self, project: str, topic_project: str) -> dict[str, Any]:
        """Return what Argo Events hashes for a name: its own fields, in its order."""
        secret = self.credential_secret
        rest = {
            "credentialSecret": None if secret is None or secret.name == FILE else _members(secret),
            "deleteSubscriptionOnFinish": self.delete_subscription_on_finish,
            "jsonBody": self.json_body,
            "metadata": dict(sorted(self.metadata.items())),
            "filter": {"expression": self.filter.expression} if self.filter else None,
        }
        return {
            "projectID": project,
            "topicProjectID": topic_project,
            "topic": self.topic,
            "subscriptionID": "",
            **{name: value for name, value in rest.items() if value},
        }

    def _is_ours(self, path: str) -> bool:
        """Return whether a message that was pushed is of the subscription that is named here."""
        project, _, name = path.removeprefix("projects/").partition("/subscriptions/")
        return (self.project_id or project, self.subscription_id or name) == (project, name)

    def _taker(self, env: Env, emit: Emit) -> Callable[[str, Received], Awaitable[None]]:
        """Return what makes an event of a message of a subscription. It raises BusError."""
        form = former(json_body if self.json_body else base64_body, self.metadata)
        as_it_is = former(base64_body, self.metadata)
        place = (env.object, env.name)

        async def take(subscription: str, message: Received) -> None:
            known = event_id(place, subscription, message)
            try:
                await emit(form(message), id=known)
            except EventError as exc:
                unusable = exc
            except RemoteError:
                raise
            except Exception as exc:
                log.exception("handling a message", extra={"eventName": env.name})
                unusable = EventError(f"handling message {message.id}: {type(exc).__name__}: {exc}")
            else:
                return
            await emit(as_it_is(message), id=known, time=message.time, unusable=unusable)

        return take


def _members(secret: SecretRef) -> dict[str, Any]:
    """Return a reference to a Secret as Go writes it."""
    members = {"name": secret.name, "key": secret.key, "optional": secret.optional}
    return {name: value for name, value in members.items() if value not in {"", None}}


async def _delete(connection: Connection, place: Place) -> None:
    try:
        async with asyncio.timeout(DELETION):
            await delete(connection, place)
    except (Fault, TimeoutError) as exc:
        extra = {"error": str(exc) or "no answer"}
        log.error("%s is still there, though it was to be deleted", place.subscription, extra=extra)  # noqa: TRY400 -- the text says it all
    else:
        log.info("deleted %s", place.subscription)
