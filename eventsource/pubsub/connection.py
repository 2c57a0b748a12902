"""A connection to Pub/Sub: the calls that we make, and their errors in our words.

The calls go out on `grpc.aio` with bare protobuf messages: the clients of the library would wrap
every message that comes in. PUBSUB_EMULATOR_HOST is honoured, and no credentials are read then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from eventsource.pubsub.credentials import HOST, Credentials
from spine.errors import ConfigError, SourceError
from spine.gcp import emulator
from spine.runtime import Env
from spine.secrets import SecretRef

if TYPE_CHECKING:
    import grpc.aio

TIMEOUT = 20.0
"""Seconds for a call that is answered at once."""
_UNLIMITED = -1
_OPTIONS = [
    ("grpc.max_receive_message_length", _UNLIMITED),
    ("grpc.max_send_message_length", _UNLIMITED),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 10_000),
]
_ALIVE = [("grpc.keepalive_time_ms", 30_000)]
"""A peer that has gone without a word is noticed; the emulator takes this for an attack."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the API."""

    path: str
    request: type[Any]
    answer: type[Any] | None
    """None where the answer is empty."""
    routed_by: str
    """The field of a request that says where it belongs."""


@cache
def methods() -> Mapping[str, Method]:
    """Return the methods that we use, by name. Raises ConfigError without the library."""
    try:
        from google.iam.v1 import iam_policy_pb2
        from google.pubsub_v1.types import pubsub
    except ImportError as exc:
        raise ConfigError(
            f"receiving from Pub/Sub: {exc}", hint="pip install 'tocsin[gcp]'"
        ) from exc

    def subscriber(name: str, request: Any, answer: Any, routed_by: str) -> Method:
        return _method(f"/google.pubsub.v1.Subscriber/{name}", request, answer, routed_by)

    subscription, publisher = "subscription", "/google.pubsub.v1.Publisher"
    asked = iam_policy_pb2.TestIamPermissionsRequest
    held = iam_policy_pb2.TestIamPermissionsResponse
    found = [
        Method("/google.iam.v1.IAMPolicy/TestIamPermissions", asked, held, "resource"),
        _method(f"{publisher}/CreateTopic", pubsub.Topic, pubsub.Topic, "name"),
        subscriber("CreateSubscription", pubsub.Subscription, pubsub.Subscription, "name"),
        subscriber(
            "GetSubscription", pubsub.GetSubscriptionRequest, pubsub.Subscription, subscription
        ),
        subscriber("DeleteSubscription", pubsub.DeleteSubscriptionRequest, None, subscription),
        subscriber("Acknowledge", pubsub.AcknowledgeRequest, None, subscription),
        subscriber("ModifyAckDeadline", pubsub.ModifyAckDeadlineRequest, None, subscription),
        subscriber(
            "StreamingPull",
            pubsub.StreamingPullRequest,
            pubsub.StreamingPullResponse,
            subscription,
        ),
    ]
    return {method.path.rpartition("/")[2]: method for method in found}


def _method(path: str, request: Any, answer: Any, routed_by: str) -> Method:
    return Method(path, request.pb(), answer.pb() if answer is not None else None, routed_by)


class Connection:
    """A channel, and who we are on it."""

    def __init__(self, channel: "grpc.aio.Channel", credentials: Credentials | None) -> None:
        """Take a channel; without credentials it is one to the emulator."""
        self._channel, self._credentials = channel, credentials
        self._calls: dict[str, Callable[..., Any]] = {}

    @property
    def real(self) -> bool:
        """Whether it is Google's service, which has permissions."""
        return self._credentials is not None

    @property
    def account(self) -> str:
        """Whom to grant what is missing."""
        return self._credentials.account if self._credentials else "nobody"

    @property
    def key_project(self) -> str:
        """The project of the credentials; empty where they do not say."""
        return self._credentials.project if self._credentials else ""

    def request(self, name: str, **fields: Any) -> Any:
        """Return the request of a method."""
        return methods()[name].request(**fields)

    async def ask(self, name: str, /, *, grant: str = "", **fields: Any) -> Any:
        """Call a method and return its answer; `grant` is the role that it takes.

        Raises PubSubError.
        """
        import grpc.aio

        method = methods()[name]
        request = method.request(**fields)
        what = getattr(request, method.routed_by)
        try:
            return await self._call(method)(
                request,
                timeout=TIMEOUT,
                metadata=_route(method, what),
                credentials=self._credentials.current() if self._credentials else None,
            )
        except grpc.aio.AioRpcError as exc:
            raise self.fault(exc, f"{_DOING[name]} {what}", grant) from exc

    def pull(self, subscription: str) -> Any:
        """Open a stream of messages; the first request is yet to be written."""
        method = methods()["StreamingPull"]
        return self._call(method)(
            metadata=_route(method, subscription),
            credentials=self._credentials.current() if self._credentials else None,
        )

    def _call(self, method: Method) -> Callable[..., Any]:
        if method.path not in self._calls:
            streams = method.path.endswith("/StreamingPull")
            kind = self._channel.stream_stream if streams else self._channel.unary_unary
            self._calls[method.path] = kind(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.answer.FromString if method.answer else None,
            )
        return self._calls[method.path]

    def fault(self, exc: "grpc.aio.AioRpcError", doing: str, grant: str = "") -> "PubSubError":
        """Return an error of gRPC in our words."""
        status = exc.code().name
        return PubSubError(
            f"{doing}: {status}: {exc.details() or 'no reason given'}",
            hint=self._hint(status, exc.details() or "", grant),
            status=status,
        )

    def _hint(self, status: str, details: str, grant: str) -> str:
        if status == "PERMISSION_DENIED" and grant:
            return f"grant {self.account} the role {grant}"
        if status == "UNAUTHENTICATED" or "metadata from plugin" in details:
            return (
                f"Google does not take the credentials of {self.account}: make a new key, or see"
                " to workload identity"
            )
        if status == "NOT_FOUND" and _NO_PROJECT in details.lower():
            return "check projectID and topicProjectID"
        return ""


_NO_PROJECT = "project not found"
"""What Google says of a project that does not exist or is not to be seen."""


class PubSubError(SourceError):
    """Pub/Sub refused a call or did not answer; `status` is the name of gRPC's status."""

    def __init__(self, message: str, *, hint: str = "", status: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def no_project(self) -> bool:
        """Whether it is the project that is not there."""
        return self.status == "NOT_FOUND" and _NO_PROJECT in self.message.lower()


_DOING = {
    "TestIamPermissions": "asking for our permissions on",
    "GetSubscription": "looking up",
    "CreateSubscription": "creating",
    "CreateTopic": "creating",
    "DeleteSubscription": "deleting",
    "Acknowledge": "acknowledging messages of",
    "ModifyAckDeadline": "keeping messages of",
}


def _route(method: Method, value: str) -> tuple[tuple[str, str], ...]:
    return (("x-goog-request-params", f"{method.routed_by}={quote(value, safe='')}"),)


@asynccontextmanager
async def connect(env: Env, ref: SecretRef | None) -> AsyncIterator[Connection]:
    """Yield a connection to the emulator if there is one, else to Google.

    Raises ConfigError for a key that is none, and where the library is missing.
    """
    await asyncio.to_thread(methods)  # the import takes a while
    import grpc.aio

    host = emulator()
    credentials = None
    if not host:
        credentials = Credentials(env, ref)
        await credentials.open()
    channel = (
        grpc.aio.insecure_channel(host, options=_OPTIONS)
        if host
        else grpc.aio.secure_channel(HOST, _tls(), options=[*_OPTIONS, *_ALIVE])
    )
    async with channel:
        yield Connection(channel, credentials)


def _tls() -> Any:
    import grpc

    return grpc.ssl_channel_credentials()
