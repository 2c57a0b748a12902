"""How to reach a bus: what the controller hands to each process, and what `tocsin run` does.

The shape of EVENTBUS_CONFIG and of an EventBus's `status.config`: one key, `jetstream`, `kafka`
or `nats`. Credentials stay in files or Secrets and are read again for each connection, so a
rotated password is taken without a restart.
"""

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from eventbus.settings import StreamSettings
from spine.errors import ConfigError
from spine.model import Model, warn
from spine.secrets import SecretRef, Secrets

log = logging.getLogger(__name__)

AUTH_FILE = Path("/etc/eventbus/auth/auth.yaml")
"""Where the controller mounts the key of `accessSecret`."""
_SCHEMES = {"nats", "tls", "ws", "wss"}


class BusTls(Model):
    """TLS to the bus."""

    ca_cert_secret: SecretRef | None = None
    """Certificates of the authorities that may have signed the server's."""
    client_cert_secret: SecretRef | None = None
    """Our certificate, where the server wants one."""
    client_key_secret: SecretRef | None = None
    """The key of it."""
    insecure_skip_verify: bool = False
    """Take any certificate of the server."""
    enabled: bool | None = None
    """Whether TLS is demanded; it is, where `tls` is given and this is absent."""


class JetStreamConfig(Model):
    """A JetStream server or cluster that exists."""

    url: Annotated[str, Field(min_length=1)]
    """One server or several with commas between; nats://, tls://, ws:// or wss://."""
    access_secret: SecretRef | None = None
    """Key of a Secret whose text is YAML with username and password, or token, or just a token."""
    tls: BusTls | None = None
    """Absent: without TLS, or with whatever TLS the server insists on, unverified, as upstream."""
    stream_config: str = ""
    """YAML of the limits of the stream of events, used when it is created."""
    token_file: str = ""
    """File with a token (ours)."""
    creds_file: str = ""
    """File with a JWT and its seed, as `nsc` writes it (ours)."""
    nkey_file: str = ""
    """File with the seed of an nkey (ours)."""

    @field_validator("url")
    @classmethod
    def _reachable(cls, url: str) -> str:
        for one in servers(url):
            try:
                parts = urlsplit(one)
                parts.port  # noqa: B018 -- raises for a port that is none
            except ValueError as exc:
                raise ValueError(f"not the address of a server: {exc}") from exc
            if parts.scheme not in _SCHEMES or not parts.hostname:
                raise ValueError("not the address of a server; write nats://HOST:4222")
        return url

    @field_validator("stream_config")
    @classmethod
    def _readable(cls, text: str) -> str:
        try:
            StreamSettings.parse(text, on_warning=warn)
        except ConfigError as exc:
            raise ValueError(str(exc)) from exc
        return text


class StanConfig(Model):
    """A NATS Streaming server. Its end of life was in 2023; there is no client for it any more."""

    url: str
    """Address of the server."""
    cluster_id: Annotated[str | None, Field(alias="clusterID")] = None
    """Cluster of the server."""
    auth: str | None = None
    """How clients log in."""
    access_secret: SecretRef | None = None
    """YAML with the token."""


class BusConfig(Model):
    """The configuration of a bus; exactly one key is set."""

    jetstream: JetStreamConfig | None = None
    kafka: dict[str, Any] | None = None
    nats: StanConfig | None = None

    def settings(self) -> StreamSettings | None:
        """Return the stream's limits of `streamConfig`; None where it says nothing."""
        text = self.jetstream.stream_config if self.jetstream else ""
        if not text.strip():
            return None
        return StreamSettings.parse(text, on_warning=lambda _: None)  # told when it was read

    def require_jetstream(self) -> JetStreamConfig:
        """Return the JetStream part. Raises ConfigError for other kinds."""
        if self.nats is not None:
            raise ConfigError(
                f"opening the bus at {shown(self.nats.url)}: NATS Streaming ended in 2023",
                hint="use an EventBus with jetstream or jetstreamExotic",
            )
        if self.jetstream is None and self.kafka is not None:
            raise ConfigError(
                "opening the bus: kafka is a known kind of bus that is not built yet",
                hint="use an EventBus with jetstream or jetstreamExotic",
            )
        if self.jetstream is None:
            raise ConfigError("opening the bus: no kind of bus is configured", hint="set jetstream")
        return self.jetstream


def servers(url: str) -> tuple[str, ...]:
    """Return the servers of a list with commas; one without a scheme is nats://."""
    found = [one.strip() for one in url.split(",") if one.strip()]
    return tuple(one if "://" in one else f"nats://{one}" for one in found)


def shown(url: str) -> str:
    """Return a URL without its user and password."""
    return ", ".join(without_user(one) for one in servers(url))


# ---------------------------------------------------------------------------- credentials


def credentials(config: JetStreamConfig, secrets: Secrets) -> dict[str, Any]:
    """Return user and password, token, creds or nkey_seed, as far as they are configured."""
    if config.creds_file:
        path = Path(config.creds_file)
        _read(path, "creds file")
        return {"creds": path}
    if config.nkey_file:
        return {"nkey_seed": _read(Path(config.nkey_file), "nkey file").strip()}
    if config.token_file:
        return {"token": _read(Path(config.token_file), "token file").strip()}
    if config.access_secret is not None:
        return _parsed(_access_text(config.access_secret, secrets), config.access_secret)
    return _in_url(config.url)


def _in_url(url: str) -> dict[str, Any]:
    for one in servers(url):
        parts = urlsplit(one)
        if parts.username and parts.password is None:
            return {"token": unquote(parts.username)}
        if parts.username:
            return {"user": unquote(parts.username), "password": unquote(parts.password or "")}
    return {}


def without_user(url: str) -> str:
    """Return the URL of a server without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _access_text(ref: SecretRef, secrets: Secrets) -> str:
    try:
        return secrets.secret(ref)
    except ConfigError:
        if AUTH_FILE.exists():
            return _read(AUTH_FILE, "credentials of the bus")
        raise


def _parsed(text: str, ref: SecretRef) -> dict[str, Any]:
    import yaml

    from spine import safe_yaml

    what = f"reading key {ref.key!r} of Secret {ref.name!r} (accessSecret of the bus)"
    try:
        raw = safe_yaml.load(text)
    except yaml.YAMLError:
        raw = text.strip()
    if isinstance(raw, Mapping):
        values = {str(k).lower(): str(v) for k, v in raw.items() if v not in {None, ""}}
        if "username" in values and "password" in values:
            return {"user": values["username"], "password": values["password"]}
        if "token" in values:
            return {"token": values["token"]}
        raise ConfigError(
            f"{what}: neither username and password nor token in it",
            hint="write YAML: `username: …` and `password: …`, or `token: …`",
        )
    if not text.strip() or isinstance(raw, list):
        raise ConfigError(f"{what}: empty or a list", hint="write YAML or just a token")
    return {"token": text.strip()}


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "not text"
        raise ConfigError(f"reading {what} {path}: {why}") from exc


# ---------------------------------------------------------------------------- TLS


def tls_context(config: JetStreamConfig, secrets: Secrets) -> tuple[ssl.SSLContext, bool]:
    """Return the TLS context, and whether a server without TLS is refused."""
    tls = config.tls
    schemes = {urlsplit(one).scheme for one in servers(config.url)}
    demanded = bool(schemes & {"tls", "wss"}) or (tls is not None and tls.enabled is not False)
    if tls is None and not demanded:
        context = _unverified(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # authorities take long
    elif tls is not None and tls.ca_cert_secret is not None:
        context = _ca_only(secrets.secret(tls.ca_cert_secret), tls.ca_cert_secret)
    else:
        context = ssl.create_default_context()
    if tls is not None and tls.insecure_skip_verify:
        _unverified(context)
    if tls is not None and (tls.client_cert_secret or tls.client_key_secret):
        _present(context, tls, secrets)
    return context, demanded


def _unverified(context: ssl.SSLContext) -> ssl.SSLContext:
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ca_only(pem: str, ref: SecretRef) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError(
            f"reading key {ref.key!r} of Secret {ref.name!r} (tls.caCertSecret): {exc}",
            hint="it holds PEM certificates",
        ) from exc


def _present(context: ssl.SSLContext, tls: BusTls, secrets: Secrets) -> None:
    """Load our certificate; the library reads files only, so it goes through a private one."""
    import tempfile

    if tls.client_cert_secret is None or tls.client_key_secret is None:
        raise ConfigError(
            "reading tls of the bus: clientCertSecret and clientKeySecret belong together"
        )
    pair = secrets.secret(tls.client_cert_secret) + "\n" + secrets.secret(tls.client_key_secret)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # mode 0600
        file.write(pair + "\n")
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except (ssl.SSLError, OSError) as exc:
            raise ConfigError(
                f"reading clientCertSecret and clientKeySecret of the bus: {exc}",
                hint="they hold a PEM certificate and its unencrypted key",
            ) from exc
