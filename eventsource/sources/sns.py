"""SNS: an event for each message of a topic, that SNS posts to us.

A message is answered 200 once its event is stored, so SNS sends it again after anything else, and
one that comes twice is one event. Who says to be SNS must prove it: by a signature with a
certificate of AWS, and by the topic that is meant here.
"""

import asyncio
import logging
import re
from contextlib import AsyncExitStack
from typing import ClassVar, Self

from pydantic import field_validator, model_validator
from typing_extensions import override

from eventsource import headers, web
from eventsource.answers import SUCCESS, Answer
from eventsource.aws.account import OnAws, opened
from eventsource.aws.notice import CONFIRMATION, FAREWELL, NOTIFICATION, Envelope, SnsNotice, read
from eventsource.aws.signature import Refused, Seen, Verifier, open_certificates
from eventsource.aws.subscription import Subscription, kept
from eventsource.bodies import event_id, metadata_member
from eventsource.context import WebhookContext
from eventsource.refusing import refusing
from eventsource.source import Emit, Payload
from spine.errors import ConfigError, EventError, Fault, SourceError
from spine.fields import Flag, Name
from spine.lang import gojson
from spine.model import warn
from spine.runtime import Env

log = logging.getLogger(__name__)

TAKEN = Answer(200)
NOT_NOW = Answer(503, "the signature cannot be verified now\n", retry_after="5")
NOT_CONFIRMED = Answer(503, "the subscription cannot be confirmed now\n", retry_after="5")
_EXAMPLE_ARN = "arn:aws:sns:eu-central-1:123:name"
_TOPIC = re.compile(r"arn:aws[\w-]*:sns:(?P<region>[\w-]+):\d+:(?P<name>[\w-]+(?:\.fifo)?)")


class Sns(OnAws):
    """Receives the messages of a topic; needs `pip install 'tocsin[aws]'`.

    The subscription is made, confirmed and looked after: policies must grant `sns:Subscribe`,
    `sns:ConfirmSubscription` and `sns:Unsubscribe`.
    """

    type: ClassVar[str] = "sns"
    answers: ClassVar[bool] = True
    example: ClassVar[Payload] = SnsNotice(
        b'{"Content-Type":["text/plain; charset=UTF-8"],'
        b'"X-Amz-Sns-Message-Type":["Notification"],'
        b'"X-Amz-Sns-Topic-Arn":["arn:aws:sns:eu-central-1:123456789012:orders"]}',
        b'{"Type":"Notification","MessageId":"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",'
        b'"TopicArn":"arn:aws:sns:eu-central-1:123456789012:orders","Subject":"order",'
        b'"Message":"{\\"order\\":42}","Timestamp":"2026-11-21T08:50:00.125Z",'
        b'"SignatureVersion":"2","Signature":"EXAMPLEpH+...==",'
        b'"SigningCertURL":"https://sns.eu-central-1.amazonaws.com/'
        b'SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem",'
        b'"UnsubscribeURL":"https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe"}',
        b',"metadata":{"team":"shop"}',
    )
    webhook: WebhookContext
    """Where SNS posts to; `url` is what the subscription is made with."""
    topic_arn: Name
    """ARN of the topic."""
    validate_signature: bool | None = None
    """Whether messages must be signed by AWS. Where it is not written they must, unless there is
    an `endpoint`, as what stands in for AWS has no certificate of it."""
    keep_subscription: Flag = False
    """Ours: whether the subscription stays when this process stops, and what is published meanwhile
    comes as far as SNS tries again. To be set where there are several replicas: they share it."""

    @field_validator("topic_arn")
    @classmethod
    def _is_a_topic(cls, arn: str) -> str:
        found = _TOPIC.fullmatch(arn)
        if found is None:  # it may be filled in later, so it is an error only where it runs
            warn(f"topicArn: {arn!r}: no ARN of a topic, such as {_EXAMPLE_ARN}")
        elif found["name"].endswith(".fifo"):
            raise ValueError(
                "SNS posts no messages of a .fifo topic: subscribe a queue to it, and use sqs"
            )
        return arn

    @model_validator(mode="after")
    def _whole(self) -> Self:
        found = _TOPIC.fullmatch(self.topic_arn)
        if found is not None and found["region"] != self.region:
            raise ValueError(f"topicArn is in {found['region']}, and region says {self.region}")
        if not self.webhook.url:
            warn("webhook: url: it is not set, so nothing is subscribed: do that by hand")
        if not self.verifies:
            warn(
                "validateSignature: without it whoever reaches the endpoint can make up events"
                " (write validateSignature: true)"
            )
        return self

    @property
    def verifies(self) -> bool:
        """Whether messages must be signed."""
        return not self.endpoint if self.validate_signature is None else self.validate_signature

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        if _TOPIC.fullmatch(self.topic_arn) is None:
            raise ConfigError(
                f"subscribing to {self.topic_arn!r}: it is no ARN of a topic",
                hint=f"write one such as {_EXAMPLE_ARN}",
            )
        hook, url = self.webhook, self.webhook.hook_url
        verifier = None
        if self.verifies:
            certificates = await env.shared.get("sns certificates", open_certificates)
            verifier = Verifier(self.region, certificates)
        doing = f"subscribing to {self.topic_arn}"
        async with opened("sns", self.access(env), doing):
            pass  # what cannot work is known at once
        subscription = Subscription(
            env, self.topic_arn, url, lambda: opened("sns", self.access(env), doing)
        )
        async with AsyncExitStack() as stack:
            route = hook.route(env, self._handler(env, emit, verifier, subscription))
            await stack.enter_async_context(
                web.serve(env, int(hook.port), route, hook.certificate(env))
            )
            if url:
                remove = not self.keep_subscription
                await stack.enter_async_context(kept(subscription, remove=remove))
            env.listening()
            await asyncio.Event().wait()  # until cancelled

    def _handler(
        self, env: Env, emit: Emit, verifier: Verifier | None, subscription: Subscription
    ) -> web.Handler:
        refuse = refusing(env, "a message that is not one of this topic")
        metadata, seen = metadata_member(self.metadata), Seen()

        async def handle(request: web.Request) -> Answer:
            try:
                envelope = await self._read(request, verifier)
            except ValueError as exc:
                return refuse(Answer(400, f"{exc}\n"))
            except Refused as exc:
                return refuse(Answer(403, f"{exc}\n"))
            except SourceError as exc:
                extra = {"eventName": env.name, "error": str(exc)}
                log.warning("messages have to wait", extra=extra)
                return NOT_NOW
            if envelope.type != NOTIFICATION:
                return await _of_subscription(envelope, subscription)
            number = envelope.message_id
            if number not in seen:
                lines = request.lines
                header = headers.encode(lines, len(lines) == len(request.fields))
                payload = SnsNotice(header, gojson.compact(request.body), metadata)
                known = event_id((env.object, env.name, self.topic_arn, number))
                await _tell(emit, payload, known)
                seen.add(number)
            return SUCCESS

        return handle

    async def _read(self, request: web.Request, verifier: Verifier | None) -> Envelope:
        """Return the envelope of a message of this topic.

        Raises ValueError for what is none, Refused for one of somebody else, SourceError where
        nobody can say.
        """
        if request.fields.get(b"x-amz-sns-rawdelivery", b"").lower() == b"true":
            raise ValueError("a raw message: turn RawMessageDelivery of the subscription off")
        envelope = read(request.body)
        if envelope.topic_arn != self.topic_arn:
            raise Refused("this endpoint is for another topic")
        if verifier is not None:
            await verifier.check(envelope, request.body)
        return envelope


async def _tell(emit: Emit, payload: Payload, known: str) -> None:
    """Emit an event; one that the bus never takes is set aside, as SNS would not send it again."""
    try:
        await emit(payload, id=known)
    except EventError as exc:
        await emit(payload, id=known, unusable=exc)


async def _of_subscription(envelope: Envelope, subscription: Subscription) -> Answer:
    """Answer what is no message but of the subscription."""
    if envelope.type == CONFIRMATION:
        try:
            await subscription.confirm(envelope.token)
        except Fault as exc:
            log.error("not confirmed", extra={"error": str(exc)})  # noqa: TRY400 -- the text says it all
            return NOT_CONFIRMED
    elif envelope.type == FAREWELL:
        subscription.gone()
    return TAKEN
