"""Builds the image and runs what is in it, as a cluster would. Needs root, debootstrap, minutes.

    sudo .venv/bin/python tests/image/check.py [--arg EXTRAS=controller] [--twice] [--keep FOLDER]

Podman builds and runs it, where it is installed (`engine.py`); without it, or with `--steps`, the
steps of the Dockerfile are executed one by one (`steps.py`). Either way as user 65532, from a file
system that is read-only but for /tmp, with every shell taken away; no registry is asked.

What this does not show: other processors than this machine's, and what Docker and a kubelet do.
"""

import argparse
import json
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/image")]

import engine  # noqa: E402 -- as above
import steps  # noqa: E402 -- as above
from nats_server import find_binary  # noqa: E402 -- beside all tests
from ports import free_port  # noqa: E402 -- beside all tests

PATIENCE = 300.0
"""Seconds for whatever is waited for."""
BODY = {"id": "A-1001", "total": 1200, "state": "paid"}


class Image(Protocol):
    """What was built, whoever built it."""

    user: str
    examples: str
    """Where a container finds the examples."""

    def started(self, *args: str) -> AbstractContextManager[subprocess.Popen[str]]: ...
    def modes(self) -> Iterator[tuple[str, int]]: ...
    def size(self) -> str: ...
    def digest(self) -> str: ...


def checked(image: Image) -> None:
    """Run what a cluster runs."""
    assert image.user == "65532:65532"
    print("  version:", output(image, "--version").strip())
    assert "--make-service-accounts" in output(image, "controller", "--help")
    for verb in ("eventsource", "sensor", "notifier"):
        assert "--bus-config" in output(image, verb, "--help"), verb
    print("  lint:", output(image, "lint", f"{image.examples}/quickstart").strip())
    assert_nothing_is_set_uid(image)
    with server() as bus:
        pods(image, bus)
        quickstart(image, bus)


def output(image: Image, *args: str) -> str:
    """Run to the end and return what was printed."""
    with image.started(*args) as process, bounded(process):
        found, _ = process.communicate()
        assert process.returncode == 0, found
        return found


@contextmanager
def bounded(process: subprocess.Popen[str]) -> Iterator[None]:
    """Have a process killed that takes too long, so that nobody waits for it."""
    timer = threading.Timer(PATIENCE, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def assert_nothing_is_set_uid(image: Image) -> None:
    found = 0
    for name, mode in image.modes():
        found += 1
        assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH), name
    assert found > 1_000


@contextmanager
def server() -> Iterator[str]:
    """Start a nats-server of this machine; yield its URL."""
    with tempfile.TemporaryDirectory() as store:
        port = free_port()
        words = [find_binary(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", store]
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            yield f"nats://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def offset() -> int:
    """Return what is added to the ports of manifests."""
    return 20_000 + os.getpid() % 10_000


def pods(image: Image, bus: str) -> None:
    """Run an EventSource and a Sensor as their pods do, ask their probes, and post an event."""
    ports = {"eventsource": free_port(), "sensor": free_port()}
    began = time.monotonic()

    def started(verb: str, *more: str) -> AbstractContextManager[subprocess.Popen[str]]:
        file = f"{image.examples}/quickstart/inbox.yaml"
        args = ["--file", file, "--bus", bus, "--metrics-port", str(ports[verb])]
        return image.started(verb, *args, *more)

    with (
        started("eventsource", "--port-offset", str(offset()), "--stop-delay", "1") as source,
        started("sensor") as sensor,
        bounded(source),
        bounded(sensor),
    ):
        for verb, port in ports.items():
            for probe in ("healthz", "readyz"):
                assert asked(f"http://127.0.0.1:{port}/{probe}") == 200, f"{verb} {probe}"
        print(f"  pods: ready {time.monotonic() - began:.1f} s after the start")
        until_acted(sensor)


def quickstart(image: Image, bus: str) -> None:
    """Run the quickstart on a bus that exists, post an event, and see the action."""
    args = [f"{image.examples}/quickstart", "--bus", bus, "--port-offset", str(offset())]
    began = time.monotonic()
    with image.started("run", *args) as process, bounded(process):
        until_acted(process)
        print(f"  quickstart: acted {time.monotonic() - began:.1f} s after the start")


def until_acted(process: subprocess.Popen[str]) -> None:
    """Post an event, and wait until a process tells of it."""
    status = asked(f"http://127.0.0.1:{12001 + offset()}/inbox", json.dumps(BODY).encode())
    assert status == 200, status
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if "A-1001" in line:
            return
    raise AssertionError("it ended:\n" + "".join(told[-20:]))


def asked(url: str, body: bytes | None = None) -> int:
    """Return the status of an answer, once somebody answers well."""
    until = time.monotonic() + PATIENCE
    while True:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return int(answer.status)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def build(folder: Path, given: dict[str, str], name: str, *, by_steps: bool) -> Image:
    """Build the image."""
    if by_steps:
        stage, root = steps.Build(folder / name, given).build()
        return steps.Image(root, stage, folder)
    podman = engine.Podman(folder)
    podman.base(steps.debian(folder.parent, "debian:bookworm-slim"))
    return podman.build(given, f"localhost/tocsin:{name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--twice", action="store_true", help="build again and compare")
    parser.add_argument("--keep", type=Path, help="where the clean Debian is kept")
    parser.add_argument("--steps", action="store_true", help="without Podman")
    options = parser.parse_args()
    given = dict(one.split("=", 1) for one in options.arg)
    by_steps = options.steps or engine.PODMAN is None
    with tempfile.TemporaryDirectory(dir=options.keep) as scratch:
        folder = Path(scratch)
        if options.keep is None:
            folder = folder / "build"
            folder.mkdir()
        began = time.monotonic()
        image = build(folder, given, "one", by_steps=by_steps)
        how = "its steps" if by_steps else "Podman"
        print(f"built by {how} in {time.monotonic() - began:.0f} s: {image.size()}")
        checked(image)
        if options.twice:
            one, two = image.digest(), build(folder, given, "two", by_steps=by_steps).digest()
            assert one == two, f"two builds differ:\n{one}\n{two}"
            print("  built twice, the same:", one)


if __name__ == "__main__":
    sys.exit(main())
