"""Turns itself into the process of a container; run alone, as number 1 of new namespaces.

Reads what to do from the JSON file it is given: see `kubelet.container`. Nothing of the machine's
root is changed: the container sees it through an overlay, with what belongs to this machine only
(`/tmp`, `/root`, `/run`...) hidden.
"""

import json
import os
import stat
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kubelet import kernel

HIDDEN = ("tmp", "root", "home", "run", "var/tmp")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
CAPABILITIES = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7,
    "SETPCAP": 8, "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27,
    "AUDIT_WRITE": 29, "SETFCAP": 31,
}  # fmt: skip
"""Those that a container has by default."""


def inside(root: Path, path: str) -> Path:
    """Return where a path of the container is on the machine, its links followed within it."""
    left, at = [part for part in path.split("/") if part], root
    for _ in range(200):
        if not left:
            return at
        part = left.pop(0)
        to = at / part
        if part == "..":
            at = root if at == root else at.parent
        elif to.is_symlink():
            target = str(to.readlink())
            left = [one for one in target.split("/") if one and one != "."] + left
            at = root if target.startswith("/") else at
        else:
            at = to
    raise OSError(f"{path}: too many links")


def place(root: Path, path: str, source: str) -> str:
    """Return where to mount something, made where it is not there."""
    at = inside(root, path)
    if Path(source).is_dir():
        at.mkdir(parents=True, exist_ok=True)
    elif not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        at.touch()
    return str(at)


def show(root: Path, path: str) -> None:
    """Have everybody see a folder of the machine at its own path.

    It may be hidden or covered by a volume, and it or a folder above may be open to its owner only.
    """
    source, at = Path(path), Path(place(root, path, path))
    for folder in (at, *at.parents[: len(at.parts) - len(root.parts)]):
        ours = folder.stat().st_dev == root.stat().st_dev  # what is the machine's stays as it is
        if ours and not is_open(folder):
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o055)
    if is_open(at) and all(os.path.lexists(at / one.name) for one in source.iterdir()):
        return
    if is_open(source):
        kernel.bind(path, str(at), read_only=True)
        return
    kernel.mount("tmpfs", str(at), "tmpfs", data="mode=755")
    for one in source.iterdir():
        if one.is_symlink():
            (at / one.name).symlink_to(one.readlink())
        else:
            kernel.bind(str(one), place(root, f"{path}/{one.name}", str(one)), read_only=True)


def is_open(folder: Path) -> bool:
    """Return whether everybody may go there and look."""
    return folder.stat().st_mode & 0o005 == 0o005


def overlay(scratch: str) -> Path:
    """Mount the machine's root so that writes stay here, and return where."""
    kernel.mount("tmpfs", scratch, "tmpfs", data="mode=755")
    upper, work, root = (Path(scratch, name) for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir()
    for name in HIDDEN:
        here, path = Path("/", name), upper / name
        if here.is_dir() and not here.is_symlink():
            path.mkdir(parents=True)
            os.setxattr(path, "trusted.overlay.opaque", b"y")
            path.chmod(0o1777 if name.endswith("tmp") else 0o755)
    given = f"lowerdir=/,upperdir={upper},workdir={work}"
    kernel.mount("overlay", str(root), "overlay", data=given)
    return root


def devices(root: Path) -> None:
    """Give the container the devices that every one has."""
    dev = root / "dev"
    kernel.mount("tmpfs", str(dev), "tmpfs", data="mode=755")
    for name in DEVICES:
        (dev / name).touch()
        kernel.bind(f"/dev/{name}", f"{dev}/{name}")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to(f"/proc/self/fd{target}")
    for name, mode in (("shm", "1777"), ("pts", "755")):
        (dev / name).mkdir()
        kernel.mount("tmpfs", f"{dev}/{name}", "tmpfs", data=f"mode={mode},size=64m")


def mounts(root: Path, given: dict) -> None:
    """Mount everything that the pod wants to see, outer folders first."""
    kernel.mount("proc", f"{root}/proc", "proc")
    kernel.mount("sysfs", f"{root}/sys", "sysfs", flags=kernel.READ_ONLY)
    devices(root)
    wanted = [(one["at"], one["from"], one["read_only"]) for one in given["mounts"]]
    wanted += [(path, "", True) for path in given["needed"]]
    for at, source, read_only in sorted(wanted, key=lambda one: one[0].rstrip("/").count("/")):
        if source:
            kernel.bind(source, place(root, at, source), read_only=read_only)
        else:
            show(root, at)
    for name, text in given["files"].items():
        path = root / "etc" / name
        path.unlink(missing_ok=True)
        path.write_text(text)


def become(given: dict) -> None:
    """Take the user, groups and rights of the container."""
    added = {name.upper() for name in given["add"]}
    dropped = {name.upper() for name in given["drop"]}
    kept = set() if "ALL" in dropped else set(CAPABILITIES) - dropped
    kept |= set(CAPABILITIES) if "ALL" in added else added
    if not given["privileged"]:
        numbers = {CAPABILITIES.get(name, -1) for name in kept}
        for number in range(41):
            if number not in numbers:
                kernel.call("prctl", kernel.PR_CAPBSET_DROP, number, 0, 0, 0)
    os.setgroups(given["groups"])
    os.setgid(given["group"])
    os.setuid(given["user"])
    if given["no_new_privileges"]:
        kernel.call("prctl", kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main(file: str) -> None:
    given = json.loads(Path(file).read_text())
    network = os.open(given["network"], os.O_RDONLY)
    kernel.call("setns", network, kernel.NEW_NET)
    os.close(network)
    name = given["hostname"].encode()
    kernel.call("sethostname", name, len(name))
    os.umask(0o022)
    root = overlay(given["scratch"])
    mounts(root, given)
    inside(root, given["folder"]).mkdir(parents=True, exist_ok=True)
    if given["read_only"]:
        kernel.mount("", str(root), flags=kernel.REMOUNT | kernel.READ_ONLY)
    os.chroot(root)
    os.chdir(given["folder"])
    become(given)
    words, environment = given["words"], given["environment"]
    os.write(given["started"], b"x")
    os.close(given["started"])
    os.environ["PATH"] = environment.get("PATH", os.defpath)
    os.execvpe(words[0], words, environment)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except OSError as exc:
        print(f"the container cannot be started: {exc}", file=sys.stderr, flush=True)
        os._exit(128)
