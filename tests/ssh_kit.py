"""An SSH server for tests that serves git repositories to one key, and nothing else."""

import contextlib
import io
import shlex
import socket
import subprocess
import threading
from pathlib import Path
from typing import Self

import paramiko
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat


def new_key() -> tuple[str, paramiko.PKey]:
    """Return a key as `ssh-keygen -t ed25519` writes it, and as the library has it."""
    made = ed25519.Ed25519PrivateKey.generate()
    text = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return text, paramiko.Ed25519Key.from_private_key(io.StringIO(text))


class _Session(paramiko.ServerInterface):
    def __init__(self, server: "SshServer") -> None:
        self._server = server
        self._protocol = ""

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == "git" and key == self._server.client
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_env_request(self, channel, name: bytes, value: bytes) -> bool:
        if name == b"GIT_PROTOCOL":
            self._protocol = value.decode()
        return True

    def check_channel_exec_request(self, channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel, command: str) -> None:
        name, path = shlex.split(command)
        assert name == "git-upload-pack", command
        self._server.asked.append((path, self._protocol))
        with subprocess.Popen(
            ["git", "-c", "safe.directory=*", "-c", "uploadpack.allowFilter=true",
             "upload-pack", str(self._server.root / path.lstrip("/"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "GIT_PROTOCOL": self._protocol},
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None

            def feed() -> None:
                with contextlib.suppress(OSError):
                    while data := channel.recv(65536):
                        process.stdin.write(data)
                        process.stdin.flush()
                with contextlib.suppress(OSError):
                    process.stdin.close()

            threading.Thread(target=feed, daemon=True).start()
            with contextlib.suppress(OSError):
                while data := process.stdout.read1(65536):
                    channel.sendall(data)
            process.wait()
        with contextlib.suppress(OSError, EOFError):
            channel.send_exit_status(process.returncode)
            channel.close()


class SshServer:
    """Serves the repositories of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.client_key, self.client = new_key()
        _, self.host = new_key()
        self.asked: list[tuple[str, str]] = []
        """Paths, and what GIT_PROTOCOL said."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._transports: list[paramiko.Transport] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def known(self) -> str:
        """A line of known_hosts."""
        return f"[127.0.0.1]:{self.port} {self.host.get_name()} {self.host.get_base64()}\n"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listening.accept()
                transport = paramiko.Transport(one)
                transport.add_server_key(self.host)
                self._transports.append(transport)
                with contextlib.suppress(paramiko.SSHException, EOFError):
                    transport.start_server(event=threading.Event(), server=_Session(self))
