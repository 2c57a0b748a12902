"""Tokens as Google makes them out for push subscriptions, with a key of our own.

`from pubsub_tokens import Issuer`.
"""

import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.auth import crypt, jwt

AUDIENCE = "https://hooks.example.com/pubsub"
EMAIL = "push@shop-project.iam.gserviceaccount.com"


def _number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """Return a key as text."""
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form).decode()


class Issuer:
    """Who signs, and a server that publishes the keys."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False
        self.max_age = 3600
        self.url = ""
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.published: list[str] = []
        self.make("first")

    def make(self, kid: str, *, publish: bool = True) -> None:
        """Make a key, and publish it."""
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if publish:
            self.published.append(kid)

    def claims(self, **other: Any) -> dict[str, Any]:
        """Return what a good token says, with some of it changed; None: left out."""
        now = int(time.time())
        good = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "email": EMAIL,
            "email_verified": True,
            "sub": "1",
            "iat": now,
            "exp": now + 3600,
        }
        return {name: value for name, value in {**good, **other}.items() if value is not None}

    def token(self, kid: str = "first", signed_by: str = "", **other: Any) -> bytes:
        """Return a token."""
        signer = crypt.RSASigner.from_string(private_pem(self.keys[signed_by or kid]), kid)
        return jwt.encode(signer, self.claims(**other))

    def key_set(self) -> dict[str, Any]:
        """Return the published keys as Google publishes them."""
        public = {kid: self.keys[kid].public_key().public_numbers() for kid in self.published}
        made = [
            {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid}
            | {"n": _number(one.n), "e": _number(one.e)}
            for kid, one in public.items()
        ]
        return {"keys": [*made, {"kty": "EC", "kid": "other", "crv": "P-256"}]}

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.down:
            return web.Response(status=503)
        age = {"Cache-Control": f"public, max-age={self.max_age}, must-revalidate"}
        return web.Response(
            text=json.dumps(self.key_set()), content_type="application/json", headers=age
        )

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Issuer"]:
        """Publish the keys while the block lasts."""
        app = web.Application()
        app.router.add_get("/certs", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/certs"
        try:
            yield self
        finally:
            await runner.cleanup()
