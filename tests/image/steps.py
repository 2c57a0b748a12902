"""Builds the image without a container engine: the steps of the Dockerfile, in a clean Debian.

What an engine does with layers and caches is not shown by this, nor that it reads the Dockerfile as
we do. Containers are mount and process namespaces; they keep the capabilities that a change of the
user leaves.
"""

import fnmatch
import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/image")]

from dockerfile import Stage, command, filled, pairs, read  # noqa: E402 -- beside this file

SUITE = {"debian:bookworm-slim": "bookworm"}
NETWORK = ("/etc/resolv.conf", "/etc/hosts")
PROXIES = {"http_proxy", "https_proxy", "no_proxy"}
SHELLS = ("bin/sh", "bin/dash", "bin/bash", "bin/rbash")


class Build:
    """The stages of a Dockerfile, each a folder."""

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        self.file = read(ROOT / "Dockerfile")
        self.folder, self.given = folder, given
        self.roots: dict[str, Path] = {}
        self.env: dict[str, dict[str, str]] = {}

    def build(self) -> tuple[Stage, Path]:
        top = {key: self.given.get(key, value) for key, value in self.file.args.items()}
        for number, stage in enumerate(self.file.stages):
            base = filled(stage.base, top)
            stage.base = base
            root = self.folder / (stage.name or f"stage-{number}")
            copy(self.roots.get(base) or debian(self.folder.parent, base), root)
            self.roots[stage.name or str(number)] = root
            self.env[stage.name] = dict(self.env.get(base, {}))
            self._steps(stage, root, dict(top))
        return stage, root

    def _steps(self, stage: Stage, root: Path, top: dict[str, str]) -> None:
        args: dict[str, str] = {}
        env = self.env[stage.name]
        for name, rest in stage.steps:
            if name == "ARG":
                key, _, value = rest.partition("=")
                args[key] = self.given.get(key, value or top.get(key, ""))
            elif name == "ENV":
                env |= pairs(filled(rest, args | env))
            elif name == "COPY":
                self._copy(root, rest.split())
            elif name == "RUN":
                began = time.monotonic()
                run(root, rest, args | env)
                print(f"  {stage.name}: {rest[:60]}... {time.monotonic() - began:.0f} s")
            else:
                assert name in {"LABEL", "WORKDIR", "USER", "EXPOSE", "ENTRYPOINT"}, name

    def _copy(self, root: Path, words: list[str]) -> None:
        if words[0].startswith("--from="):
            source = self.roots[words[0].removeprefix("--from=")] / words[1].lstrip("/")
            copy(source, root / words[2].lstrip("/"))
            return
        assert words[0] == "."
        for one in context():
            there = root / words[1].lstrip("/") / one
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / one, there)


def context() -> Iterator[Path]:
    """Yield what a build gets to see, as .dockerignore says."""
    lines = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert lines[0] == "*"
    shown = [line[1:] for line in lines if line.startswith("!")]
    hidden = [line.removeprefix("**/") for line in lines[1:] if not line.startswith("!")]
    for name in shown:
        start = ROOT / name
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            inside = path.relative_to(ROOT)
            if path.is_file() and not any(
                fnmatch.fnmatch(part, one) for part in inside.parts for one in hidden
            ):
                yield inside


def debian(folder: Path, image: str) -> Path:
    """Return a clean system, made once."""
    root = folder / "debian"
    if not (root / "usr").exists():
        program = shutil.which("debootstrap") or "/usr/sbin/debootstrap"
        half = folder / "debian.half"
        shutil.rmtree(half, ignore_errors=True)
        subprocess.run(
            [program, "--variant=minbase", SUITE[image], str(half)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for one in ("var/cache/apt/archives", "var/lib/apt/lists"):  # as in published images
            shutil.rmtree(half / one)
        half.rename(root)
    return root


def copy(source: Path, there: Path) -> None:
    """Copy a folder with all that it says of its files."""
    there.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{source}/.", str(there)], check=True)


# ---------------------------------------------------------------------------- in the root


def inside(
    root: Path,
    mounts: Sequence[str],
    words: Sequence[str],
    env: Mapping[str, str],
    folder: str = "/",
) -> list[str]:
    """Return a command that runs another one in a root, with mounts that end with it."""
    script = " && ".join([*mounts, 'exec chroot "$@"'])
    setting = [
        "/usr/bin/env",
        f"--chdir={folder}",
        "-i",
        *(f"{key}={value}" for key, value in env.items()),
    ]
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", script, "sh",
            *words[:1], str(root), *setting, *words[1:]]  # fmt: skip


def run(root: Path, script: str, env: Mapping[str, str]) -> None:
    """Run a step of a build as root, with the network that pip has here."""
    mounts = [
        f"mount -t proc proc {root}/proc",
        f"mount --rbind /dev {root}/dev",
        f"mount -t tmpfs tmpfs {root}/run",
    ]
    mounts += [
        f"mount --bind {place} {root}{place}" for place in NETWORK if (root / place[1:]).exists()
    ]
    own = {k: v for k, v in os.environ.items() if k.lower() in PROXIES or k == "PIP_INDEX_URL"}
    for key, make in (("PIP_CERT", "touch"), ("PIP_FIND_LINKS", "mkdir")):
        place = os.environ.get(key, "")
        if Path(place).is_absolute() and Path(place).exists():
            own[key] = f"/run/{key.lower()}"
            mounts += [f"{make} {root}{own[key]}", f"mount --bind {place} {root}{own[key]}"]
    path = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    frontend = {"DEBIAN_FRONTEND": "noninteractive"}
    words = ["--userspec=0:0", "/bin/sh", "-c", script]
    done = subprocess.run(
        inside(root, mounts, words, path | frontend | own | env),
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-3000:]}"


class Image:
    """What was built, and how it is started."""

    examples = "/tmp/examples"

    def __init__(self, root: Path, stage: Stage, folder: Path) -> None:
        self.root, self.folder = root, folder
        self.entrypoint = command(stage.of("ENTRYPOINT")[-1])
        self.user = stage.of("USER")[-1]
        self.workdir = stage.of("WORKDIR")[-1]
        self.env = {k: v for rest in stage.of("ENV") for k, v in pairs(rest).items()}

    def command(self, *args: str) -> list[str]:
        """Return the command that starts a container: read-only, no shell, nobody's user."""
        at = self.folder / "running"
        at.mkdir(exist_ok=True)
        mounts = [
            f"mount --bind {self.root} {at}",
            f"mount -o remount,ro,bind {at}",
            f"mount -t tmpfs -o mode=1777 tmpfs {at}/tmp",
            f"mount -t proc proc {at}/proc",
            f"mount --rbind /dev {at}/dev",
        ]
        shells = [one for one in SHELLS if (self.root / one).exists()]
        mounts += [f"mount --bind /dev/null {at}/{shell}" for shell in shells]
        if (ROOT / "examples").exists():
            mounts += [
                f"mkdir {at}/tmp/examples",
                f"mount --bind {ROOT}/examples {at}/tmp/examples",
            ]
        words = [f"--userspec={self.user}", *self.entrypoint, *args]
        return inside(at, mounts, words, self.env, self.workdir)

    @contextmanager
    def started(self, *args: str) -> Iterator[subprocess.Popen[str]]:
        """Start a container; yield its process, and end it."""
        with subprocess.Popen(
            self.command(*args), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def modes(self) -> Iterator[tuple[str, int]]:
        """Yield the files of the package, each with its mode; no links."""
        for path in (self.root / "opt/tocsin").rglob("*"):
            mode = path.lstat().st_mode
            if not stat.S_ISLNK(mode):
                yield str(path), mode

    def size(self) -> str:
        """Return how large it is."""
        return f"{megabytes(self.root)} MiB"

    def digest(self) -> str:
        """Return a hash of all names, modes, times and bytes of the package."""
        folder, found = self.root / "opt/tocsin", hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            about = path.lstat()
            line = f"{path.relative_to(folder)} {about.st_mode:o} {about.st_mtime_ns}"
            found.update(line.encode())
            if path.is_symlink():
                found.update(str(path.readlink()).encode())
            elif path.is_file():
                found.update(path.read_bytes())
        return found.hexdigest()


def megabytes(folder: Path) -> int:
    """Return what a folder takes."""
    found = subprocess.run(["du", "-sxk", str(folder)], check=True, capture_output=True)
    return int(found.stdout.split()[0]) // 1024
