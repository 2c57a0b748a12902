"""Generic: an event for each that a gRPC service of one's own tells of.

The service is called, and says what happens for as long as the call lasts; see
`eventsource/generic/eventing.proto`. It is called again where the call ends. What it has told is
held until it is on the bus, and it is asked to wait where that is much; but the protocol knows no
acknowledgement, so a crash loses what was in hand.
"""

from collections.abc import Callable
from typing import ClassVar, Self

from pydantic import field_validator, model_validator
from typing_extensions import override

from eventsource.bodies import base64_body, json_body, metadata_member
from eventsource.generic.call import Target, connected, listen
from eventsource.sessions import stay
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from eventsource.taking import Taken, Taker
from spine.access import TlsConfig, secret_of
from spine.errors import ConfigError
from spine.fields import Flag, Name
from spine.http.tls import Tls, tls_context
from spine.model import warn
from spine.runtime import Env
from spine.secrets import SecretRef


class GenericEvent:
    """The payload of one event."""

    __slots__ = ("_body", "_metadata")

    def __init__(self, body: bytes, metadata: bytes = b"") -> None:
        """Take `body` as JSON text; `metadata` is empty, or the member with its comma."""
        self._body, self._metadata = body, metadata

    def encode(self) -> bytes:
        """Return the JSON of the payload."""
        return b'{"body":%b%b}' % (self._body, self._metadata)


class Generic(Source):
    """Calls a gRPC service that tells of events; needs `pip install 'tocsin[grpc]'`.

    One replica listens at a time. The service is to implement `eventing.proto`, which comes with
    the package.
    """

    type: ClassVar[str] = "generic"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = GenericEvent(
        b'{"door":"north","open":true}', b',"metadata":{"team":"house"}'
    )
    url: Name
    """The service as gRPC names it, as in `doors.default.svc:8080`."""
    config: Name
    """What the service is told with the call, a text of its own."""
    insecure: Flag = False
    """Whether the connection is in plain text; otherwise it is TLS with the system's CA
    certificates, which Argo Events cannot do."""
    tls: TlsConfig | None = None
    """Ours: other CA certificates, and a certificate of ours."""
    json_body: Flag = False
    """Whether events are JSON and become `body` as they are; otherwise `body` is base64."""
    auth_secret: SecretRef | None = None
    """Bearer token that the service is presented with; read again for each call."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which events are sent on."""

    @field_validator("url")
    @classmethod
    def _is_a_target(cls, url: str) -> str:
        if url.startswith(("http://", "https://")):
            raise ValueError("write host and port, and insecure: true for plain text")
        return url

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.tls is not None and self.insecure:
            raise ValueError("tls is for a connection that is not insecure: leave one of them away")
        if self.tls is not None and self.tls.insecure_skip_verify:
            raise ValueError(
                "tls.insecureSkipVerify: gRPC always checks certificates: give the CA in"
                " tls.caCertSecret, or insecure: true for plain text"
            )
        if self.insecure and self.auth_secret is not None:
            warn("authSecret: with insecure: true the token can be read on its way")
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        taker = Taker(env.name, emit)

        async def take(data: bytes) -> None:
            await taker.begin(self._taken(data))

        async def session(up: Callable[[], None]) -> None:
            target = self._target(env)
            asked = {"name": env.name, "config": self.config.encode()}
            async with connected(target) as channel:
                await listen(channel, target, asked, up, take)

        try:
            await stay(session, env, taker, None)
        finally:
            await taker.finish()

    def _target(self, env: Env) -> Target:
        token = secret_of(self.auth_secret, env.secrets)
        if self.auth_secret is not None and not (token.isascii() and token.isprintable()):
            raise ConfigError("reading authSecret: it holds what no header can")
        if self.insecure:
            return Target(self.url, None, token)
        tls = self.tls.read(env.secrets) if self.tls is not None else Tls()
        tls_context(tls)  # says what is wrong with certificates, which gRPC does not
        return Target(self.url, tls, token)

    def _taken(self, data: bytes) -> Taken:
        metadata = metadata_member(self.metadata)
        body = json_body if self.json_body else base64_body
        return Taken(
            form=lambda: GenericEvent(body(data), metadata),
            as_it_is=lambda: GenericEvent(base64_body(data), metadata),
            what=f"an event of {self.url}",
            size=len(data),
        )
