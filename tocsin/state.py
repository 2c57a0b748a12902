"""The state folder of `tocsin run`: what survives a restart, and where the other verbs look.

One run at a time has it, held by a lock that ends with its process however that ends. What is
written there (bus addresses with credentials, stored events) is for its owner's eyes only.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spine.errors import ConfigError

DEFAULT = Path(".tocsin")
_LOCK, _RUN = "lock", "run.json"
_IGNORE = "# made by tocsin run\n*\n"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a state folder for this process; make it where it is missing.

    Raises ConfigError if another run has it, or if it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / ".gitignore").write_text(_IGNORE)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise ConfigError(
            f"using {folder} for the state: {exc.strerror}", hint="choose another with --state DIR"
        ) from exc
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            pid = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
            raise ConfigError(
                f"using {folder} for the state: another tocsin run (pid {pid}) has it",
                hint="stop that one, or choose another folder with --state DIR",
            ) from exc
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:  # not where another run has it: what lies there is that one's
            (folder / _RUN).unlink(missing_ok=True)
    finally:
        os.close(lock)


def write_run(folder: Path, run: dict[str, Any]) -> None:
    """Tell the other verbs what runs."""
    target = folder / _RUN
    draft = target.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(run, file, indent=2)
    draft.replace(target)


def read_run(folder: Path) -> dict[str, Any]:
    """Return what runs in a state folder. Raises ConfigError where nothing does."""
    try:
        _require_held(folder / _LOCK)
        run = json.loads((folder / _RUN).read_text())
    except (OSError, ValueError) as exc:
        raise ConfigError(
            f"looking for a running `tocsin run` in {folder}: there is none",
            hint="start it, name its folder with --state DIR, or give --bus nats://HOST:PORT",
        ) from exc
    assert isinstance(run, dict)
    return run


def _require_held(lock: Path) -> None:
    """Raise OSError if nobody holds a lock; what a killed run has written may lie there still."""
    descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return
    finally:
        os.close(descriptor)
    raise OSError("nobody holds it")
