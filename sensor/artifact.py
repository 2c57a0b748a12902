"""Where the object that a trigger makes is written down.

`resource` and `inline` stand in the Sensor itself: they are read when it is planned. All others
are read whenever the action is done, so that a changed one counts at once; for `git` that means
the commit that the branch has then.

A text is one document, YAML or JSON. It is read by the rules of YAML 1.1, as in Argo Events:
`yes` is true, `012` is ten, and of several documents the first counts.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import Field, field_validator, model_validator

from sensor import yaml_body
from sensor.credentials import BasicAuth
from sensor.fields import Flag, Integer, Name
from spine.errors import ConfigError
from spine.model import Model, warn
from spine.secrets import ConfigMapRef, SecretRef


class ConfigMapArtifact(ConfigMapRef):
    """A key of a ConfigMap that holds the document."""

    name: Name
    """Name of the ConfigMap."""
    dead_keys: ClassVar[Mapping[str, str]] = {
        "namespace": "ConfigMaps are taken from the namespace of the Sensor"
    }


class FileArtifact(Model):
    """A file in the process's own file system."""

    path: Name
    """Its path."""


class UrlArtifact(Model):
    """A document behind a URL, up to 512 KiB; TOCSIN_EGRESS may name the hosts that are allowed."""

    path: Name
    """Its URL."""
    verify_cert: Flag = True
    """Whether the server must prove who it is; Argo Events asks for that only where it is set."""


class S3Bucket(Model):
    """A bucket, and the object in it."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    """Name of the bucket."""
    key: Name
    """Key of the object."""


class S3Artifact(Model):
    """An object of S3, or of a server that speaks like it, up to 1 MiB."""

    endpoint: str = ""
    """Host and port of the service; empty is AWS."""
    bucket: S3Bucket
    """Where the object stands."""
    region: str = ""
    """Region of the bucket; empty: as the endpoint or the service says."""
    insecure: Flag = False
    """Whether to speak http."""
    access_key: SecretRef | None = None
    """Where the access key stands; without keys only what is for everybody is read."""
    secret_key: SecretRef | None = None
    """Where the secret key stands."""
    ca_certificate: SecretRef | None = None
    """Where CA certificates (PEM) to trust instead of the system's stand."""
    events: list[str] = []
    """Of no effect here."""
    filter: dict[str, str] | None = None
    """Of no effect here."""
    metadata: dict[str, str] = {}
    """Of no effect here."""

    @field_validator("endpoint")
    @classmethod
    def _is_host(cls, endpoint: str) -> str:
        if "/" in endpoint or "@" in endpoint:
            raise ValueError("write HOST or HOST:PORT; insecure: true is for http")
        return endpoint

    @model_validator(mode="after")
    def _has_both_keys(self) -> "S3Artifact":
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("accessKey and secretKey belong together: set both")
        return self


class GithubApp(Model):
    """A GitHub App to clone as."""

    private_key: SecretRef
    """Where its key stands."""
    app_id: Annotated[Integer, Field(alias="appID")]
    """Its number."""
    installation_id: Annotated[Integer, Field(alias="installationID")]
    """Number of its installation."""


class GitRemote(Model):
    """Another remote to fetch from."""

    name: Name
    """Its name."""
    urls: list[str] = []
    """Its URLs."""


class GitArtifact(Model):
    """A file of a git repository; fetching it comes with a later release."""

    url: Name
    """Repository."""
    clone_directory: str = ""
    """Where to clone it to; none: to a folder of its own."""
    creds: BasicAuth | None = None
    """Name and password."""
    github_app: GithubApp | None = None
    """GitHub App to clone as."""
    ssh_key_secret: SecretRef | None = None
    """Where an SSH key stands."""
    file_path: Name
    """Path of the file in the repository."""
    branch: str = ""
    """Branch; where nothing is set it is `master`."""
    tag: str = ""
    """Tag, before the branch."""
    ref: str = ""
    """Any other reference, before tag and branch."""
    remote: GitRemote | None = None
    """Another remote to fetch from."""
    insecure_ignore_host_key: Flag = False
    """Whether any SSH host key will do."""

    @field_validator("file_path", "clone_directory")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if ".." in path or "~" in path or "\\" in path:
            raise ValueError("it holds .., ~ or a backslash")
        return path


_LATER = ("s3", "git")
_ORDER = ("s3", "inline", "file", "url", "git", "configmap", "resource")
"""Of several sources the first counts."""


class ArtifactLocation(Model):
    """Where an object is written down; one of these."""

    resource: dict[str, Any] | None = None
    """The object itself."""
    inline: str | None = None
    """YAML or JSON of the object, as a text."""
    configmap: ConfigMapArtifact | None = None
    """Key of a ConfigMap, read whenever the action is done."""
    file: FileArtifact | None = None
    """File, read whenever the action is done."""
    url: UrlArtifact | None = None
    """Document behind a URL, fetched whenever the action is done."""
    s3: S3Artifact | None = None
    """Object of S3; comes with a later release."""
    git: GitArtifact | None = None
    """File of a git repository; comes with a later release."""

    @model_validator(mode="after")
    def _one(self) -> "ArtifactLocation":
        kinds = [name for name in _ORDER if getattr(self, name) is not None]
        if len(kinds) > 1:
            warn(f"{', '.join(kinds)}: only {kinds[0]} counts")
        return self

    @property
    def kind(self) -> str:
        """The source that counts; empty where none is set."""
        return next((name for name in _ORDER if getattr(self, name) is not None), "")

    def check(self) -> None:
        """Raise ConfigError where no object can ever come of it."""
        kind = self.kind
        if not kind:
            raise ConfigError("reading source: it is empty", hint="set resource, inline or another")
        if kind in _LATER:
            raise ConfigError(f"reading source {kind}: known but not built yet")

    def document(self) -> bytes | None:
        """Return the JSON of an object that stands in the Sensor; None: it is read later.

        Raises ConfigError for a text that is no document.
        """
        if self.kind == "resource":
            return orjson.dumps(self.resource)
        return document_of(self.inline or "", "inline") if self.kind == "inline" else None


def document_of(text: str, what: str) -> bytes:
    """Return the first document of a text as JSON. Raises ConfigError."""
    try:
        return yaml_body.to_json(text.encode(errors="surrogatepass"))
    except ValueError as exc:
        raise ConfigError(f"reading source {what}: no YAML: {exc}") from exc
