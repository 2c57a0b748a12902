"""Documents that are read when an action is done: ConfigMap, file, URL, git, S3."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sensor.artifact import GitArtifact, S3Artifact, document_of
from sensor.kubernetes.fetching import fetch
from spine.errors import ConfigError
from spine.runtime import Env, Opening
from spine.secrets import ConfigMapRef

if TYPE_CHECKING:
    from sensor.kubernetes.git.repositories import Repositories


def _git_opening() -> "Opening[Repositories]":
    from sensor.kubernetes.git.repositories import open_repositories

    return open_repositories


class Sources:
    """Reads what the source of a trigger names."""

    def __init__(self, env: Env) -> None:
        self._secrets, self._shared = env.secrets, env.shared
        self._kinds: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[str]]] = {
            "s3": self._s3,
            "file": self._file,
            "url": self._url,
            "git": self._git,
            "configmap": self._config_map,
        }

    async def read(self, source: Mapping[str, Any]) -> bytes:
        """Return the document that a source names, as JSON. Raises ConfigError."""
        kind = next(kind for kind in self._kinds if kind in source)
        return document_of(await self._kinds[kind](source[kind]), kind)

    async def _config_map(self, given: Mapping[str, Any]) -> str:
        return self._secrets.config_map(ConfigMapRef(**given))

    async def _file(self, given: Mapping[str, Any]) -> str:
        try:
            return Path(given["path"]).read_text(encoding="utf-8")  # noqa: ASYNC240 -- small, and local
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"reading source file {given['path']}: {exc}") from exc

    async def _url(self, given: Mapping[str, Any]) -> str:
        return await fetch(given["path"], verify=given.get("verifyCert", True))

    async def _s3(self, given: Mapping[str, Any]) -> str:
        from sensor.kubernetes.s3 import read

        return await read(S3Artifact.model_validate(given), self._secrets)

    async def _git(self, given: Mapping[str, Any]) -> str:
        try:
            opening = await asyncio.to_thread(_git_opening)  # a large library, the first time
            repositories = await self._shared.get("git repositories", opening)
            return await repositories.read(GitArtifact.model_validate(given), self._secrets)
        except ImportError as exc:
            raise ConfigError(
                f"reading source git: {exc}", hint="pip install 'tocsin[git]'"
            ) from exc
