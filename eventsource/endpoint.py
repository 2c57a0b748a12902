"""The configuration of what listens for HTTP requests, with one set of rules for all kinds."""

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from eventsource import web
from eventsource.paths import check_endpoint
from spine.model import Model, warn
from spine.runtime import Env
from spine.secrets import SecretRef


class Endpoint(Model):
    """Where requests come in."""

    endpoint: str
    """Path of the requests, matched exactly; `{name}` stands for one segment."""
    port: str
    """Port to listen on, a decimal; events may share one."""
    url: str = ""
    """Base URL under which the outside world reaches the endpoint; for the reader only."""
    server_cert_secret: SecretRef | None = None
    """Certificate chain of the server, PEM; with it, the port speaks TLS."""
    server_key_secret: SecretRef | None = None
    """Key of the certificate, PEM."""
    max_payload_size: int = Field(default=web.MAX_PAYLOAD, gt=0)
    """Bytes of the largest body that is taken; the default is that of Argo Events."""

    @field_validator("port", mode="before")
    @classmethod
    def _port(cls, port: Any) -> Any:
        if isinstance(port, int) and not isinstance(port, bool):
            warn(f'port: write "{port}": Argo Events refuses a number')
            port = str(port)
        decimal = isinstance(port, str) and port.isascii() and port.isdigit()
        if not decimal or not 0 < int(port) < 65_536:  # noqa: PLR2004 -- the largest port
            msg = 'must be a port, from "1" to "65535"'
            raise ValueError(msg)
        return port

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, endpoint: str) -> str:
        return check_endpoint(endpoint)

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.server_cert_secret is None) != (self.server_key_secret is None):
            msg = "serverCertSecret and serverKeySecret go together"
            raise ValueError(msg)
        return self

    @property
    def tls(self) -> bool:
        """Whether the port speaks TLS."""
        return self.server_cert_secret is not None

    def certificate(self, env: Env) -> Callable[[], tuple[str, str]] | None:
        """Return what reads certificate and key of the server, None without TLS."""
        cert, key = self.server_cert_secret, self.server_key_secret
        if cert is None or key is None:
            return None
        return lambda: (env.secrets.secret(cert), env.secrets.secret(key))
