"""One container of a pod: started, probed, started again, ended; its state as the API tells it."""

import asyncio
import signal
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelet.environment import Environment, expand
from kubelet.images import Image, image, needed
from kubelet.probes import Probe, get
from kubelet.process import Entry, Process
from kubelet.store import Manifest, Refused

if TYPE_CHECKING:
    from kubelet.pod import Pod

BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a container is started again, each time in a row."""
CALM = 10.0
"""Seconds after which a run counts as no failure in a row."""


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Container:
    """A container and what it has been through."""

    def __init__(self, pod: "Pod", spec: Manifest, init: bool = False) -> None:
        self.pod, self.spec, self.init = pod, spec, init
        self.name: str = spec["name"]
        later = not init and "initContainers" in pod.spec
        self.state: Manifest = {
            "waiting": {"reason": "PodInitializing" if later else "ContainerCreating"}
        }
        self.last: Manifest = {}
        self.ready = self.started = False
        self.restarts = 0
        self.code: int | None = None
        """How it ended, once it is not started again."""
        self.entry: Entry | None = None
        self._process: Process | None = None
        self._begun = ""
        self._stopping = False
        self._image: Image = image(spec["image"])

    # ------------------------------------------------------------------------ life

    async def run(self) -> int:
        """Run until it is not started again and return the exit code of the last time."""
        failures = 0
        while True:
            begun = time.monotonic()
            code = await self._once()
            if self._stopping or not self._again(code):
                self.code = code
                self.pod.report()
                return code
            failures = 0 if time.monotonic() - begun > CALM else failures + 1
            await self._back_off(failures)

    async def _back_off(self, failures: int) -> None:
        seconds = BACK_OFF[min(failures, len(BACK_OFF)) - 1] if failures else BACK_OFF[0]
        self.last = self.state
        if failures > 1:
            text = f"back-off {seconds:g}s restarting failed container={self.name}"
            self._wait("CrashLoopBackOff", text)
            self.pod.event(
                "Warning", "BackOff", f"Back-off restarting failed container {self.name}"
            )
        await asyncio.sleep(seconds)
        self.restarts += 1

    def _again(self, code: int) -> bool:
        policy = self.pod.spec.get("restartPolicy", "Always")
        if policy == "Never" or (code == 0 and (self.init or policy == "OnFailure")):
            return False
        return not self.pod.stopping

    def _wait(self, reason: str, message: str = "") -> None:
        self.state = {"waiting": {"reason": reason, "message": message}}
        self.pod.report()

    async def _once(self) -> int:
        """Start it, as soon as it can be, and wait for its end."""
        process = await self._start()
        self._begun = now()
        self.state = {"running": {"startedAt": self._begun}}
        self.started = "startupProbe" not in self.spec
        self.ready = self.started and "readinessProbe" not in self.spec and bool(process.pid)
        self.pod.event("Normal", "Started", f"Started container {self.name}")
        self.pod.report()
        probing = asyncio.create_task(self._probe())
        try:
            if "postStart" in self.spec.get("lifecycle", {}):
                await self._hook("postStart")
            code = await process.ended()
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
        self._ended(code)
        return code

    async def _start(self) -> Process:
        while True:
            try:
                given = self._given()
            except Refused as exc:
                self._wait(exc.reason, exc.message)
                self.pod.event("Warning", "Failed", f"Error: {exc.message}")
                await self.pod.changed()
                continue
            folder = self.pod.folder / "run"
            (folder / f"{self.name}.end").write_text("")
            (folder / f"{self.name}.end").chmod(0o666)
            log = self.pod.log(self.name, self.restarts)
            self._process = process = await Process.start(given, folder / self.name, log)
            as_whom = given["user"], given["group"], given["groups"]
            self.entry = Entry(process.pid, *as_whom, given["environment"])
            self.entry.save(self.pod.folder / f"{self.name}.entry")
            if self._stopping:
                process.kill()
            return process

    def _ended(self, code: int) -> None:
        told = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
        if code == 128:
            told["reason"] = "StartError"
        if code > 128:
            told["signal"] = code - 128
        message = self._last_words(code)
        if message:
            told["message"] = message
        self.state = {
            "terminated": {
                **told, "startedAt": self._begun, "finishedAt": now(), "containerID": self.id,
            }
        }  # fmt: skip
        self.ready = self.started = False
        self.entry, self._process = None, None
        self.pod.report()

    def _last_words(self, code: int) -> str:
        said = (self.pod.folder / "run" / f"{self.name}.end").read_text("utf-8", "replace")
        fallback = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not said and code and (fallback or code == 128):
            said = self.pod.log(self.name, self.restarts).read_text("utf-8", "replace")[-2048:]
        return said[-4096:]

    @property
    def id(self) -> str:
        return f"test://{self.pod.uid}/{self.name}/{self.restarts}"

    async def stop(self, seconds: float) -> None:
        """End it for good."""
        self._stopping = True
        await self._end(seconds)

    async def _end(self, seconds: float) -> None:
        """End the process: hook, SIGTERM, and SIGKILL when the time is over."""
        process = self._process
        if process is None:
            return
        self.pod.event("Normal", "Killing", f"Stopping container {self.name}")
        ended = asyncio.create_task(process.ended())
        try:
            async with asyncio.timeout(seconds):
                if "preStop" in self.spec.get("lifecycle", {}):
                    await self._hook("preStop")
                process.kill(signal.SIGTERM)
                await asyncio.shield(ended)
        except TimeoutError:
            process.kill()
        await ended

    async def _hook(self, name: str) -> None:
        given = self.spec["lifecycle"][name]
        if "sleep" in given:
            await asyncio.sleep(given["sleep"]["seconds"])
        elif "exec" in given:
            await self._exec(given["exec"]["command"], 60.0)
        elif "httpGet" in given:
            try:
                await get(given["httpGet"], self.spec, self.pod.address)
            except Exception as exc:
                self.pod.event("Warning", f"Failed{name[0].upper()}{name[1:]}Hook", str(exc))

    # ------------------------------------------------------------------------ probes

    async def _probe(self) -> None:
        def of(name: str) -> Probe | None:
            given = self.spec.get(name)
            address = self.pod.address
            return Probe(given, self.spec, address, self._exec) if given else None

        startup, readiness, liveness = of("startupProbe"), of("readinessProbe"), of("livenessProbe")
        if startup:
            if not await startup.until_started():
                self._unhealthy("Startup", startup)
                await self._end(self._grace(self.spec["startupProbe"]))
                return
            self.started = True
            self.ready = readiness is None
            self.pod.report()
        tasks: list[Coroutine[Any, Any, None]] = []
        if readiness:
            tasks.append(readiness.follow(lambda ready: self._readiness(ready, readiness), False))
        if liveness:
            tasks.append(self._liveness(liveness))
        await asyncio.gather(*tasks)

    def _readiness(self, ready: bool, probe: Probe) -> None:
        self.ready = ready
        if not ready:
            self._unhealthy("Readiness", probe)
        self.pod.report()

    async def _liveness(self, probe: Probe) -> None:
        await asyncio.sleep(probe.delay)
        dead = asyncio.Event()
        following = asyncio.create_task(probe.follow(lambda alive: alive or dead.set(), True))
        try:
            await dead.wait()
        finally:
            following.cancel()
        self._unhealthy("Liveness", probe)
        await self._end(self._grace(self.spec["livenessProbe"]))

    def _grace(self, probe: Manifest) -> float:
        return float(probe.get("terminationGracePeriodSeconds") or self.pod.grace)

    def _unhealthy(self, name: str, probe: Probe) -> None:
        self.pod.event("Warning", "Unhealthy", f"{name} probe failed: {probe.problem}")

    async def _exec(self, words: list[str], seconds: float) -> bool:
        """Run a command in the container."""
        if self.entry is None or not self.entry.pid:
            return False
        process = await asyncio.create_subprocess_exec(
            *self.entry.words(words),
            env=self.entry.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(seconds):
                return await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    # ------------------------------------------------------------------------ what runs

    def _given(self) -> Manifest:
        """Return what `kubelet.launch` needs. Raises Refused."""
        spec, found, pod = self.spec, self._image, self.pod
        environment = Environment(pod.store, pod.seen(), spec).make(found.environment)
        command = [expand(word, environment) for word in spec.get("command", [])]
        arguments = [expand(word, environment) for word in spec.get("args", [])]
        return {
            "network": pod.network,
            "hostname": pod.hostname,
            "files": pod.files,
            "needed": needed(),
            "mounts": self._mounts(environment),
            "folder": spec.get("workingDir") or found.folder,
            "words": found.words(command, arguments) or ["sh"],
            "environment": environment,
            **self._rights(),
        }

    def _rights(self) -> Manifest:
        """Return as whom it runs. Raises Refused."""
        own = self.spec.get("securityContext") or {}
        of_pod = self.pod.spec.get("securityContext") or {}

        def either(name: str) -> Any:
            return own.get(name) if own.get(name) is not None else of_pod.get(name)

        user = either("runAsUser")
        user = self._image.user if user is None else user
        if either("runAsNonRoot") and user == 0:
            text = "container has runAsNonRoot and image will run as root"
            raise Refused("CreateContainerConfigError", text)
        group = either("runAsGroup")
        if group is None:
            group = user if user == self._image.user else 0
        groups = list(of_pod.get("supplementalGroups", []))
        groups += [of_pod["fsGroup"]] if "fsGroup" in of_pod else []
        capabilities = own.get("capabilities") or {}
        return {
            "user": user,
            "group": group,
            "groups": groups,
            "add": capabilities.get("add", []),
            "drop": capabilities.get("drop", []),
            "privileged": own.get("privileged", False),
            "no_new_privileges": own.get("allowPrivilegeEscalation") is False,
            "read_only": own.get("readOnlyRootFilesystem", False),
        }

    def _mounts(self, environment: dict[str, str]) -> list[Manifest]:
        def one(source: str | Path, at: str, read_only: bool) -> Manifest:
            return {"from": str(source), "at": at, "read_only": read_only}

        end = self.spec.get("terminationMessagePath") or "/dev/termination-log"
        result = [one(self.pod.folder / "run" / f"{self.name}.end", end, False)]
        result += [one(source, at, True) for at, source in self._image.files.items()]
        for given in self.spec.get("volumeMounts", []):
            sub = given.get("subPath") or expand(given.get("subPathExpr", ""), environment)
            source, read_only = self.pod.volumes.path(given, sub)
            result.append(one(source, given["mountPath"], read_only))
        return result

    def status(self) -> Manifest:
        """Return the state as the API tells it."""
        return {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": f"test://{self.spec['image']}",
            "containerID": "" if "waiting" in self.state and not self.last else self.id,
            "ready": self.ready if not self.init else self.code == 0,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last,
        }
