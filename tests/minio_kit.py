"""A real MinIO server for tests: started on a free port, killed, restarted; it keeps its objects.

Built from its Go module by `tests/minio/build.sh`: minutes once, then nothing.
"""

import asyncio
import hashlib
import os
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ports import free_port
from yarl import URL

from spine.sigv4 import Keys, Scope, query_text, quoted, signed_headers

BUILD = Path(__file__).parent / "minio" / "build.sh"
KEYS = Keys("minio-admin", "change-me-please")


def find_minio() -> str:
    """Return the program; build it where it is missing, and skip the test where that fails."""
    if shutil.which("go") is not None:
        done = subprocess.run([BUILD], stdout=subprocess.PIPE, check=False)
        if done.returncode == 0:
            return done.stdout.decode().strip()
    reason = "needs MinIO: install Go 1.24 or later (see tests/minio/build.sh)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class MinioServer:
    """One server with one drive."""

    def __init__(
        self, folder: Path, *, certificates: Path | None = None, region: str = "", keys: Keys = KEYS
    ) -> None:
        self.folder, self.certificates, self.region, self.keys = folder, certificates, region, keys
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.client: aiohttp.ClientSession

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start on the port of the last time; wait until it answers."""
        program = await asyncio.to_thread(find_minio)
        more = ["--certs-dir", str(self.certificates)] if self.certificates else []
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "MINIO_ROOT_USER": self.keys.access,
            "MINIO_ROOT_PASSWORD": self.keys.secret,
            "MINIO_BROWSER": "off",
            "MINIO_SITE_REGION": self.region,
            "MINIO_UPDATE": "off",
        }
        with (self.folder / "minio.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(program, "server", "--quiet", "--address", self.endpoint, *more),
                str(self.folder / "drive"),
                env=environment,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(60):
            while not await self._answers():
                if self._process.returncode is not None:
                    pytest.fail(f"MinIO ended:\n{(self.folder / 'minio.log').read_text()}")
                await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        try:
            return (await self.ask("GET", "/"))[0] == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        query: Sequence[tuple[str, str]] = (),
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send a signed request; return status and body of the answer."""
        signed = signed_headers(
            self.keys,
            Scope(self.region or "us-east-1", "s3"),
            datetime.now(UTC),
            host=self.endpoint,
            path=quoted(path),
            method=method,
            query=query,
            headers=headers,
            body_hash=hashlib.sha256(body).hexdigest(),
        )
        scheme = "https" if self.certificates else "http"
        text = query_text(query)
        url = URL(
            f"{scheme}://{self.endpoint}{quoted(path)}{f'?{text}' if text else ''}", encoded=True
        )
        async with self.client.request(
            method, url, data=body or None, headers=signed, ssl=False
        ) as answer:
            return answer.status, await answer.read()

    async def bucket(self, name: str) -> None:
        assert (await self.ask("PUT", f"/{name}"))[0] == 200

    async def put(self, path: str, body: bytes = b"{}", **headers: str) -> None:
        """Put an object; `path` is /BUCKET/KEY."""
        status, said = await self.ask("PUT", path, body, headers=headers)
        assert status == 200, said

    async def delete(self, path: str) -> None:
        assert (await self.ask("DELETE", path))[0] == 204


@asynccontextmanager
async def minio(folder: Path, **more: Any) -> AsyncIterator[MinioServer]:
    """Yield a running server."""
    folder.mkdir(exist_ok=True)
    one = MinioServer(folder, **more)
    async with aiohttp.ClientSession() as one.client:
        try:
            await one.start()
            yield one
        finally:
            await one.kill()


def certificates(folder: Path) -> tuple[Path, str]:
    """Make what a server needs for TLS at 127.0.0.1; return its folder, and the CA to trust."""
    folder.mkdir()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(folder / "private.key"), "-out", str(folder / "public.crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    text = (folder / "public.crt").read_text()
    assert ssl.create_default_context(cadata=text)
    return folder, text
