"""AWS for tests: a moto server, started as a process of its own on a free port of loopback.

`from moto_kit import moto_server`. It keeps nothing on disk, and keeps to IAM where it is told.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

REGION = "eu-central-1"
ACCOUNT = "123456789012"
"""The account that moto plays."""
_UP = b"Running on http://127.0.0.1:"


class Moto:
    """One server, and clients that ask it."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "moto.log"
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # ------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Start, on the port of the last time, with nothing in it."""
        try:
            import moto.server  # noqa: F401
        except ImportError:
            reason = "needs a moto server: pip install 'moto[server]'"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        line = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(*line, stdout=log, stderr=log)
        async with asyncio.timeout(60):
            while _UP not in self._log.read_bytes():
                if self._process.returncode is not None:
                    pytest.fail(f"the moto server ended:\n{self._log.read_text()}")
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """End it at once; all that was in it is forgotten."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def restart(self) -> None:
        """Kill it and start it with nothing in it."""
        await self.kill()
        await self.start()

    # ------------------------------------------------------------------------ use

    @asynccontextmanager
    async def client(self, service: str, region: str = REGION) -> AsyncIterator[Any]:
        """Yield a client of the SDK as who may do everything."""
        from aiobotocore.session import get_session

        keys = {"aws_access_key_id": "root", "aws_secret_access_key": "root-secret"}
        async with get_session().create_client(
            service, region_name=region, endpoint_url=self.url, **keys
        ) as one:
            yield one

    async def user(self, *actions: str) -> dict[str, str]:
        """Return key and secret of a new user that may do these actions; IAM counts from now."""
        async with self.client("iam") as iam:
            await iam.create_user(UserName="tocsin")
            for number, action in enumerate(actions):
                allowed = {"Effect": "Allow", "Action": action, "Resource": "*"}
                document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
                await iam.put_user_policy(
                    UserName="tocsin", PolicyName=f"p{number}", PolicyDocument=document
                )
            made = (await iam.create_access_key(UserName="tocsin"))["AccessKey"]
        await self._post("/moto-api/reset-auth", b"0")
        return {"key": made["AccessKeyId"], "secret": made["SecretAccessKey"]}

    async def _post(self, path: str, body: bytes) -> None:
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, data=body) as _,
        ):
            pass


@asynccontextmanager
async def moto_server(folder: Path) -> AsyncIterator[Moto]:
    """Yield a running server whose log is in a folder."""
    one = Moto(folder)
    try:
        await one.start()
        yield one
    finally:
        await one.kill()
