"""Reads a Dockerfile: as much of its language as ours uses, and an error for anything else."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_VARIABLE = re.compile(r"\$\{(\w+)(?::([-+])([^}]*))?\}|\$(\w+)")


@dataclass
class Stage:
    """What begins with FROM."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instructions in capitals and what is behind them."""

    def of(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]


@dataclass
class Dockerfile:
    args: dict[str, str]
    """ARGs before the first FROM."""
    stages: list[Stage]


def read(path: Path) -> Dockerfile:
    """Read a file."""
    found = Dockerfile({}, [])
    for name, rest in _lines(path.read_text()):
        if name == "FROM":
            words = rest.split()
            found.stages.append(Stage(words[0], words[2] if len(words) > 2 else ""))
        elif not found.stages:
            assert name == "ARG", f"{name} before FROM"
            key, _, value = rest.partition("=")
            found.args[key] = value
        else:
            found.stages[-1].steps.append((name, rest))
    return found


def _lines(text: str) -> Iterator[tuple[str, str]]:
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(kept).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), rest.strip()


def filled(text: str, values: Mapping[str, str]) -> str:
    """Put values in for variables, as Docker does outside of RUN."""

    def one(match: re.Match[str]) -> str:
        value = values.get(match[1] or match[4], "")
        if match[2] == "+":
            return match[3] if value else ""
        return value or (match[3] or "" if match[2] == "-" else "")

    return _VARIABLE.sub(one, text)


def pairs(rest: str) -> dict[str, str]:
    """Return what ENV and LABEL set."""
    return dict(word.split("=", 1) for word in shlex.split(rest))


def command(rest: str) -> list[str]:
    """Return ENTRYPOINT or CMD, which must not need a shell."""
    found = json.loads(rest)
    assert isinstance(found, list)
    return [str(one) for one in found]
