"""Git over SSH, with a key from a Secret and a host that is known.

Known hosts are those of the files that SSH_KNOWN_HOSTS names, separated by colons; else those of
`~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`. No agent and no key of the machine is used.
"""

import contextlib
import io
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import paramiko
from dulwich.client import SSHGitClient, SSHVendor
from dulwich.protocol import Protocol
from typing_extensions import override

from sensor.kubernetes.git.line import PATIENCE, Line
from sensor.kubernetes.git.place import Auth, Place
from spine.errors import ConfigError

_KINDS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class _Client(SSHGitClient):
    """Knows its connections, which the library leaves open where a server hangs up at once."""

    def __init__(self, place: Place, vendor: SSHVendor) -> None:
        super().__init__(place.host, quiet=True, vendor=vendor)
        self._opened: list[Protocol] = []

    @override
    def _connect(
        self, cmd: bytes, path: str | bytes, protocol_version: int | None = None
    ) -> tuple[Protocol, Callable[[], bool], IO[bytes] | None]:
        connected = super()._connect(cmd, path, protocol_version)
        self._opened.append(connected[0])
        return connected

    @override
    def close(self) -> None:
        for one in self._opened:
            one.close()

    @staticmethod
    @override
    def _warn_filter_objects() -> None:
        """Say nothing: without filters it takes longer, and that is all."""


class _Unknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # the library has no types
    """Refuses a host that no file knows."""

    def __init__(self, what: str) -> None:
        self._what = what

    @override
    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        raise ConfigError(
            f"{self._what}: host {hostname} with key {key.fingerprint} is not known",
            hint="put what ssh-keyscan prints into a file and name it in SSH_KNOWN_HOSTS, or set"
            " insecureIgnoreHostKey",
        )


class _Anybody(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # the library has no types
    """Takes any host, as `insecureIgnoreHostKey` asks for."""

    @override
    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        """Say nothing."""


class _Command:
    """A command that runs on the other side, as the library talks to it."""

    def __init__(self, client: Any, channel: Any, line: Line) -> None:
        self._client, self._channel = client, channel
        self.read = line.counted(channel.makefile("rb").read)
        self.stderr = channel.makefile_stderr("rb")

    def write(self, data: bytes) -> int:
        """Send bytes to its input."""
        self._channel.sendall(data)
        return len(data)

    def can_read(self) -> bool:
        """Return whether it has said something."""
        ready: bool = self._channel.recv_ready()
        return ready

    def close(self) -> None:
        """End it, and the connection."""
        self._channel.close()
        self._client.close()


class _Vendor(SSHVendor):
    """Connects as the library asks it to."""

    def __init__(self, place: Place, auth: Auth, line: Line) -> None:
        self._place, self._auth, self._line = place, auth, line

    @override
    def run_command(  # type: ignore[override]  # a command has all that the library calls
        self, host: str, command: bytes, *_: object, **__: object
    ) -> _Command:
        client = paramiko.SSHClient()
        try:
            self._connect(client)
            channel = client.get_transport().open_session(timeout=PATIENCE)
            channel.settimeout(PATIENCE)
            channel.update_environment({"GIT_PROTOCOL": "version=2"})
            channel.exec_command(command)
        except BaseException:
            client.close()
            raise
        return _Command(client, channel, self._line)

    def _connect(self, client: Any) -> None:
        place, auth, line = self._place, self._auth, self._line
        key = _private_key(auth.key, line.what) if auth.key else None
        if auth.any_host_key:
            client.set_missing_host_key_policy(_Anybody())
        else:
            for file in _known_hosts():
                client.load_system_host_keys(str(file))
            client.set_missing_host_key_policy(_Unknown(line.what))
        new = socket.create_connection((place.host, place.port), PATIENCE)
        try:
            client.connect(
                place.host,
                place.port,
                username=place.user or auth.user or "git",
                password=auth.password or None,
                pkey=key,
                sock=line.joined(new, place.host),
                allow_agent=False,
                look_for_keys=False,
                timeout=PATIENCE,
                banner_timeout=PATIENCE,
                auth_timeout=PATIENCE,
            )
        except paramiko.BadHostKeyException as exc:
            raise ConfigError(
                f"{line.what}: the host has another key than the one that is known for it",
                hint="somebody may be in between; if not, put its new key into known_hosts",
            ) from exc
        except paramiko.AuthenticationException as exc:
            raise ConfigError(
                f"{line.what}: the server refuses who we are: {exc}",
                hint="look at sshKeySecret: its public half must be known there",
            ) from exc


def _known_hosts() -> Iterator[Path]:
    named = os.environ.get("SSH_KNOWN_HOSTS")
    home = Path("~/.ssh/known_hosts").expanduser()
    files = map(Path, named.split(":")) if named else (home, Path("/etc/ssh/ssh_known_hosts"))
    return (file for file in files if file.is_file())


def _private_key(text: str, what: str) -> Any:
    for kind in _KINDS:
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(f"{text.strip()}\n"))
    raise ConfigError(
        f"{what}: sshKeySecret holds no private key that can be read",
        hint="use one of ssh-keygen -t ed25519, without a passphrase",
    )


@contextlib.contextmanager
def ssh_client(place: Place, auth: Auth, line: Line) -> Iterator[tuple[SSHGitClient, str]]:
    """Yield a client, and the path to ask it for."""
    with contextlib.closing(_Client(place, _Vendor(place, auth, line))) as client:
        yield client, place.path
