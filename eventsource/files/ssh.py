"""A folder on an SFTP server: who we are there, and that the server is the one that is meant.

Host, user and keys stand in Secrets, so errors name the Secrets and not what is in them.
"""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from eventsource.files.folder import readable
from spine.errors import ConfigError, SourceError
from spine.secrets import SecretRef, Secrets

if TYPE_CHECKING:
    import asyncssh

PORT = 22
LOGIN = 20.0
"""Seconds for a connection and a login."""
LISTING = 120.0
"""Seconds for a listing."""
GOODBYE = 0.5
"""Seconds that the end of a connection may take."""
ALIVE = 15.0
"""Seconds between signs of life; a server that misses three has gone."""


_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]/]+))(?::([0-9]{1,5}))?")


class Listed(NamedTuple):
    """What a file on the server is known by."""

    size: int
    written: int
    """Unix seconds of its last change."""


class Login(NamedTuple):
    """What a connection is made with."""

    host: str
    port: int
    username: str
    password: str
    key: str
    """What `sshKeySecret` holds: a private key, and the public key of the server."""
    known_hosts: str


class Access(NamedTuple):
    """Where the parts of a login stand."""

    address: SecretRef
    username: SecretRef
    password: SecretRef | None
    key: SecretRef | None
    known_hosts: SecretRef | None

    def read(self, secrets: Secrets) -> Login:
        """Read the parts as they are now. Raises ConfigError."""

        def get(ref: SecretRef | None) -> str:
            return secrets.secret(ref) if ref is not None else ""

        host, port = self._split(secrets.secret(self.address).strip())
        username = secrets.secret(self.username)
        return Login(host, port, username, get(self.password), get(self.key), get(self.known_hosts))

    def _split(self, address: str) -> tuple[str, int]:
        match = _ADDRESS.fullmatch(address)
        host, port = (match[1] or match[2], match[3] or str(PORT)) if match else ("", "0")
        if not 0 < int(port) < 65_536:  # noqa: PLR2004 -- ports have 16 bits
            hint = "write HOST:PORT into it"
            raise ConfigError(f"reading {shown(self.address)}: it is no address", hint=hint)
        return host, int(port)

    @property
    def server(self) -> str:
        """What the server is called in errors."""
        return f"the SFTP server of {shown(self.address)}"

    @property
    def credentials(self) -> str:
        """What to look at where the server does not let us in."""
        refs = (self.username, self.password, self.key)
        return ", ".join(shown(ref) for ref in refs if ref is not None)


def shown(ref: SecretRef) -> str:
    """Return what a part of a Secret is called in errors."""
    return f"key {ref.key!r} of Secret {ref.name!r}"


class Remote:
    """A connection."""

    def __init__(self, client: "asyncssh.SFTPClient", server: str) -> None:
        self._client, self._server = client, server

    async def files(self, folder: str) -> dict[str, Listed]:
        """Return the files of a folder, without its sub-folders. Raises SourceError."""
        import asyncssh

        found: dict[str, Listed] = {}
        try:
            async with asyncio.timeout(LISTING):
                async for entry in self._client.scandir(folder):
                    attrs = entry.attrs
                    if attrs.type != asyncssh.FILEXFER_TYPE_DIRECTORY:
                        name = readable(str(entry.filename))
                        found[name] = Listed(attrs.size or 0, attrs.mtime or 0)
        except (asyncssh.Error, OSError) as exc:
            raise self._error(folder, exc) from exc
        return found

    def _error(self, folder: str, exc: Exception) -> SourceError:
        import asyncssh

        hint = ""
        if isinstance(exc, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
            hint = "make the directory: as the server shows it to the user, who may see a part only"
        elif isinstance(exc, asyncssh.SFTPPermissionDenied):
            hint = "let the user read the directory"
        why = "no answer" if isinstance(exc, TimeoutError) else _why(exc)
        return SourceError(f"listing {folder} on {self._server}: {why}", hint=hint)


@asynccontextmanager
async def connect(access: Access, login: Login) -> AsyncIterator[Remote]:
    """Yield a connection. Raises SourceError, and ConfigError for keys that are none."""
    try:
        import asyncssh
    except ImportError as exc:
        raise ConfigError(
            f"watching an SFTP server: {exc}", hint="pip install 'tocsin[sftp]'"
        ) from exc
    logging.getLogger("asyncssh").setLevel(logging.WARNING)  # it tells of users and hosts
    options = _identities(access, login)
    try:
        async with asyncio.timeout(LOGIN):
            connection = await asyncssh.connect(
                login.host,
                login.port,
                username=login.username,
                password=login.password or None,
                config=None,
                agent_path=None,
                keepalive_interval=ALIVE,
                **options,
            )
    except (asyncssh.Error, OSError) as exc:
        raise _refusal(access, exc) from exc
    try:
        yield Remote(await _sftp(access, connection), access.server)
    finally:
        connection.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await connection.wait_closed()


async def _sftp(access: Access, connection: "asyncssh.SSHClientConnection") -> Any:
    import asyncssh

    try:
        async with asyncio.timeout(LOGIN):
            return await connection.start_sftp_client(path_errors="surrogateescape")
    except (asyncssh.Error, OSError) as exc:
        hint = "the server must have the subsystem sftp"
        raise SourceError(f"beginning SFTP on {access.server}: {_why(exc)}", hint=hint) from exc


def _identities(access: Access, login: Login) -> dict[str, Any]:
    """Return our keys, and those that the server may have. Raises ConfigError."""
    key, host_key = _keys(access.key, login.key) if access.key is not None else (None, None)
    known: Any = None
    if access.known_hosts is not None:
        known = _known_hosts(access.known_hosts, login.known_hosts)
    elif host_key is not None:
        known = ([host_key], [], [])
    elif access.key is not None:
        raise ConfigError(
            f"reading {shown(access.key)}: it has no public key of the server",
            hint="add a line such as: ssh-ed25519 AAAA…, which ssh-keyscan prints after the host,"
            " or set knownHosts",
        )
    return {"client_keys": [key] if key is not None else None, "known_hosts": known}


def _keys(ref: SecretRef, text: str) -> tuple[Any, Any]:
    """Return the private key and the public key of the server, None where there is none."""
    import asyncssh

    lines = [line.strip() for line in text.splitlines()]
    public = [line for line in lines if line.startswith(("ssh-", "ecdsa-", "sk-"))]
    private = "\n".join(line for line in lines if line not in public)
    try:
        key = asyncssh.import_private_key(private)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError) as exc:
        why, hint = "it holds no private key", "it is what ssh-keygen writes, from -----BEGIN on"
        if "assphrase" in str(exc):
            why, hint = "the private key has a passphrase", "ssh-keygen -p -N '' -f FILE drops it"
        raise ConfigError(f"reading {shown(ref)}: {why}", hint=hint) from exc
    try:
        return key, asyncssh.import_public_key(public[0]) if public else None
    except (asyncssh.KeyImportError, ValueError) as exc:
        raise ConfigError(f"reading {shown(ref)}: the public key of the server is none") from exc


def _known_hosts(ref: SecretRef, text: str) -> Any:
    import asyncssh

    hint = "it has lines as ssh-keyscan prints them"
    if not text.strip():  # which the library takes for: any server
        raise ConfigError(f"reading {shown(ref)}: it is empty", hint=hint)
    try:
        return asyncssh.import_known_hosts(text)
    except ValueError as exc:
        raise ConfigError(
            f"reading {shown(ref)}: no line of known_hosts: {exc}", hint=hint
        ) from exc


def _refusal(access: Access, exc: Exception) -> SourceError:
    import asyncssh

    what = f"connecting to {access.server}"
    if isinstance(exc, asyncssh.PermissionDenied):
        hint = f"check {access.credentials}"
        return SourceError(f"logging in at {access.server}: it does not let us in", hint=hint)
    if isinstance(exc, asyncssh.HostKeyNotVerifiable):
        ref = access.known_hosts or access.key
        hint = f"if it is the right server, put its key into {shown(ref)}" if ref else ""
        return SourceError(f"{what}: its host key is not the one that is known", hint=hint)
    if isinstance(exc, TimeoutError):
        return SourceError(f"{what}: no answer within {LOGIN:g} s")
    return SourceError(f"{what}: {_why(exc)}")


def _why(exc: Exception) -> str:
    """Return what went wrong, without the address that the system puts into its texts."""
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno).lower() if exc.errno > 0 else str(exc.strerror).lower()
    return str(exc) or type(exc).__name__
