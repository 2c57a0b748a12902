"""SQS: an event for each message of an Amazon SQS queue.

A message is deleted after its event is on the bus, so a crash brings it back, and the event of a
redelivery has the same id. As long as the bus is away, messages in hand are kept from others.
Several replicas share the queue.
"""

from dataclasses import replace
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from eventsource.aws.account import OnAws
from eventsource.aws.queue import Queue, Reading
from eventsource.aws.queue_message import SqsMessage
from eventsource.bodies import metadata_member
from eventsource.sessions import stay
from eventsource.source import Emit, Payload
from eventsource.taking import Taker
from spine.access import secret_of
from spine.aws import Access
from spine.fields import Flag, Int32, Name
from spine.runtime import Env
from spine.secrets import SecretRef

WAIT = 3
"""Seconds, as in Argo Events."""


class Sqs(OnAws):
    """Receives the messages of a queue; needs `pip install 'tocsin[aws]'`.

    Its policies must grant `sqs:GetQueueUrl`, `sqs:ReceiveMessage` and `sqs:DeleteMessage`, and
    `sqs:ChangeMessageVisibility` so that messages in hand can be kept and given back.
    """

    type: ClassVar[str] = "sqs"
    example: ClassVar[Payload] = SqsMessage(
        "5fea7756-0ea4-451a-a703-a558b933e274",
        b'{"tenant":{"BinaryListValues":null,"BinaryValue":null,"DataType":"String",'
        b'"StringListValues":null,"StringValue":"acme"}}',
        b'{"order":42,"state":"paid"}',
        b',"metadata":{"team":"shop"}',
    )
    queue: Name
    """Name of the queue, not its URL; of one that ends with `.fifo`, the messages of a group become
    events one after the other."""
    queue_account_id: str = ""
    """Account of the queue, where it is another one than ours."""
    wait_time_seconds: Annotated[Int32, Field(ge=0, le=20)] = WAIT
    """Seconds for which SQS waits for a message before it says that there is none; 3 where it is
    0."""
    session_token: SecretRef | None = None
    """Token of keys that last for a session; read again with them."""
    json_body: bool = False
    """Whether messages are JSON and become `body` as they are; otherwise `body` is base64."""
    dlq: Flag = False
    """Whether a message that is not JSON though `jsonBody` is set is left to the dead-letter queue
    that SQS moves it to; otherwise it is set aside with the reason, and deleted."""
    visibility_timeout: Annotated[Int32, Field(ge=2, le=43_200)] = 120
    """Ours: seconds for which SQS hides a message that we have in hand, again and again as long as
    that lasts; so long does it take until another gets what a crashed process had. The default is
    that of Argo Events."""

    @field_validator("queue")
    @classmethod
    def _is_a_name(cls, queue: str) -> str:
        if "/" in queue or ":" in queue:
            raise ValueError("write the name of the queue alone, and queueAccountId for its owner")
        return queue

    @model_validator(mode="after")
    def _token_has_keys(self) -> Self:
        if self.session_token is not None and self.access_key is None:
            raise ValueError("sessionToken needs accessKey and secretKey, which it goes with")
        return self

    @override
    def access(self, env: Env) -> Access:
        found = super().access(env)
        if not found.key:
            return found
        return replace(found, token=secret_of(self.session_token, env.secrets))

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        taker = Taker(env.name, emit)
        reading = Reading(
            queue=self.queue,
            owner=self.queue_account_id,
            wait=self.wait_time_seconds or WAIT,
            visibility=self.visibility_timeout,
            place=(env.object, env.name),
            metadata=metadata_member(self.metadata),
            json=self.json_body,
            leave=self.dlq and self.json_body,
        )
        queue = Queue(reading, lambda: self.access(env), taker)
        try:
            await stay(queue.session, env, taker, None)
        finally:
            await taker.finish()
