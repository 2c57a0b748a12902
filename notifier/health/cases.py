"""Cases of health checks in the format of Argo CD's `health_test.yaml`.

    tests:
    - healthStatus: {status: Healthy, message: all is well}
      inputPath: testdata/healthy.yaml

Paths are relative to the file. A case without a message takes any.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import override

from notifier.health.conditions import Object
from notifier.health.status import Health
from spine.errors import ConfigError
from spine.marked import Malformed, documents


class Case(NamedTuple):
    """One object and the health that it has."""

    file: Path
    """File of the object."""
    obj: Object
    wanted: Health
    any_message: bool

    @override
    def __str__(self) -> str:
        return f"{self.file.parent.parent.name}/{self.file.stem}"

    def passes(self, found: Health | None) -> bool:
        """Say whether a health is the one that is wanted."""
        if found is None:
            return False
        return found == self.wanted or (self.any_message and found.status == self.wanted.status)


def cases(file: Path) -> Iterator[Case]:
    """Yield the cases of a file. Raises ConfigError."""
    given = _first(file, lambda value: isinstance(value, dict) and "tests" in value)
    for number, one in enumerate(given["tests"] or ()):
        keys = {str(key).lower(): value for key, value in one.items()}
        try:
            health, path = keys["healthstatus"], file.parent / keys["inputpath"]
            wanted = Health(health["status"], health.get("message") or "")
        except (KeyError, TypeError) as exc:
            raise ConfigError(
                f"reading case {number + 1} of {file}: {exc}",
                hint="write healthStatus: {status: Healthy} and inputPath: FILE",
            ) from exc
        obj = _first(path, lambda value: isinstance(value, dict) and "kind" in value)
        yield Case(path, obj, wanted, "message" not in health)


def _first(file: Path, wanted: Callable[[Any], bool]) -> Any:
    """Return the first document of a file that is wanted. Raises ConfigError."""
    try:
        text = file.read_text(encoding="utf-8")
        for one in documents(text, last_wins=True):
            if wanted(one.value):
                return one.value
    except OSError as exc:
        raise ConfigError(f"reading {file}: {exc.strerror}") from exc
    except (Malformed, UnicodeDecodeError) as exc:
        raise ConfigError(f"reading {file}: {exc}") from exc
    raise ConfigError(f"reading {file}: nothing of use is in there")
