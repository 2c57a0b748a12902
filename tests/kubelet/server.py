"""Answers what the API server asks a kubelet on behalf of people: what containers said."""

import asyncio
import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

LOOK = 0.1
"""Seconds between two looks at a log that is followed."""


def certificate(folder: Path) -> ssl.SSLContext:
    """Return TLS with a certificate that nobody checks: the API server is told of no authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test-kubelet")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=9))
        .sign(key, hashes.SHA256())
    )
    file = folder / "kubelet.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


Find = Callable[[str, str, str], tuple[Path, Callable[[], bool]] | None]
"""Folder of the logs of a container, by namespace, pod and name; and whether it may say more."""


class Server:
    """The kubelet's own server; `port` is where."""

    def __init__(self, address: str, folder: Path, find: Find) -> None:
        self._address, self._folder, self._find = address, folder, find
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        tls = certificate(self._folder)
        await web.TCPSite(runner, self._address, 0, ssl_context=tls).start()
        self.port = runner.addresses[0][1]

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        asked, query = request.match_info, request.query
        found = self._find(asked["namespace"], asked["pod"], asked["container"])
        runs = sorted(found[0].glob("*.log"), key=lambda file: int(file.stem)) if found else []
        if query.get("previous") == "true":
            runs = runs[:-1]
        if found is None or not runs:
            return web.Response(status=400, text=f"container {asked['container']} has no log yet")
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        with runs[-1].open("rb") as file:
            text = file.read()
            if "tailLines" in query:
                count = int(query["tailLines"])
                text = b"".join(text.splitlines(keepends=True)[-count:]) if count else b""
            await answer.write(text)
            while query.get("follow") == "true" and found[1]():
                await asyncio.sleep(LOOK)
                await answer.write(file.read())
        await answer.write_eof()
        return answer
