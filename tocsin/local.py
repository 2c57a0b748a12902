"""Runs a folder of manifests on this machine.

The bus first, then the places of the Sensors on it, then all processes: what a source accepts
before a Sensor is up waits for it there. At the end sources stop before Sensors, and the bus
last, so that nothing accepted is left undone that could have been done. Stopping is cancellation:
each thing that was started stands on a stack.
"""

import asyncio
import dataclasses
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.objects import Checked
from eventbus.bus import Bus
from eventbus.config import BusConfig, shown
from eventbus.embedded import Server, serve
from eventbus.opening import open_bus
from eventbus.settings import StreamSettings
from spine.errors import BusError, ConfigError
from spine.manifest import Finding, read
from spine.secrets import GivenSecrets
from tocsin import report, state
from tocsin.banner import show, show_start
from tocsin.beside import Beside
from tocsin.checks import Result, Setting, check
from tocsin.console import Console
from tocsin.spare import Spares
from tocsin.supervisor import Child, Fleet
from tocsin.wanted import LOOPBACK, VERBS, BusKey, Setup, Wanted, port_problems, wanted
from tocsin.watching import Seen, look, watch

BUS_PATIENCE = 10.0
"""Seconds to wait for a bus that is said to exist."""
START_PATIENCE = 60.0
"""Seconds to wait for processes before going on without word from them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `tocsin run` was told."""

    paths: tuple[str, ...]
    bus: str = ""
    state: Path = state.DEFAULT
    port_offset: int = 0
    dry_run: bool = False
    log_format: str = "text"
    log_level: str = "info"
    watch: bool = False
    secrets: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    nats_server: str | None = None


class Rejected(ConfigError):
    """Manifests with errors; they have been printed."""


class Local:
    """One run."""

    def __init__(self, options: Options, console: Console, spares: Spares) -> None:
        self._options, self._console, self._spares = options, console, spares
        self._setup = Setup(
            options.port_offset, options.log_format, options.log_level, options.dry_run
        )
        self._buses: dict[BusKey, dict[str, Any]] = {}
        self._servers: list[Server] = []
        self._own: set[BusKey] = set()
        self._beside = Beside(options.dry_run, self._own)
        self._seen: Seen = {}
        self._limits: dict[BusKey, Any] = {}
        self._running: dict[tuple[str, str, str], tuple[Wanted, Child]] = {}

    async def run(self) -> None:
        """Run until cancelled. Raises ConfigError, BusError and whatever is a bug."""
        self._seen = look(self._options) if self._options.watch else {}
        result = self.load()
        show_start(self._console, {verb: len(result.of(kind)) for kind, verb in VERBS.items()})
        with state.held(self._options.state):
            self._require_ports(result.of("EventSource"))
            async with AsyncExitStack() as stack:
                await self._open_buses(result, stack)
                await self._make_durables(result)
                try:
                    await self._run(self._wanted(result))
                finally:
                    await self._clean_up(result)

    def load(self) -> Result:
        """Read and check the manifests. Raises Rejected once their errors are printed."""
        options = self._options
        reading = read(options.paths)
        setting = Setting(alone=True, bus_given=bool(options.bus))
        result = check(reading, setting, options.secrets, options.config_maps)
        if not any(map(result.of, VERBS)) and not result.count("error"):
            raise ConfigError(
                f"reading {' '.join(options.paths)}: no EventSource, Sensor or Notifier in there",
                hint="manifests end in .yaml, .yml or .json",
            )
        self._print(result.findings)
        if result.count("error"):
            raise Rejected(report.summary(result.findings, len(result.checked), len(reading.files)))
        return result

    def _print(self, findings: Sequence[Finding]) -> None:
        if not self._console.json:
            report.print_text(findings, notes=False, err=True)
            return
        for finding in findings:
            if finding.severity != "note":
                self._console.say(str(finding), level=finding.severity)

    # ------------------------------------------------------------------------ buses

    async def _open_buses(self, result: Result, stack: AsyncExitStack) -> None:
        given = {c.key: c for c in result.of("EventBus")}
        self._limits = _bus_specs(result)
        used = {c.bus for c in result.checked if c.object.kind != "EventBus"}
        for key in sorted(used):
            await self._open_bus(key, given.get(key), result, stack)

    async def _open_bus(
        self, key: BusKey, manifest: Checked | None, result: Result, stack: AsyncExitStack
    ) -> None:
        """Find or start a bus, and give its streams the limits that its manifest has."""
        existing = manifest.spec.existing if manifest is not None else None
        provision = None
        if self._options.bus:
            config = {"jetstream": {"url": self._options.bus}}
        elif existing is not None:
            config = existing.model_dump(mode="json", by_alias=True, exclude_none=True)
        else:
            part = "dry-run" if self._options.dry_run else "bus"
            folder = self._options.state / part / key[0] / key[1]
            server = await stack.enter_async_context(
                serve(folder, binary=self._options.nats_server)
            )
            self._servers.append(server)
            self._own.add(key)
            config = server.config.model_dump(mode="json", by_alias=True, exclude_none=True)
            limits = manifest.spec.settings(server.settings) if manifest else server.settings
            provision = dataclasses.replace(limits, replicas=1)  # there is one server
        self._buses[key] = config
        async with self._connected(key, result, provision):
            pass

    @asynccontextmanager
    async def _connected(
        self, key: BusKey, result: Result, provision: StreamSettings | None = None
    ) -> AsyncIterator[Bus]:
        """Yield a connection to a bus, which makes what is missing there."""
        config = self._buses[key]
        secrets = GivenSecrets(
            result.values.find("Secret", key[0]), result.values.find("ConfigMap", key[0])
        )
        try:
            async with open_bus(
                BusConfig.model_validate(config),
                secrets,
                provision=provision,
                give_up_after=BUS_PATIENCE,
                name="tocsin-run",
            ) as bus:
                yield bus
        except BusError as exc:
            where = shown(config["jetstream"]["url"])
            raise BusError(
                f"using EventBus {key[1]!r} at {where}: {exc.message}",
                hint=exc.hint or "is it running, with JetStream on?",
            ) from exc

    async def _make_durables(self, result: Result) -> None:
        """Give every Sensor its place in the stream before an event can come."""
        from sensor.runner import prepare

        for key in sorted({sensor.bus for sensor in result.of("Sensor")} | self._own):
            async with self._connected(key, result) as bus:
                sensors = [s for s in result.of("Sensor") if s.bus == key]
                for sensor in sensors:
                    await prepare(self._beside.plan(sensor), bus, 0)
                if key in self._own:
                    await self._forget_others(bus, {s.plan.name for s in sensors})

    async def _forget_others(self, bus: Bus, present: set[str]) -> None:
        """Remove the places of Sensors that are in the manifests no more; after a day, and told."""
        from sensor.retire import retire

        for gone in await retire(bus, present, time.time()):
            kept = "is forgotten" if gone.forgotten else "is kept for a day"
            self._console.say(
                f"Sensor {gone.name!r} is not in the manifests: its place on the bus, with"
                f" {report.plural(gone.pending, 'event')} to read, {kept}"
            )

    def _wanted(self, result: Result) -> dict[tuple[str, str, str], Wanted]:
        return self._beside.adapt(wanted(result, self._buses, self._setup))

    async def _clean_up(self, result: Result) -> None:
        """Take away what dry runs left on the buses of others, as far as those answer."""
        left = [w.checked for w, _ in self._running.values() if self._beside.has(w.checked)]
        if not left:
            return
        from sensor.dry import forget

        with suppress(BusError):
            for checked in left:
                async with self._connected(checked.bus, result) as bus:
                    await forget(bus, self._beside.name(checked))

    # ------------------------------------------------------------------------ processes

    async def _run(self, wishes: dict[tuple[str, str, str], Wanted]) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                fleet = Fleet(tasks)
                try:
                    await self._start(wishes.values(), fleet)
                    running = [w for w, _ in self._running.values()]
                    show(self._console, running, self._where(), dry=self._options.dry_run)
                    if self._options.watch:
                        await watch(self, self._options, fleet, self._seen)
                    await asyncio.Event().wait()  # until cancelled
                except asyncio.CancelledError:
                    self._console.say("stopping: sources, then sensors, then the bus")
                    raise
                finally:
                    await fleet.stop(c for w, c in self._running.values() if _is_source(w))
                    await fleet.stop()
        except BaseExceptionGroup as group:
            if (only := group.split(ConfigError)[0]) is not None and len(only.exceptions) == 1:
                raise only.exceptions[0] from None
            raise

    def _require_ports(self, sources: Iterable[Checked]) -> None:
        ours = {a.port for one, _ in self._running.values() for a in one.addresses}
        findings = list(port_problems(sources, self._options.port_offset, ours))
        if findings:
            self._print(findings)
            raise Rejected(f"{report.plural(len(findings), 'port')} cannot be used")

    async def _start(self, wishes: Iterable[Wanted], fleet: Fleet) -> None:
        """Start processes side by side: the Sensors have their durables already."""
        children = []
        for one in sorted(wishes, key=_is_source):
            child = self._child(one)
            self._running[one.key] = one, child
            fleet.start(child)
            children.append(child)
        for late in await fleet.ready(children, START_PATIENCE):
            said = f"{late.name} is not ready yet; going on without it"
            self._console.say(said, level="warning")
        self._spares.end()
        for child in children:
            metrics = f"http://{LOOPBACK}:{child.metrics_port}/metrics"
            self._console.detail(f"{child.name}: pid {child.pid}, {metrics}")
        self._write_state()

    def _child(self, one: Wanted) -> Child:
        return Child(one.verb, one.label, one.job, self._console, self._write_state, self._spares)

    async def change(self, result: Result, fleet: Fleet) -> list[str]:
        """Bring what runs to what manifests say now; return what was done.

        Raises ConfigError, with all that runs left as it is.
        """
        for checked in result.checked:
            if checked.object.kind != "EventBus" and checked.bus not in self._buses:
                raise ConfigError(
                    f"{checked.object} uses EventBus {checked.bus[1]!r}, which is new",
                    hint="stop and start tocsin run for it",
                )
        self._require_ports(result.of("EventSource"))
        wishes = self._wanted(result)
        gone = [key for key in self._running if key not in wishes]
        new = {
            key: one
            for key, one in wishes.items()
            if key not in self._running or self._running[key][0].fingerprint != one.fingerprint
        }
        changed = [key for key in new if key in self._running]
        leaving = [self._running[key] for key in (*gone, *changed)]
        done = [f"{w.label} removed" for w in (self._running[k][0] for k in gone)]
        done += [f"{one.label} {'changed' if k in changed else 'new'}" for k, one in new.items()]
        await fleet.stop(child for one, child in leaving if _is_source(one))
        await fleet.stop(child for one, child in leaving if not _is_source(one))
        await self._make_durables(result)
        for key in gone:
            del self._running[key]
        await self._start(new.values(), fleet)
        if self._limits != (limits := _bus_specs(result)):
            self._limits = limits
            said = "an EventBus was changed: that takes effect when tocsin run is started again"
            self._console.say(said, level="warning")
        return done

    def print_rejected(self, exc: ConfigError) -> None:
        """Say that an edit is not taken."""
        self._console.say(f"{exc}; what runs is kept as it was", level="error")

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.say(text)

    # ------------------------------------------------------------------------ state

    def _where(self) -> str:
        if self._options.bus:
            return shown(self._options.bus)
        urls = [shown(c["jetstream"]["url"]) for c in self._buses.values()]
        folder = f", kept in {self._options.state}" if self._servers else ""
        return ", ".join(dict.fromkeys(urls)) + folder

    def _write_state(self) -> None:
        """Tell the other verbs, and whoever debugs, what runs where."""
        processes = [
            {
                "kind": key[0],
                "namespace": key[1],
                "name": key[2],
                "bus": one.checked.bus[1],
                "events": _kinds(one),
                "pid": child.pid,
                "metrics": f"http://{LOOPBACK}:{child.metrics_port}/metrics",
            }
            for key, (one, child) in self._running.items()
        ]
        run = {
            "pid": os.getpid(),
            "started": time.time(),
            "manifests": [str(Path(path).resolve()) for path in self._options.paths],
            "buses": [
                {"namespace": key[0], "name": key[1], "config": config}
                for key, config in self._buses.items()
            ],
            "servers": [server.pid for server in self._servers],
            "processes": processes,
        }
        state.write_run(self._options.state, run)

    def kill(self) -> None:
        """End every process at once."""
        for _, child in self._running.values():
            child.kill()
        for server in self._servers:
            with suppress(ProcessLookupError, AssertionError):
                os.kill(server.pid, signal.SIGKILL)


def _is_source(one: Wanted) -> bool:
    return one.verb == "eventsource"


def _bus_specs(result: Result) -> dict[BusKey, Any]:
    return {bus.key: bus.modern.raw["spec"] for bus in result.of("EventBus")}


def _kinds(one: Wanted) -> dict[str, str]:
    """Return the events of an EventSource with their kinds."""
    return {n: s.type for n, s in one.checked.spec.sources().items()} if _is_source(one) else {}
