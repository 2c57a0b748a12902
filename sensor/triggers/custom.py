"""Custom: calls a gRPC server of the user's own. Its fields are checked; calling comes later.

The server answers with the resource first, so parameters are settled here and put into it then.
"""

from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator
from typing_extensions import override

from sensor.changes import compile_changes
from sensor.fields import Flag
from sensor.parameters import Parameter, PayloadEntry, compile_payload
from sensor.trigger import Events, Render
from sensor.unbuilt import Unbuilt
from spine.secrets import SecretRef


class Custom(Unbuilt):
    """Calls a gRPC server of your own."""

    kind: ClassVar[str] = "custom"

    server_url: Annotated[str, Field(alias="serverURL", min_length=1)]
    """Host and port of the server."""
    spec: dict[str, str]
    """What the server makes the resource of."""
    secure: Flag = False
    """Whether to speak TLS."""
    cert_secret: SecretRef | None = None
    """Where CA certificates (PEM) to trust stand."""
    server_name_override: str = ""
    """Name that the server's certificate is for, where it is not that of the URL."""
    parameters: list[Parameter] = []
    """Values from events put into the resource that the server gives."""
    payload: list[PayloadEntry] | None = None
    """What the body is built from."""

    @model_validator(mode="after")
    def _can_be_secure(self) -> "Custom":
        if self.secure and self.cert_secret is None:
            raise ValueError("secure needs certSecret")
        return self

    @override
    def compile(self) -> Render:
        static = self.model_dump(
            mode="json",
            by_alias=True,
            exclude_none=True,
            exclude_defaults=True,
            exclude={"parameters", "payload"},
        )
        settle = compile_changes(self.parameters)
        build = None if self.payload is None else compile_payload(self.payload)

        def render(events: Events) -> dict[str, Any]:
            content = {**static, "changes": settle(events)} if self.parameters else static.copy()
            if build is not None:
                content["body"] = build(events)
            return content

        return render
