"""Where the object that a trigger makes is written down.

`resource` and `inline` stand in the Sensor itself: they are read when it is planned. All others
are read whenever the action is done, so that a changed one counts at once; for `git` that means
the commit that the branch has then.

A text is one document, YAML or JSON. It is read by the rules of YAML 1.1, as in Argo Events:
`yes` is true, `012` is ten, and of several documents the first counts.
"""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import Field, field_validator, model_validator

from sensor import yaml_body
from sensor.fields import Flag, Integer, Name
from spine.access import BasicAuth
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


_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""A host, and a port where it has another than its scheme's."""


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
        if endpoint and not _HOST.fullmatch(endpoint):
            raise ValueError("write HOST or HOST:PORT; insecure: true is for http")
        return endpoint

    @model_validator(mode="after")
    def _has_both_keys(self) -> "S3Artifact":
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("accessKey and secretKey belong together: set both")
        return self


class GithubApp(Model):
    """A GitHub App that may read a repository."""

    private_key: SecretRef
    """Where its RSA key (PEM) stands."""
    app_id: Annotated[Integer, Field(alias="appID")]
    """Its number."""
    installation_id: Annotated[Integer, Field(alias="installationID")]
    """Number of its installation."""


class GitRemote(Model):
    """Another remote, looked at before the URL."""

    name: Name
    """Its name; of no effect, as nothing is checked out."""
    urls: Annotated[list[str], Field(min_length=1)]
    """Its URLs, of which the first is read from."""


class GitArtifact(Model):
    """A file of a git repository, up to 1 MiB; needs `pip install 'tocsin[git]'`."""

    url: Name
    """Repository: https://HOST/PATH, http, ssh, or USER@HOST:PATH."""
    clone_directory: str = ""
    """Of no effect: nothing is checked out."""
    creds: BasicAuth | None = None
    """Name and password, or a token in its place."""
    github_app: GithubApp | None = None
    """GitHub App to read as; creds come first."""
    ssh_key_secret: SecretRef | None = None
    """Where an SSH key without passphrase stands."""
    file_path: Name
    """Path of the file in the repository."""
    branch: str = ""
    """Branch; where nothing is set, the one that the repository itself calls its own."""
    tag: str = ""
    """Tag, before the branch."""
    ref: str = ""
    """Any other reference, or the full id of a commit; before tag and branch."""
    remote: GitRemote | None = None
    """Another remote to read from; the URL where it has no such reference."""
    insecure_ignore_host_key: Flag = False
    """Whether any SSH host key will do; else it must be in a file that SSH_KNOWN_HOSTS names, or in
    `~/.ssh/known_hosts`."""

    @field_validator("file_path", "clone_directory")
    @classmethod
    def _stays_inside(cls, path: str) -> str:
        if ".." in path or "~" in path or "\\" in path:
            raise ValueError("it holds .., ~ or a backslash")
        return path

    @model_validator(mode="after")
    def _has_effect(self) -> "GitArtifact":
        if self.clone_directory:
            warn("cloneDirectory: of no effect, as nothing is checked out")
        if self.insecure_ignore_host_key:
            warn("insecureIgnoreHostKey: whoever is in between can pass for the server")
        return self

    def check(self) -> None:
        """Raise ConfigError for what can never be read."""
        from sensor.kubernetes.git.place import place_of

        for url in (self.url, *(self.remote.urls[:1] if self.remote else ())):
            ssh = place_of(url).scheme == "ssh"
            if not ssh and self.ssh_key_secret and not (self.creds or self.github_app):
                raise ConfigError(
                    f"reading source git: sshKeySecret is for SSH, and {url} is not",
                    hint="write USER@HOST:PATH, or use creds",
                )
            if ssh and not (self.ssh_key_secret or self.creds):
                raise ConfigError(
                    "reading source git: there is no key for SSH", hint="set sshKeySecret"
                )


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
    """Object of S3, fetched whenever the action is done."""
    git: GitArtifact | None = None
    """File of a git repository, as it is whenever the action is done."""

    @model_validator(mode="after")
    def _one(self) -> "ArtifactLocation":
        kinds = [name for name in _ORDER if getattr(self, name) is not None]
        for name in kinds[1:]:
            warn(f"{name}: ignored: only {kinds[0]} counts")
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
        if kind == "git" and self.git is not None:
            self.git.check()

    def require(self) -> None:
        """Raise ConfigError where what reads the source is not installed."""
        if self.kind == "git" and not find_spec("dulwich"):
            raise ConfigError(
                "reading source git: dulwich is not installed", hint="pip install 'tocsin[git]'"
            )

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
