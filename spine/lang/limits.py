"""How much the programs in manifests may use: time, memory, output, and workers to run them.

Programs are untrusted. What one event's programs may use is limited by four settings of the
process, which its operator sets and no manifest can:

    TOCSIN_PROGRAM_SECONDS   seconds that the programs of one event may take         5
    TOCSIN_PROGRAM_MEMORY    bytes that a worker may use beyond what it starts with  512Mi
    TOCSIN_PROGRAM_OUTPUT    bytes that they may add to what they were given         16Mi
    TOCSIN_PROGRAM_WORKERS   processes that run what is not known to be cheap        2

Sizes are bytes, or have a suffix: `k`, `M`, `G`, `Ki`, `Mi`, `Gi`.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from spine.errors import ConfigError

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(|k|[MG]|[KMG]i)")
_LEAST_MEMORY = 16 * 2**20
_LEAST_OUTPUT = 1024
_MOST_SECONDS = 3600.0
_MOST_WORKERS = 256

_PREFIX = "TOCSIN_PROGRAM_"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the programs of one event may use."""

    seconds: float = 5.0
    """Time for one event: far more than any sane program takes, short beside an ack deadline."""
    memory_bytes: int = 512 * 2**20
    """Address space of a worker beyond what it has when it is ready."""
    output_bytes: int = 16 * 2**20
    """How much longer an answer may be than its request: twice the longest message of our buses."""
    workers: int = 2
    """Worker processes of a Sensor."""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what the environment says. Raises ConfigError that names a bad value."""
        given = {
            name: environment[f"{_PREFIX}{name}"].strip()
            for name in ("SECONDS", "MEMORY", "OUTPUT", "WORKERS")
            if environment.get(f"{_PREFIX}{name}", "").strip()
        }
        default = cls()
        return cls(
            _seconds(given["SECONDS"]) if "SECONDS" in given else default.seconds,
            _size("MEMORY", given["MEMORY"], _LEAST_MEMORY)
            if "MEMORY" in given
            else default.memory_bytes,
            _size("OUTPUT", given["OUTPUT"], _LEAST_OUTPUT)
            if "OUTPUT" in given
            else default.output_bytes,
            _workers(given["WORKERS"]) if "WORKERS" in given else default.workers,
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that say this; for worker processes."""
        return {
            f"{_PREFIX}SECONDS": repr(self.seconds),
            f"{_PREFIX}MEMORY": str(self.memory_bytes),
            f"{_PREFIX}OUTPUT": str(self.output_bytes),
            f"{_PREFIX}WORKERS": str(self.workers),
        }


def _bad(name: str, text: str, hint: str) -> ConfigError:
    return ConfigError(
        f"reading {_PREFIX}{name} of the environment: {text!r} is not allowed", hint=hint
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= _MOST_SECONDS:
        raise _bad(
            "SECONDS", text, f"write seconds above 0 and up to {_MOST_SECONDS:g}, such as 2.5"
        )
    return value


def _size(name: str, text: str, least: int) -> int:
    match = _SIZE.fullmatch(text)
    value = 0 if match is None else int(float(match[1]) * _UNITS[match[2]])
    if not least <= value < 2**62:
        raise _bad(name, text, f"write bytes such as 512Mi, at least {least}")
    return value


def _workers(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if not 1 <= value <= _MOST_WORKERS:
        raise _bad("WORKERS", text, f"write a whole number from 1 to {_MOST_WORKERS}")
    return value
