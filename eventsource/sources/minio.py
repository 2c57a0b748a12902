"""MinIO: an event for each thing that happens to objects of a bucket.

The server tells only whoever listens just then. Objects that were made while we did not, because
either side was away, are found by a listing afterwards; what else happened then nobody can tell.
"""

import asyncio
import re
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from eventsource.buckets.notification import (
    S3,
    Agent,
    Bucket,
    Identity,
    Notification,
    Object,
    Record,
)
from eventsource.source import Emit, Payload, Source
from spine.model import Model, warn
from spine.runtime import Env, cancelled_at_exit
from spine.secrets import SecretRef

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_EXAMPLE = Record(
    "2.0",
    "minio:s3",
    "",
    "2026-11-21T08:50:00.125Z",
    "s3:ObjectCreated:Put",
    Identity("reporter"),
    {"principalId": "reporter", "region": "", "sourceIPAddress": "10.0.0.7"},
    {"x-amz-request-id": "18EA2C0892C08958", "x-minio-deployment-id": "5945f13c"},
    S3(
        "1.0",
        "Config",
        Bucket("reports", Identity("reporter"), "arn:aws:s3:::reports"),
        Object(
            "2026/11/sales.json",
            5120,
            "5d41402abc4b2a76b9719d911017c592",
            "application/json",
            {"content-type": "application/json"},
            sequencer="18EA2C0892B7F7A9",
        ),
    ),
    Agent("10.0.0.7", "", "mc"),
)


class MinioBucket(Model):
    """A bucket."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    """Its name."""
    key: str = ""
    """Of no effect, as in Argo Events."""


class MinioFilter(Model):
    """Which objects count."""

    prefix: str = ""
    """What their key begins with."""
    suffix: str = ""
    """What their key ends with."""


class Minio(Source):
    """Listens to a bucket of a MinIO server."""

    type: ClassVar[str] = "minio"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = Notification([_EXAMPLE], b',"metadata":{"team":"sales"}')
    endpoint: str
    """Host and port of the server, as in `minio.argo-events.svc:9000`."""
    bucket: MinioBucket
    """The bucket."""
    region: str = ""
    """Region of the server; where it is another one, it is found out."""
    insecure: bool = False
    """Whether to speak http instead of https."""
    access_key: SecretRef
    """Where the access key stands. All Secrets are read again when they change."""
    secret_key: SecretRef
    """Where the secret key stands."""
    events: list[str] = []
    """What becomes an event, such as `s3:ObjectCreated:*` or `s3:ObjectRemoved:Delete`."""
    filter: MinioFilter | None = None
    """Which objects count."""
    ca_certificate: SecretRef | None = None
    """Where CA certificates (PEM) to trust instead of the system's stand."""
    catchup: bool = True
    """Ours: whether objects that were made while nobody listened are found by listing the bucket,
    which takes `s3:ListBucket`; the first start never tells of what is there. In such an event
    `userIdentity`, `requestParameters`, `responseElements` and `source` are empty."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""

    @field_validator("endpoint")
    @classmethod
    def _is_a_host(cls, endpoint: str) -> str:
        if not _HOST.fullmatch(endpoint):
            raise ValueError("write HOST or HOST:PORT; insecure: true is for http")
        host = endpoint.partition(":")[0].lower()
        if host.endswith(("amazonaws.com", "amazonaws.com.cn")):
            raise ValueError(
                "there are no such notifications at AWS: send them to a queue, and use sqs"
            )
        return endpoint

    @field_validator("events")
    @classmethod
    def _some(cls, events: list[str]) -> list[str]:
        if not events:
            warn("events: empty: nothing ever becomes an event (write s3:ObjectCreated:*)")
        if odd := [name for name in events if not name.startswith("s3:")]:
            warn(f"events: {', '.join(odd)}: no server knows it, as all begin with s3:")
        return events

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.insecure and self.ca_certificate is not None:
            warn("caCertificate: of no effect without TLS (insecure: true)")
        if self.bucket.key:
            warn("bucket.key: of no effect: write filter.prefix")
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        from eventsource.buckets.listening import Listener, Wanted
        from eventsource.buckets.position import Position
        from eventsource.buckets.server import Place
        from eventsource.sessions import stay
        from eventsource.taking import Taker

        place = Place(
            self.endpoint,
            self.bucket.name,
            self.region,
            self.insecure,
            self.access_key,
            self.secret_key,
            self.ca_certificate,
        )
        chosen = self.filter or MinioFilter()
        wanted = Wanted(
            tuple(self.events), chosen.prefix, chosen.suffix, self.metadata, self.catchup
        )
        position = Position(env, f"{self.endpoint}/{self.bucket.name}")
        await position.load()
        taker = Taker(env.name, emit)
        listener = Listener(place, wanted, env, taker, position)
        writing = asyncio.create_task(position.run(), name=f"position of {env.name}")
        async with cancelled_at_exit(writing):
            try:
                await stay(listener.session, env, taker, None)
            finally:
                await taker.finish()
