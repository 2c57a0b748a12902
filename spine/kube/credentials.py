"""Where an API server is and who we are to it: kubeconfig, or what a pod is given."""

import base64
import json
import os
import ssl
from pathlib import Path
from typing import Any

from spine.errors import ConfigError
from spine.lazily import bare

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


async def credentials(kubeconfig: str = "", context: str = "") -> tuple[Any, str]:
    """Return a configuration of the official client and the namespace that goes with it.

    Without a file it is KUBECONFIG, then what a pod is given, then `~/.kube/config`. Raises
    ConfigError where none can be used.
    """
    file = kubeconfig or os.environ.get("KUBECONFIG", "")
    if not file and "KUBERNETES_SERVICE_HOST" in os.environ:
        return _of_pod()
    if not file:
        home = Path.home() / ".kube" / "config"
        if not home.exists():
            raise ConfigError(
                "connecting to Kubernetes: no kubeconfig, and this is no pod",
                hint="give --kubeconfig FILE or set KUBECONFIG",
            )
        file = str(home)
    return await _of_file(file, context)


def _of_the_client() -> tuple[Any, Any]:
    """Return the official client's reader of configurations, and an empty one.

    Not the client that blocks, which the package loads before it, nor the rest of this one: 19 MiB.
    """
    with bare("kubernetes"), bare("kubernetes.aio"):
        from kubernetes.aio import config
        from kubernetes.aio.client import Configuration
    return config, Configuration()


def _of_pod() -> tuple[Any, str]:
    config, configuration = _of_the_client()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as exc:
        raise ConfigError(f"reading the service account of this pod: {exc}") from exc
    try:
        namespace = (ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        namespace = ""
    return configuration, namespace or "default"


def own_account() -> str:
    """Return the service account of this pod as NAMESPACE/NAME; empty where this is no pod."""
    try:
        claims = (ACCOUNT / "token").read_text(encoding="ascii").split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return ""
    return str(said).removeprefix("system:serviceaccount:").replace(":", "/", 1)


def _require_one(files: str) -> None:
    """Raise ConfigError if none of the files is there; the library takes that for empty ones."""
    if not any(Path(one).is_file() for one in files.split(os.pathsep) if one):
        raise ConfigError(f"reading kubeconfig {files}: there is no such file")


async def _of_file(file: str, context: str) -> tuple[Any, str]:
    from yaml import YAMLError

    _require_one(file)
    config, configuration = _of_the_client()
    try:
        await config.load_kube_config(
            config_file=file, context=context or None, client_configuration=configuration
        )
        contexts, active = config.list_kube_config_contexts(file)
    except config.ConfigException as exc:
        raise ConfigError(f"reading kubeconfig {file}: {exc}") from exc
    except OSError as exc:
        raise ConfigError(f"reading kubeconfig {file}: {exc.strerror}") from exc
    except (YAMLError, TypeError, AttributeError, ValueError) as exc:  # of a file of other things
        raise ConfigError(f"reading kubeconfig {file}: it is no kubeconfig") from exc
    if context:
        active = next((one for one in contexts if one.get("name") == context), {})
    return configuration, ((active or {}).get("context") or {}).get("namespace") or "default"


def tls(configuration: Any) -> ssl.SSLContext | bool:
    """Return how the server is verified and who we prove to be."""
    if not configuration.host.startswith("https:"):
        return True
    context = ssl.create_default_context(
        cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data
    )
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Clusters of older tools have certificates that lack what strict checking demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
