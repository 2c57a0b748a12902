"""Names: which project, and what the subscription is called where nobody gave it a name.

The made-up name is the one that Argo Events makes up, so that who comes from there keeps the
subscription, and every message in it.
"""

import os
from collections.abc import Mapping
from typing import Any

from spine.errors import ConfigError
from spine.gcp import emulator
from spine.lang import gojson

_METADATA_TIMEOUT = 2.0
"""Seconds; the metadata server is on the same machine, or there is none."""


def subscription_id(event: str, members: Mapping[str, Any]) -> str:
    """Return the name of a subscription, `<event>-<hash>`.

    `members` are those of the source that Argo Events knows, in the order in which it writes
    them, without those that are empty: it hashes event name and JSON with 32-bit FNV-1a.
    """
    text = b",".join(
        b"%b:%b" % (gojson.quote(name), gojson.escape(_compact(value)))
        for name, value in members.items()
    )
    return f"{event}-{_fnv1a(event.encode() + b'{' + text + b'}')}"


def _compact(value: Any) -> bytes:
    import orjson

    return orjson.dumps(value)  # a dict keeps its order: those of Go structs are not sorted


def _fnv1a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


async def project(key_project: str) -> str:
    """Return the project where the manifest names none.

    That of the machine, as in Argo Events; then that of the service account's key, and what the
    environment says. Raises ConfigError where nobody knows.
    """
    found = "" if emulator() else await _machine_project() or key_project
    for name in ("PUBSUB_PROJECT_ID", "GOOGLE_CLOUD_PROJECT"):
        found = found or os.environ.get(name, "")
    if not found:
        raise ConfigError(
            "finding the project of a pubSub event: projectID is not given, and this machine"
            " is in none",
            hint="write projectID",
        )
    return found


async def _machine_project() -> str:
    """Ask the metadata server of Google Cloud; empty where there is none."""
    import aiohttp

    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    flavor = {"Metadata-Flavor": "Google"}
    timeout = aiohttp.ClientTimeout(total=_METADATA_TIMEOUT)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=flavor) as session,
            session.get(f"http://{host}/computeMetadata/v1/project/project-id") as answer,
        ):
            ours = answer.ok and answer.headers.get("Metadata-Flavor") == "Google"
            return (await answer.text()).strip() if ours else ""
    except (aiohttp.ClientError, TimeoutError):
        return ""
