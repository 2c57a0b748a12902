"""The server of Argo Workflows, for the one operation that objects alone cannot do: retry.

ARGO_SERVER is HOST:PORT or a URL; ARGO_TOKEN goes into `Authorization` as it is; ARGO_SECURE=false
means http, ARGO_INSECURE_SKIP_VERIFY=true an unverified certificate, as for the `argo` command.
"""

import os
from collections.abc import Sequence

import aiohttp

from spine.errors import ConfigError, TriggerError
from spine.http.resolver import guarded_connector

SECONDS = 30.0


def _true(name: str, default: str) -> bool:
    return os.environ.get(name, default).strip().lower() in {"1", "t", "true", "yes"}


def server_url() -> str:
    """Return the URL of the server."""
    server = os.environ["ARGO_SERVER"].rstrip("/")
    if server.startswith(("http://", "https://")):
        return server
    return f"{'https' if _true('ARGO_SECURE', 'true') else 'http'}://{server}"


def retry_request(words: Sequence[str]) -> dict[str, object]:
    """Return what is asked besides the name. Raises ConfigError for an unknown argument."""
    asked: dict[str, object] = {}
    parameters: list[str] = []
    left = list(words)
    while left:
        option, equals, value = left.pop(0).partition("=")
        if option == "--restart-successful":
            asked["restartSuccessful"] = value != "false"
        elif option in {"-p", "--parameter", "--node-field-selector"}:
            value = value if equals else (left.pop(0) if left else "")
            if option == "--node-field-selector":
                asked["nodeFieldSelector"] = value
            else:
                parameters.append(value)
        else:
            raise ConfigError(f"reading args {option!r} of retry: it means nothing here")
    return {**asked, "parameters": parameters} if parameters else asked


async def retry(namespace: str, name: str, words: Sequence[str]) -> None:
    """Ask the server to retry a Workflow. Raises TriggerError."""
    url = f"{server_url()}/api/v1/workflows/{namespace}/{name}/retry"
    token = os.environ.get("ARGO_TOKEN", "")
    headers = {"Authorization": token} if token else {}
    body = {"name": name, "namespace": namespace, **retry_request(words)}
    verify = False if _true("ARGO_INSECURE_SKIP_VERIFY", "false") else True  # noqa: SIM211 -- aiohttp takes True or False and nothing else
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=guarded_connector(), timeout=timeout) as client,
            client.put(url, json=body, headers=headers, ssl=verify) as answer,
        ):
            status, text = answer.status, (await answer.text())[:200]
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise TriggerError(f"retrying Workflow {namespace}/{name} at {url}: {exc!r}") from exc
    if status >= 300:  # noqa: PLR2004 -- no success in HTTP
        raise TriggerError(
            f"retrying Workflow {namespace}/{name}: {status}: {text}",
            permanent=status < 500 and status not in {401, 408, 429},  # noqa: PLR2004 -- 5xx
        )
