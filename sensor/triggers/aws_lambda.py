"""AWS Lambda: calls a function. Its fields are read and checked; calling comes later."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from sensor.fields import Name
from sensor.parameters import PayloadEntry
from sensor.sending import Sending
from sensor.unbuilt import Unbuilt
from spine.secrets import SecretRef


class AwsLambda(Unbuilt, Sending):
    """Calls an AWS Lambda function."""

    kind: ClassVar[str] = "awsLambda"
    dead_keys: ClassVar[Mapping[str, str]] = {
        "namespace": "Secrets are taken from the namespace of the Sensor"
    }

    function_name: Name
    """Function to call."""
    region: Name
    """Region that it is in."""
    payload: list[PayloadEntry]
    """What the body is built from."""
    access_key: SecretRef | None = None
    """Where the access key stands; none, and no role: the process's own credentials."""
    secret_key: SecretRef | None = None
    """Where the secret key stands."""
    role_arn: Annotated[str, Field(alias="roleARN")] = ""
    """Role to assume, before any keys."""
    invocation_type: Literal["", "RequestResponse", "Event", "DryRun"] = ""
    """How it is called; empty is `RequestResponse`."""

    @model_validator(mode="after")
    def _keys_belong_together(self) -> "AwsLambda":
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("accessKey and secretKey belong together: set both")
        return self
