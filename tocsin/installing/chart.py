"""Renders the chart without Helm, with our own engine for Go templates.

There is one description of what is installed, the chart; a test holds that what comes out of here
and out of Helm are the same objects. Of Helm's own functions and objects it has those that the
chart uses: include and toYaml; .Values, .Release, .Chart and .Files.
"""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import yaml

from spine.errors import ConfigError
from spine.lang import EvaluationError, gotemplate
from spine.lang.gotemplate.functions import Function
from spine.lang.gotemplate.runtime import MISSING
from spine.lang.govalue import Int

_PACKAGED = Path(__file__).parent.parent / "chart"
"""Where the chart is in what pip installs."""
_CHECKED_OUT = Path(__file__).parent.parent.parent / "charts" / "tocsin"
_HELPERS = "_helpers.tpl"
_ORDER = (
    *("Namespace", "CustomResourceDefinition", "NetworkPolicy", "PodDisruptionBudget"),
    *("ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Role"),
    *("RoleBinding", "Service", "Deployment"),
)
"""Kinds in the order in which they are written; all others follow."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is installed where."""

    name: str = "tocsin"
    namespace: str = "tocsin"
    service: str = "tocsin"
    """Who installs; it stands in the label `app.kubernetes.io/managed-by`."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One object, and its text as the chart has it."""

    text: str
    manifest: Mapping[str, Any]

    @property
    def rank(self) -> tuple[int, str, str]:
        """Where it stands among the others."""
        kind = self.manifest["kind"]
        place = _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
        return place, kind, self.manifest["metadata"]["name"]


@dataclass(frozen=True)
class Files:
    """`.Files` of a template: all files of the chart that are no templates."""

    folder: Path

    def get(self, name: str) -> str:
        """Return the text of a file; empty where there is none, as with Helm."""
        path = self.folder / name
        return path.read_text("utf-8") if path.is_file() else ""

    def glob(self, pattern: str) -> dict[str, str]:
        """Return the files whose path fits, with their texts."""
        names = (path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*"))
        found = sorted(name for name in names if fnmatch.fnmatchcase(name, pattern))
        return {name: self.get(name) for name in found}

    GO_METHODS: ClassVar[Mapping[str, Function]] = {
        "Get": Function("Get", "string", get),
        "Glob": Function("Glob", "string", glob),
    }


@dataclass
class Chart:
    """A chart in a folder."""

    folder: Path
    _compiled: dict[str, gotemplate.Template] = field(default_factory=dict)

    @classmethod
    def ours(cls) -> "Chart":
        """Return the chart that came with this version. Raises ConfigError where it is missing."""
        for folder in (_PACKAGED, _CHECKED_OUT):
            if (folder / "Chart.yaml").is_file():
                return cls(folder)
        raise ConfigError(
            f"reading the chart in {_PACKAGED}: it is not there", hint="install tocsin anew"
        )

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Name, version and the like, as `.Chart` has them."""
        found = _read(self.text("Chart.yaml"))
        return {key[:1].upper() + key[1:]: value for key, value in found.items()}

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values as nobody sets them."""
        found = _read(self.text("values.yaml"))
        assert isinstance(found, dict)
        return found

    def text(self, name: str) -> str:
        """Return the text of a file."""
        return (self.folder / name).read_text("utf-8")

    def render(self, values: Mapping[str, Any], release: Release) -> list[Rendered]:
        """Return all objects, in the order in which they are to be written.

        `values` is complete and was checked. Raises ConfigError for what a template refuses.
        """
        root = self._root(values, release)
        found: list[Rendered] = []
        for path in sorted((self.folder / "templates").glob("*.yaml")):
            found += _documents(self._text_of(path.name, root))
        return sorted(found, key=lambda one: one.rank)

    def notes(self, values: Mapping[str, Any], release: Release) -> str:
        """Return what is said after it was installed."""
        return self._text_of("NOTES.txt", self._root(values, release))

    def _root(self, values: Mapping[str, Any], release: Release) -> dict[str, Any]:
        return {
            "Values": _go(values),
            "Chart": self.metadata,
            "Release": {
                "Name": release.name,
                "Namespace": release.namespace,
                "Service": release.service,
            },
            "Files": Files(self.folder),
        }

    def _text_of(self, name: str, root: Any) -> str:
        try:
            text = self._template(self.text(f"templates/{name}")).render(root)
        except EvaluationError as exc:
            raise ConfigError(f"rendering {name} of the chart: {exc}") from exc
        return text.replace("<no value>", "")  # as Helm does

    def _template(self, text: str) -> gotemplate.Template:
        found = self._compiled.get(text)
        if found is None:
            found = gotemplate.compile(self._helpers + text, self._functions)
            self._compiled[text] = found
        return found

    @cached_property
    def _helpers(self) -> str:
        return self.text(f"templates/{_HELPERS}") + "{{- /**/ -}}\n"

    @cached_property
    def _functions(self) -> dict[str, Function]:
        def include(name: str, data: Any) -> str:
            return self._template(f'{{{{ template "{name}" . }}}}').render(data)

        return {
            "include": Function("include", "string any", include, deep=False),
            "toYaml": Function("toYaml", "any", to_yaml),
        }


def _read(text: str) -> Any:
    """Return what YAML says, read by C where that is there: CRDs are long."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 -- a safe one


def _documents(text: str) -> Iterator[Rendered]:
    for part in re.split(r"^---[ \t]*$", text, flags=re.MULTILINE):
        manifest = _read(part)
        if manifest is not None:
            yield Rendered(part.strip("\n") + "\n", manifest)


# ---------------------------------------------------------------------------- values


def _go(value: Any) -> Any:
    """Return a value with Go's types."""
    if isinstance(value, Mapping):
        return {key: _go(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_go(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return Int(value)
    return value


def _python(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _python(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_python(item) for item in value]
    if isinstance(value, Int):
        return int(value)
    return None if value is MISSING else value


class _Dumper(yaml.SafeDumper):
    """Writes texts so that no reader of YAML, of 1.1 or 1.2, takes them for something else."""


_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def to_yaml(value: Any) -> str:
    """Return a value as YAML, without a line break at the end."""
    made = yaml.dump(_python(value), Dumper=_Dumper, width=1 << 20, allow_unicode=True)
    assert isinstance(made, str)
    return made.removesuffix("\n").removesuffix("\n...")
