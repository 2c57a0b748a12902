"""SFTP: an event for each file that comes to, changes in or goes from a directory of a server.

The directory is listed again and again, and compared with what is remembered in the store of the
bus: so neither a connection that breaks nor a restart of either side loses what happened. Of a
file that comes and goes between two listings nobody knows.
"""

import asyncio
import hashlib
from typing import ClassVar, Self

from pydantic import field_validator, model_validator
from typing_extensions import override

from eventsource.files import happening
from eventsource.files.changes import listed
from eventsource.files.happening import FileEvent, WatchPathConfig, check_type
from eventsource.files.known import Known, ran_before
from eventsource.files.ssh import Access, Listed, Login, connect
from eventsource.files.telling import Teller
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.errors import ConfigError, SourceError
from spine.model import warn
from spine.runtime import Env, cancelled_at_exit, seconds
from spine.secrets import SecretRef

SHORTEST = 0.1
"""Seconds between listings, at least."""


class Sftp(Source):
    """Watches a directory of an SFTP server; needs `pip install 'tocsin[sftp]'`."""

    type: ClassVar[str] = "sftp"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = FileEvent("sales.csv", happening.CREATE)
    event_type: str
    """What becomes an event: CREATE (a new file, or one whose size or time changed) or REMOVE;
    ours: both, as in `CREATE|REMOVE`."""
    watch_path_config: WatchPathConfig
    """The directory, and which files in it count."""
    username: SecretRef
    """Where the name of the user stands. All Secrets are read again when they change."""
    address: SecretRef
    """Where host and port stand, as in `sftp.example.com:22`."""
    password: SecretRef | None = None
    """Where the password stands."""
    ssh_key_secret: SecretRef | None = None
    """Where a private key without passphrase stands and, on a line of its own, the public key that
    the server must have, such as `ssh-ed25519 AAAA…`."""
    known_hosts: SecretRef | None = None
    """Ours: where lines of known_hosts stand, as ssh-keyscan prints them. With a password and
    without them any server is trusted, as in Argo Events."""
    poll_interval_duration: str = "10s"
    """Time between listings, as in `30s`; 100ms at least."""
    catchup: bool = True
    """Ours: whether a start tells what has changed since the last one; the first start never tells
    of what is there. With false, as in Argo Events, that is nobody's to know."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which of it becomes events."""

    @field_validator("event_type")
    @classmethod
    def _type(cls, event_type: str) -> str:
        return check_type(event_type, happening.CREATE | happening.REMOVE)

    @field_validator("poll_interval_duration")
    @classmethod
    def _interval(cls, text: str) -> str:
        try:
            if text and seconds(text) < SHORTEST:
                raise ValueError("below 100ms")
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return text or "10s"

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.password is None and self.ssh_key_secret is None:
            raise ValueError("needs password or sshKeySecret, to log in with")
        if self.known_hosts is None and self.ssh_key_secret is None:
            warn("password: given to any server that answers: set knownHosts")
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        access = Access(
            self.address, self.username, self.password, self.ssh_key_secret, self.known_hosts
        )
        folder = self.watch_path_config.folder
        login = access.read(env.secrets)
        known = Known((env.object, env.name), env.memory, _purpose(login, folder), Listed)
        again = await ran_before(env)
        remembered = await known.load() and (self.catchup or again)
        teller = Teller(
            env,
            emit,
            known,
            happening.mask_of(self.event_type),
            self.watch_path_config.by_name(),
            str,
            happening.metadata_value(self.metadata),
        )
        writing = asyncio.create_task(known.run(), name=f"memory of {env.name}")
        async with cancelled_at_exit(writing):
            while True:
                async with connect(access, login) as remote:
                    if not remembered:
                        known.begin(await remote.files(folder))
                        await known.write()
                        remembered = True
                    while (current := access.read(env.secrets)) == login:
                        await teller.tell(listed(known.marks, await remote.files(folder)))
                        env.listening()
                        await asyncio.sleep(seconds(self.poll_interval_duration))
                if (current.host, current.port) != (login.host, login.port):
                    what = f"watching {access.server}: it is another one now"
                    raise SourceError(what, retry_after=0)
                login = current


def _purpose(login: Login, folder: str) -> str:
    """Return what tells this folder from others, without saying where it is."""
    parts = f"{login.host}\x00{login.port}\x00{folder}"
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()
