"""Builds the image with Podman, and runs it as a pod does.

No registry is asked: the base is a clean Debian made by debootstrap, imported under the name of
BASE_NAME. Images and containers are kept in a folder of their own. A container gets what pods of
the chart get: the user of the image, no capabilities and no way to new ones, a file system that is
read-only but for /tmp, the seccomp filter of the engine.
"""

import json
import os
import shutil
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BASE_NAME = "localhost/debian:bookworm-slim"
EPOCH = "1735689600"
"""The time of all files in a layer, so that two builds are the same."""
SHELLS = ("/usr/bin/dash", "/usr/bin/bash")
PODMAN = shutil.which("podman")
HYBRID = "/sys/fs/cgroup/unified"
WITHOUT = f'umount {HYBRID}; exec "$@"'
MANY = "4096:4096"
"""Files and processes of a container: fewer than anybody has who may run this."""
PIP = ("PIP_CERT", "PIP_INDEX_URL")


class Podman:
    """Podman with a store of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = [str(PODMAN), "--root", f"{folder}/store", "--runroot", f"{folder}/run"]
        own += ["--cgroup-manager", "cgroupfs"]
        self.hybrid = os.path.ismount(HYBRID)
        before = ["unshare", "--mount", "sh", "-c", WITHOUT, "sh"] if self.hybrid else []
        self.words = [*before, *own]
        """What begins a command. Runtimes refuse two versions of control groups at once."""

    def run(self, *words: str, **options: Any) -> str:
        """Run a command; return what it prints."""
        done = subprocess.run(
            [*self.words, *words], check=False, text=True, stdout=subprocess.PIPE, **options
        )
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stdout[-3000:]}"
        return done.stdout.strip()

    def base(self, debian: Path) -> None:
        """Make a folder the base of all images."""
        packed = subprocess.Popen(["tar", "-C", str(debian), "-c", "."], stdout=subprocess.PIPE)
        with packed:
            self.run("import", "--quiet", "-", BASE_NAME, stdin=packed.stdout)

    def build(self, given: Mapping[str, str], tag: str) -> "Image":
        """Build from the Dockerfile, whole."""
        words = ["--no-cache", "--timestamp", EPOCH, "--isolation", "chroot", "--network", "host"]
        for key, value in {"DEBIAN": BASE_NAME, **given}.items():
            words += ["--build-arg", f"{key}={value}"]
        self.run("build", *words, *self._pip(), "--tag", tag, str(ROOT), stderr=subprocess.STDOUT)
        return Image(self, tag)

    def _pip(self) -> list[str]:
        """Return how a build finds packages as we do; an empty folder of it stays in the image."""
        own = {key: os.environ[key] for key in PIP if os.environ.get(key)}
        if not own:
            return []
        pip = self.folder / "pip"
        pip.mkdir(exist_ok=True)
        lines = ["[global]"]
        if "PIP_CERT" in own:
            shutil.copy(own.pop("PIP_CERT"), pip / "ca.crt")
            lines.append("cert = /root/.config/pip/ca.crt")
        lines += [f"index-url = {url}" for url in own.values()]
        (pip / "pip.conf").write_text("\n".join(lines))
        return ["--volume", f"{pip}:/root/.config/pip:ro"]

    @property
    def bounds(self) -> list[str]:
        """How a container stays within what this process may give it."""
        limits = [word for name in ("nofile", "nproc") for word in ("--ulimit", f"{name}={MANY}")]
        return [*limits, "--cgroups=disabled"] if self.hybrid else limits


class Image:
    """What was built, and how it is started."""

    examples = "/examples"

    def __init__(self, podman: Podman, tag: str) -> None:
        self.podman, self.tag = podman, tag
        self.about = json.loads(podman.run("image", "inspect", tag))[0]
        self.user = self.about["Config"]["User"]

    def command(self, name: str, *args: str) -> list[str]:
        """Return the command that starts a container: as the chart does, and without a shell."""
        words = ["run", "--rm", "--name", name, "--network", "host", *self.podman.bounds]
        words += ["--read-only", "--read-only-tmpfs=false", "--tmpfs", "/tmp"]
        words += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        words += ["--volume", f"{ROOT}/examples:{self.examples}:ro"]
        for shell in SHELLS:
            words += ["--volume", f"/dev/null:{shell}"]
        return [*self.podman.words, *words, self.tag, *args]

    @contextmanager
    def started(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Start a container; yield its process. It ends in peace when it is told to."""
        name = f"tocsin-{uuid.uuid4().hex[:8]}"
        with subprocess.Popen(
            self.command(name, *args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                yield process
                if process.poll() is None:
                    self.podman.run("kill", "--signal", "TERM", name)
                    rest, _ = process.communicate(timeout=60)
                    assert process.returncode == 0, f"{args[0]}: {process.returncode}: {rest}"
            finally:
                self.podman.run("rm", "--force", "--ignore", name)

    def modes(self) -> Iterator[tuple[str, int]]:
        """Yield the files of the package, each with its mode; no links."""
        name = self.podman.run("create", *self.podman.bounds, self.tag)
        exported = subprocess.Popen([*self.podman.words, "export", name], stdout=subprocess.PIPE)
        with exported, tarfile.open(fileobj=exported.stdout, mode="r|") as files:
            for one in files:
                if one.name.startswith("opt/tocsin/") and not one.issym():
                    yield one.name, one.mode
        self.podman.run("rm", name)

    def size(self) -> str:
        """Return how large it is."""
        return f"{self.about['Size'] // 2**20} MiB in {len(self.layers)} layers"

    @property
    def layers(self) -> list[str]:
        """The digests of its layers."""
        return list(self.about["RootFS"]["Layers"])

    def digest(self) -> str:
        """Return what is the same for the same image."""
        return "\n    ".join([*self.layers, self.about["Id"]])
