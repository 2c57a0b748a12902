"""Secret and ConfigMap look-ups.

A component names a key of a Secret; where it comes from is the process's affair: files that a
pod has mounted, manifests that `tocsin run` was given, or values from the command line. Values
are looked up when they are used, so a rotated credential is taken without a restart.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from typing_extensions import override

from spine.errors import ConfigError
from spine.model import Model

MOUNTED_SECRETS = Path("/argo-events/secrets")
MOUNTED_CONFIG_MAPS = Path("/argo-events/config")


class KeyRef(Model):
    """A key of a Secret or ConfigMap in the namespace of the object."""

    name: str = ""
    """Name of the Secret or ConfigMap."""
    key: str
    """Key within it."""
    optional: bool | None = None
    """Whether the key may be missing."""


class SecretRef(KeyRef):
    """A key of a Secret."""


class ConfigMapRef(KeyRef):
    """A key of a ConfigMap."""


@runtime_checkable
class Referring(Protocol):
    """A model that refers to Secrets otherwise than by fields that are references."""

    def secret_references(self) -> Iterator[tuple[tuple[str | int, ...], KeyRef]]:
        """Yield where they stand below it in YAML, and what they are."""
        ...


class Secrets(Protocol):
    """Reads what the process may read. Both raise ConfigError where there is nothing."""

    def secret(self, ref: SecretRef) -> str:
        """Return the current value of a key of a Secret."""
        ...

    def config_map(self, ref: ConfigMapRef) -> str:
        """Return the current value of a key of a ConfigMap."""
        ...


def one_newline_less(text: str) -> str:
    """Drop a single newline at the end, as editors and `echo` leave one."""
    return text.removesuffix("\n")


class GivenSecrets(Secrets):
    """Values known from the start: manifests, options, tests. Keys are `(name, key)`."""

    def __init__(
        self,
        secrets: Mapping[tuple[str, str], str] | None = None,
        config_maps: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self._secrets = dict(secrets or {})
        self._config_maps = dict(config_maps or {})

    @override
    def secret(self, ref: SecretRef) -> str:
        return self._find("Secret", self._secrets, ref)

    @override
    def config_map(self, ref: ConfigMapRef) -> str:
        return self._find("ConfigMap", self._config_maps, ref)

    @staticmethod
    def _find(kind: str, values: Mapping[tuple[str, str], str], ref: KeyRef) -> str:
        if (ref.name, ref.key) in values:
            return one_newline_less(values[ref.name, ref.key])
        keys = sorted(key for name, key in values if name == ref.name)
        known = f"its keys are {', '.join(keys)}" if keys else f"no {kind} of that name is given"
        option = "--secret" if kind == "Secret" else "--config"
        raise ConfigError(
            f"reading key {ref.key!r} of {kind} {ref.name!r}: {known}",
            hint=f"add the {kind} to the manifests or give {option} {ref.name}.{ref.key}=@FILE",
        )


class MountedSecrets(Secrets):
    """Files `ROOT/NAME/KEY`, as the controller mounts them into a pod; read at each look-up."""

    def __init__(
        self, secrets: Path = MOUNTED_SECRETS, config_maps: Path = MOUNTED_CONFIG_MAPS
    ) -> None:
        self._secrets = secrets
        self._config_maps = config_maps

    @override
    def secret(self, ref: SecretRef) -> str:
        return self._read("Secret", self._secrets, ref)

    @override
    def config_map(self, ref: ConfigMapRef) -> str:
        return self._read("ConfigMap", self._config_maps, ref)

    @staticmethod
    def _read(kind: str, root: Path, ref: KeyRef) -> str:
        for part in (ref.name, ref.key):
            if "/" in part or part in {"", ".", ".."}:  # other files of the pod are no Secrets
                raise ConfigError(
                    f"reading key {ref.key!r} of {kind} {ref.name!r}: {part!r} cannot be a name"
                )
        path = root / ref.name / ref.key
        try:
            return one_newline_less(path.read_text())
        except OSError as exc:
            raise ConfigError(
                f"reading key {ref.key!r} of {kind} {ref.name!r} from {path}: {exc.strerror}",
                hint=f"mount the {kind} there",
            ) from exc


class LayeredSecrets(Secrets):
    """Several places, asked in turn; the complaint is that of the first."""

    def __init__(self, *layers: Secrets) -> None:
        self._layers = layers

    @override
    def secret(self, ref: SecretRef) -> str:
        return self._first(lambda layer: layer.secret(ref))

    @override
    def config_map(self, ref: ConfigMapRef) -> str:
        return self._first(lambda layer: layer.config_map(ref))

    def _first(self, look: Callable[[Secrets], str]) -> str:
        complaint: ConfigError | None = None
        for layer in self._layers:
            try:
                return look(layer)
            except ConfigError as exc:
                complaint = complaint or exc
        raise complaint or ConfigError("there is no place to read Secrets from")
