"""The process of the kubelet: `python -m kubelet KUBECONFIG FOLDER PODS SERVICES PORT`.

Prints the address of the machine when it is ready, and ends when its standard input does.
"""

import asyncio
import faulthandler
import io
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from kubelet.claims import Claims
from kubelet.names import Back, Names
from kubelet.network import Network
from kubelet.pod import Pod
from kubelet.scheduler import NODES, Scheduler
from kubelet.server import Server
from kubelet.store import Seen, Store
from spine.kube import open_kube

log = logging.getLogger(__name__)

LATE, LAST = 30, 60
"""Seconds after which the end is late, and after which it comes whatever is stuck."""


class Kubelet:
    """All pods of this machine."""

    def __init__(self, store: Store, network: Network, folder: Path, ignored: set[str]) -> None:
        self._store, self._network, self._folder = store, network, folder
        self._ignored = ignored
        self._pods: dict[str, Pod] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending = False

    def look(self, seen: Seen) -> None:
        """Take a pod, or tell those that there are of a change."""
        if seen.kind == "Pod":
            self._look_at(seen)
        for pod in self._pods.values():
            if pod.concerns(seen):
                pod.wake()

    def _look_at(self, seen: Seen) -> None:
        made = self._store.get("Pod", seen.namespace, seen.name)
        uid = made["metadata"]["uid"] if made else ""
        for pod in self._pods.values():
            if (pod.namespace, pod.name) == (seen.namespace, seen.name) and pod.uid != uid:
                pod.end(0)  # somebody took it away without waiting
        if made is None or uid in self._ignored or made["spec"].get("nodeName") not in NODES:
            return
        if uid not in self._pods and self._ending:
            return  # a controller replaces those that go
        if uid not in self._pods:
            self._begin(uid, Pod(self._store, self._network, made, self._folder))
        self._pods[uid].see(made)

    def _begin(self, uid: str, pod: Pod) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._pods.pop(uid)
            self._tasks.pop(uid)
            self._ignored.add(uid)
            if not task.cancelled() and task.exception():
                log.error("pod %s", pod.name, exc_info=task.exception())

        self._pods[uid] = pod
        self._tasks[uid] = asyncio.create_task(pod.run())
        self._tasks[uid].add_done_callback(ended)

    def said(
        self, namespace: str, name: str, container: str
    ) -> tuple[Path, Callable[[], bool]] | None:
        """Return where the logs of a container are, and whether it may say more."""
        pods = [
            pod for pod in self._pods.values() if (pod.namespace, pod.name) == (namespace, name)
        ]
        if not pods:
            return None
        return pods[-1].log(container, 0).parent, lambda: pods[-1].uid in self._pods

    async def stop(self) -> None:
        """End all pods at once and tell that they are gone."""
        self._ending = True
        for pod in list(self._pods.values()):
            pod.end(0)
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


async def main(kubeconfig: str, folder: str, pods: str, services: str, port: str) -> None:
    """Be the kubelet until standard input ends."""
    place = Path(folder)
    network = await Network.of(pods, services)
    async with open_kube(kubeconfig) as kube, asyncio.TaskGroup() as group:
        store = Store(kube)
        group.create_task(store.run())
        await store.listed()
        ignored = {pod["metadata"]["uid"] for pod in store.all("Pod")}
        kubelet = Kubelet(store, network, place, ignored)
        server = Server(network.machine, place, kubelet.said)
        await server.start()
        scheduler = Scheduler(store, network.machine, server.port, ignored)
        names = Names(store, network, Back("127.0.0.1", int(port)))
        claims = Claims(store, place / "claims")
        await scheduler.register()
        store.listeners += [scheduler.look, kubelet.look, names.look, claims.look]
        for one in (scheduler, names, claims):
            group.create_task(one.run())
        print(network.machine, flush=True)
        await _input_ends()
        faulthandler.dump_traceback_later(LAST, exit=True)
        asyncio.get_running_loop().call_later(LATE, _tell_what_is_left)
        await kubelet.stop()
        os._exit(0)  # all else ends with this process, and nothing that is stuck shall hold it


def _tell_what_is_left() -> None:
    for task in asyncio.all_tasks():
        text = io.StringIO()
        task.print_stack(file=text)
        log.error("still there: %s\n%s", task.get_name(), text.getvalue())


async def _input_ends() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(main(*sys.argv[1:]))
