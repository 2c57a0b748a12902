"""What pods say of themselves: which events, triggers or watches work, and why the others do not.

Each pod is asked for `/status` beside its metrics: soon after a change, more and more rarely while
it is not ready, and every half minute when all is well. A pod that cannot be reached, as a network
policy may forbid it, is one of which nothing is known: that is said, and is never taken for a sign
that something is amiss.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import yarl

from controller.cluster import Cluster
from controller.queue import Queue
from controller.reconciler import Key, Manifest
from controller.workload.pods import PORT
from spine.errors import KubeError
from spine.kube.discovery import Resource
from spine.standing import FAILING, STANDING_BY, Part, Standing, decode

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

PODS = Resource("", "v1", "Pod", "pods", namespaced=True)
ASKING = 4
"""Objects whose pods are asked at once."""
MOST = 20
"""Pods of one object that are asked."""
SOON, FIRST, EVERY = 0.2, 1.0, 30.0
"""Seconds from a change to the first question, from that to the next, and at most between two."""
PATIENCE = 2.0
"""Seconds that a pod has to answer."""
LARGEST = 256 * 1024
"""Bytes of an answer that are taken."""
LONGEST = 300
"""Characters of what one pod says that are kept."""
_STUCK = frozenset(
    {
        *("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull"),
        *("InvalidImageName", "CreateContainerConfigError", "CreateContainerError"),
        "RunContainerError",
    }
)
"""Reasons of a container that waits which do not pass by themselves."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the pods of one object said, taken together."""

    parts: Mapping[str, Part] = field(default_factory=dict)
    """By name. A part is ready if one pod sees to it."""
    notes: tuple[str, ...] = ()
    """What else they said, without repetition."""
    dead: Mapping[str, int] = field(default_factory=dict)
    """What they have set aside since they began, by reason."""
    trouble: str = ""
    """Why a pod does not come up, as Kubernetes says it, or why it is not ready."""
    unknown: str = ""
    """Why a pod could not be asked."""


_NOTHING = Report()


class Pod(NamedTuple):
    """A pod that is not on its way out."""

    name: str
    address: str
    trouble: str


class _Asked(NamedTuple):
    """What is known of whom to ask."""

    selector: str
    version: str
    """Of the Deployment; another one means other pods."""
    settled: bool
    """Whether all was well at the last look."""


@dataclass(eq=False)
class Reports:
    """Asks pods, and remembers what they said."""

    port: int = PORT
    every: float = EVERY
    _known: dict[Key, Report] = field(default_factory=dict)
    _asked: dict[Key, _Asked] = field(default_factory=dict)
    _pods: dict[Key, tuple[str, list[Pod]]] = field(default_factory=dict)
    _times: dict[Key, int] = field(default_factory=dict)
    """How often somebody was asked since the last change."""
    _queue: Queue[Key] = field(default_factory=Queue)

    def get(self, key: Key) -> Report | None:
        """Return what is known of an object; None where nobody was asked yet."""
        return self._known.get(key)

    def ask(self, key: Key, selector: str, deployment: Manifest, *, settled: bool) -> None:
        """Have the pods of an object asked: soon if its Deployment changed, else in their turn."""
        metadata = deployment["metadata"]
        asked = _Asked(selector, f"{metadata['uid']}/{metadata['resourceVersion']}", settled)
        before, self._asked[key] = self._asked.get(key), asked
        if before is None or before.version != asked.version:
            self._times[key] = 0
            self._queue.add(key, SOON)

    def forget(self, key: Key) -> None:
        """Forget an object that is gone, or has no pods."""
        for kept in (self._known, self._asked, self._pods, self._times):
            kept.pop(key, None)

    def clear(self) -> None:
        """Forget everything, as of one who has not led for a while."""
        for key in list(self._asked):
            self.forget(key)
        self._known.clear()
        self._queue.forget()

    async def run(self, cluster: Cluster, look: Callable[[Key], None]) -> None:
        """Ask until cancelled; `look` is called for objects of which something new is known."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        connector = aiohttp.TCPConnector(limit=2 * MOST, force_close=True)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(ASKING):
                group.create_task(self._work(cluster, client, look), name=f"ask pods {number}")

    async def _work(
        self, cluster: Cluster, client: "aiohttp.ClientSession", look: Callable[[Key], None]
    ) -> None:
        while True:
            key = await self._queue.take()
            again: float | None = None
            try:
                again = await self._turn(cluster, client, look, key)
            except KubeError as exc:
                log.debug("listing the pods of %s %s: %s", key.kind, key.name, exc)
                self._take(key, Report(unknown=f"its pods cannot be listed: {exc}"), look)
                again = self.every
            except Exception:  # it holds up no other
                log.exception("a bug in asking the pods of %s %s", key.kind, key.name)
                again = self.every
            finally:
                self._queue.done(key, again)

    async def _turn(
        self,
        cluster: Cluster,
        client: "aiohttp.ClientSession",
        look: Callable[[Key], None],
        key: Key,
    ) -> float | None:
        """Ask the pods of one object; return the seconds until they are asked again."""
        asked = self._asked.get(key)
        if asked is None:
            return None
        pods = await self._pods_of(cluster, key, asked)
        said = [*await asyncio.gather(*(self._one(client, pod, key) for pod in pods[:MOST]))]
        said += [f"only {MOST} of its pods were asked" for _ in pods[MOST:]]
        report = together(list(zip(pods, said, strict=True)))
        self._take(key, report, look)
        times = self._times.get(key, 0) + 1
        if key in self._asked:
            self._times[key] = times
        well = asked.settled and not report.trouble
        return self.every if well else min(self.every, FIRST * 2.0 ** min(times, 10))

    def _take(self, key: Key, report: Report, look: Callable[[Key], None]) -> None:
        if key not in self._asked:
            return  # it has gone meanwhile
        before = self._known.get(key, _NOTHING)
        self._known[key] = report
        if report != before:
            look(key)

    async def _pods_of(self, cluster: Cluster, key: Key, asked: _Asked) -> list[Pod]:
        """Return the pods of an object, listed anew unless all was well and nothing changed."""
        known = self._pods.get(key)
        if known is not None and known[0] == asked.version and asked.settled:
            return known[1]
        query = {"labelSelector": asked.selector, "resourceVersion": "0"}
        page = await cluster.kube.page(PODS, key.namespace, query=query)
        pods = pods_of(msgspec.json.decode(raw, type=dict[str, Any]) for raw in page.items)
        self._pods[key] = asked.version, pods
        return pods

    async def _one(
        self, client: "aiohttp.ClientSession", pod: Pod, key: Key
    ) -> Standing | str | None:
        """Return what a pod says, why it cannot be asked, or None where it has no address yet."""
        import aiohttp

        if not pod.address:
            return None
        url = yarl.URL.build(scheme="http", host=pod.address, port=self.port, path="/status")
        try:
            async with client.get(url, allow_redirects=False) as answer:
                if answer.status != 200:  # noqa: PLR2004 -- an older process has no such path
                    return f"pod {pod.name} answers {answer.status}"
                standing = decode(await _body(answer))
        except TimeoutError:
            return f"pod {pod.name} does not answer at port {self.port}"
        except (aiohttp.ClientError, msgspec.DecodeError, OSError) as exc:
            return f"pod {pod.name}: {str(exc)[:LONGEST]}"
        if (standing.kind, standing.namespace, standing.name) != key:
            return f"pod {pod.name} is of {standing.kind} {standing.namespace}/{standing.name}"
        return standing


async def _body(answer: "aiohttp.ClientResponse") -> bytes:
    """Return what came. Raises ClientPayloadError where it is too much."""
    import aiohttp

    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) > LARGEST:
            raise aiohttp.ClientPayloadError(f"the answer has more than {LARGEST} bytes")
    return bytes(raw)


# ---------------------------------------------------------------------------- pure


def pods_of(manifests: Iterable[Manifest]) -> list[Pod]:
    """Return the pods that are not on their way out, the newest first."""
    found = []
    for one in manifests:
        metadata, status = one["metadata"], one.get("status") or {}
        if metadata.get("deletionTimestamp") or status.get("phase") in {"Succeeded", "Failed"}:
            continue
        running = status.get("phase") == "Running"
        address = str(status.get("podIP") or "") if running else ""
        pod = Pod(metadata["name"], address, _trouble(metadata["name"], status))
        found.append((str(metadata.get("creationTimestamp")), pod))
    return [pod for _, pod in sorted(found, reverse=True)]


def _trouble(name: str, status: Manifest) -> str:
    """Return why a pod does not come up; empty where it does or just needs time."""
    for one in status.get("conditions") or ():
        if one.get("type") == "PodScheduled" and one.get("status") == "False":
            return f"pod {name}: {one.get('message') or one.get('reason')}"[:LONGEST]
    for one in status.get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in _STUCK:
            continue
        said = f"pod {name}: {waiting['reason']}"
        ended = (one.get("lastState") or {}).get("terminated")
        if ended:
            said += f", ended with {ended.get('exitCode')}: see kubectl logs --previous {name}"
        elif waiting.get("message"):
            said += f": {waiting['message']}"
        return said[:LONGEST]
    return ""


def together(said: Sequence[tuple[Pod, Standing | str | None]]) -> Report:
    """Return what pods said, taken together; the newest stands first.

    Of a part that works in none of them nothing is said while there are pods that said nothing.
    """
    standings = [(pod, one) for pod, one in said if isinstance(one, Standing)]
    unknown = next((one for _, one in said if isinstance(one, str)), "")
    names = dict.fromkeys(part.name for _, one in standings for part in one.parts)
    merged = [_merged(name, standings) for name in names]
    dead: dict[str, int] = {}
    for _, one in standings:
        for reason, count in one.dead_letters.items():
            dead[reason] = dead.get(reason, 0) + count
    return Report(
        parts={part.name: part for part in merged if part.ready or not unknown},
        notes=tuple(dict.fromkeys(note[:LONGEST] for _, one in standings for note in one.notes)),
        dead=dead,
        trouble=_first_trouble(said, standings),
        unknown=unknown,
    )


def _first_trouble(
    said: Sequence[tuple[Pod, Any]], standings: Sequence[tuple[Pod, Standing]]
) -> str:
    """Return why a pod does not come up, or what one that is up waits for."""
    for pod, _ in said:
        if pod.trouble:
            return pod.trouble
    for pod, one in standings:
        # Of its parts, each says so itself.
        asked = {"bus": one.checks.get("bus", "")} if one.parts else one.checks
        if why := "; ".join(f"{what} {why}" for what, why in asked.items() if why):
            return f"pod {pod.name}: {why}"[:LONGEST]
    return ""


def _merged(name: str, standings: Sequence[tuple[Pod, Standing]]) -> Part:
    """Return how a part stands in all pods together."""
    found = [(pod, part) for pod, one in standings for part in one.parts if part.name == name]
    fired = max(part.fired for _, part in found)
    first = min((part for _, part in found), key=_rank)
    if first.reason == STANDING_BY:
        why = "every replica stands by for another one"
        return Part(name, False, STANDING_BY, why, fired)
    why = first.message
    others = [f"not in pod {pod.name}: {part.message}" for pod, part in found if not part.ready]
    if first.ready and others and not why:
        why = others[0]
    return Part(name, first.ready, first.reason, why[:LONGEST], fired)


def _rank(part: Part) -> int:
    """Return what tells most of a part: that it fails, works, does not, or stands by."""
    if part.ready and part.reason == FAILING:
        return 0
    if part.ready and part.reason != STANDING_BY:
        return 1
    return 3 if part.ready else 2
