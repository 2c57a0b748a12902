"""An SFTP server for tests: a process of its own, with one user, killed and restarted at will.

`from sftp_kit import sftp_server`. The server is that of asyncssh (`python sftp_kit.py FOLDER`).
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncssh
from ports import free_port

USER, PASSWORD = "courier", "over-the-wall"


def new_key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


def text_of(key: asyncssh.SSHKey, passphrase: str | None = None) -> str:
    """Return a private key as `ssh-keygen` writes it."""
    return key.export_private_key(passphrase=passphrase).decode()


def public_of(key: asyncssh.SSHKey) -> str:
    """Return the public key as it stands in authorized_keys."""
    return key.export_public_key().decode().strip()


class SftpServer:
    """One server; its user sees `root` as `/`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder / "sftp", folder / "sftp" / "root"
        self.root.mkdir(parents=True)
        self.host_key, self.user_key = new_key(), new_key()
        self.password = PASSWORD
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def known_hosts(self) -> str:
        return f"[127.0.0.1]:{self.port} {public_of(self.host_key)}\n"

    async def start(self) -> None:
        """Start on the port of the last time; wait until it answers."""
        settings = {
            "port": self.port,
            "root": str(self.root),
            "host_key": text_of(self.host_key),
            "user_key": public_of(self.user_key),
            "password": self.password,
        }
        file = self.folder / "server.json"
        file.write_text(json.dumps(settings))
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, str(file), stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            assert await self.process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        """End it at once."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()


@asynccontextmanager
async def sftp_server(folder: Path) -> AsyncIterator[SftpServer]:
    """Yield a running server."""
    one = SftpServer(folder)
    try:
        await one.start()
        yield one
    finally:
        await one.kill()


# ---------------------------------------------------------------------------- the process


async def serve(settings: dict[str, Any]) -> None:
    class Login(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return True

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == (USER, settings["password"])

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
            return username == USER and public_of(key) == settings["user_key"]

    class Files(asyncssh.SFTPServer):
        def __init__(self, chan: Any) -> None:
            super().__init__(chan, chroot=os.fsencode(settings["root"]))

    await asyncssh.listen(
        "127.0.0.1",
        settings["port"],
        server_host_keys=[asyncssh.import_private_key(settings["host_key"])],
        server_factory=Login,
        sftp_factory=Files,
    )
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text())))
