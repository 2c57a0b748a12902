"""The volumes of a pod as folders of the machine.

What Secrets, ConfigMaps, tokens and the pod itself say is written to a new folder and a link is
swapped, so that readers see the old or the new and nothing between.
"""

import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from kubelet.environment import data, field, resource
from kubelet.store import Manifest, Refused, Store

CONTENT = ("secret", "configMap", "downwardAPI", "projected")


class File(NamedTuple):
    """One file of a volume."""

    content: bytes
    mode: int
    owner: int = -1


class Token(NamedTuple):
    """A token of a service account, and when the next is due."""

    text: bytes
    renew: float


class Volumes:
    """All volumes of one pod; `pod` returns the pod as it is now."""

    def __init__(self, store: Store, pod: Manifest, folder: Path) -> None:
        self._store, self.pod, self._folder = store, pod, folder
        self._namespace = pod["metadata"]["namespace"]
        self._tokens: dict[tuple[str, str], Token] = {}
        self._written: dict[str, dict[str, File]] = {}
        self._paths: dict[str, Path] = {}
        self._count = 0
        self.ready = False
        """Whether all have been made once."""

    async def prepare(self) -> None:
        """Make every volume, or bring it up to date. Raises Refused."""
        for volume in self.pod["spec"].get("volumes", []):
            name = volume["name"]
            if any(kind in volume for kind in CONTENT):
                await self._renew(volume)
                self._write(name, self._content(volume))
            elif name not in self._paths:
                self._paths[name] = self._kept(volume)
        self.ready = True

    def due(self) -> float:
        """Return when to look again, in seconds since the epoch."""
        return min((token.renew for token in self._tokens.values()), default=time.time() + 3600)

    def path(self, mount: Manifest, sub: str) -> tuple[str, bool]:
        """Return where a volume is, or a path within it, and whether it can only be read."""
        name = mount["name"]
        if name not in self._paths:
            raise Refused("CreateContainerConfigError", f"no volume is named {name}")
        path, content = self._paths[name], name in self._written
        if sub:
            path = path / sub
            if not path.exists():
                if content:
                    raise Refused("CreateContainerConfigError", f"{sub} is not in volume {name}")
                path.mkdir(parents=True)
                self._own(path)
        return str(path.resolve() if sub else path), content or mount.get("readOnly", False)

    # ------------------------------------------------------------------------ folders

    def _kept(self, volume: Manifest) -> Path:
        """Return the folder of a volume whose content is the containers' affair."""
        name = volume["name"]
        if "emptyDir" in volume:
            path = self._folder / name
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o777)
        elif "hostPath" in volume:
            path = Path(volume["hostPath"]["path"])
            if volume["hostPath"].get("type", "").endswith("OrCreate"):
                path.mkdir(parents=True, exist_ok=True)
            return path
        elif "persistentVolumeClaim" in volume:
            path = self._claimed(volume["persistentVolumeClaim"]["claimName"])
        else:
            kinds = ", ".join(key for key in volume if key != "name")
            raise Refused("ContainerCreating", f"volume {name}: {kinds} is not for this kubelet")
        self._own(path)
        return path

    def _claimed(self, name: str) -> Path:
        claim = self._store.get("PersistentVolumeClaim", self._namespace, name)
        bound = (claim or {}).get("spec", {}).get("volumeName", "")
        volume = self._store.get("PersistentVolume", "", bound) if bound else None
        if volume is None or (claim or {}).get("status", {}).get("phase") != "Bound":
            raise Refused("ContainerCreating", f"claim {name} is not bound yet")
        return Path(volume["spec"]["hostPath"]["path"])

    @property
    def _group(self) -> int | None:
        return self.pod["spec"].get("securityContext", {}).get("fsGroup")

    def _own(self, root: Path) -> None:
        """Give a folder and what is in it to the group of the pod's files."""
        if self._group is None:
            return
        for path in [root, *root.rglob("*")]:
            if not path.is_symlink():
                os.chown(path, -1, self._group)
                more = 0o2770 if path.is_dir() else 0o660
                path.chmod(path.stat().st_mode & 0o7777 | more)

    # ------------------------------------------------------------------------ content

    def _content(self, volume: Manifest) -> dict[str, File]:
        kind = next(kind for kind in CONTENT if kind in volume)
        given = volume[kind]
        mode = given.get("defaultMode", 0o644)
        if kind != "projected":
            return self._source(volume["name"], kind, given, mode)
        result: dict[str, File] = {}
        for source in given.get("sources", []):
            for of, asked in source.items():
                result |= self._source(volume["name"], of, asked, mode)
        return result

    def _source(self, volume: str, kind: str, given: Manifest, mode: int) -> dict[str, File]:
        if kind == "serviceAccountToken":
            return {given["path"]: self._token_file(volume, given, mode)}
        if kind == "downwardAPI":
            return {one["path"]: self._downward(one, mode) for one in given.get("items", [])}
        if kind not in {"secret", "configMap"}:
            raise Refused("ContainerCreating", f"volume {volume}: {kind} is not for this kubelet")
        name = given.get("secretName") or given["name"]
        proper = "Secret" if kind == "secret" else "ConfigMap"
        found = data(self._store, proper, self._namespace, name)
        if found is None:
            if given.get("optional"):
                return {}
            text = f'volume "{volume}": {kind.lower()} "{name}" not found'
            raise Refused("ContainerCreating", text)
        if not given.get("items"):
            return {key: File(content, mode) for key, content in found.items()}
        result = {}
        for item in given["items"]:
            if item["key"] in found:
                result[item["path"]] = File(found[item["key"]], item.get("mode", mode))
            elif not given.get("optional"):
                text = f'{proper} "{name}" has no key {item["key"]} for volume "{volume}"'
                raise Refused("ContainerCreating", text)
        return result

    def _downward(self, item: Manifest, mode: int) -> File:
        if "fieldRef" in item:
            text = field(self.pod, item["fieldRef"]["fieldPath"])
        else:
            text = resource(self.pod, self.pod["spec"]["containers"][0], item["resourceFieldRef"])
        return File(text.encode(), item.get("mode", mode))

    def _token_file(self, volume: str, given: Manifest, mode: int) -> File:
        text = self._tokens[volume, given["path"]].text
        spec = self.pod["spec"]
        users = {
            (one.get("securityContext") or {}).get("runAsUser")
            or spec.get("securityContext", {}).get("runAsUser")
            for one in spec["containers"]
        }
        user = users.pop() if len(users) == 1 else None
        if user is None and self._group is None:
            return File(text, mode)
        return File(text, 0o600, -1 if user is None else user)

    async def _renew(self, volume: Manifest) -> None:
        """Ask for the tokens of a volume that are not there or soon no longer valid."""
        for source in volume.get("projected", {}).get("sources", []):
            given = source.get("serviceAccountToken")
            if given is None:
                continue
            key = (volume["name"], given["path"])
            if key in self._tokens and self._tokens[key].renew > time.time():
                continue
            seconds = given.get("expirationSeconds", 3600)
            metadata = self.pod["metadata"]
            asked: Manifest = {
                "expirationSeconds": seconds,
                "boundObjectRef": {
                    "apiVersion": "v1", "kind": "Pod",
                    "name": metadata["name"], "uid": metadata["uid"],
                },
            }  # fmt: skip
            if given.get("audience"):
                asked["audiences"] = [given["audience"]]
            account = self.pod["spec"]["serviceAccountName"]
            answer = await self._store.send(
                "POST",
                f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token",
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": asked},
            )
            token = answer["status"]["token"].encode()
            self._tokens[key] = Token(token, time.time() + 0.8 * seconds)

    def _write(self, name: str, files: dict[str, File]) -> None:
        """Show the new content of a volume, all at once."""
        if self._written.get(name) == files:
            return
        root = self._folder / name
        root.mkdir(parents=True, exist_ok=True)
        old = (root / "..data").readlink() if (root / "..data").is_symlink() else ""
        self._count += 1
        new = root / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{self._count:09}"
        new.mkdir(mode=0o755)
        for path, file in files.items():
            self._write_file(new, path, file)
        (root / "..data_tmp").symlink_to(new.name)
        (root / "..data_tmp").replace(root / "..data")
        tops = {path.split("/")[0] for path in files}
        for top in tops:
            if not (root / top).is_symlink():
                (root / top).symlink_to(f"..data/{top}")
        for entry in root.iterdir():
            if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in tops:
                entry.unlink()
        if old:
            shutil.rmtree(root / old)
        self._written[name] = files
        self._paths[name] = root

    def _write_file(self, root: Path, path: str, file: File) -> None:
        at = root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(file.content)
        group = -1 if self._group is None else self._group
        os.chown(at, file.owner, group)
        at.chmod(file.mode | (0o440 if group >= 0 else 0))
