"""Files that old manifests name where today's name a key of a Secret."""

from pathlib import Path as FilePath

from typing_extensions import override

from spine.errors import ConfigError
from spine.secrets import ConfigMapRef, SecretRef, Secrets, one_newline_less

FILE = "file:"
"""Name of the Secret that stands for files of the process: no Secret can have it, and a key of
it is a path. Old manifests name key files where today's name a key of a Secret."""


class PathSecrets(Secrets):
    """Reads the files that old manifests name, and all else from another place."""

    def __init__(self, inner: Secrets) -> None:
        self._inner = inner

    @override
    def secret(self, ref: SecretRef) -> str:
        if ref.name != FILE:
            return self._inner.secret(ref)
        try:
            return one_newline_less(FilePath(ref.key).read_text())
        except OSError as exc:
            raise ConfigError(
                f"reading {ref.key}: {exc.strerror}", hint="better keep it in a Secret"
            ) from exc

    @override
    def config_map(self, ref: ConfigMapRef) -> str:
        return self._inner.config_map(ref)
