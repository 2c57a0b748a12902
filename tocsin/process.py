"""One EventSource, Sensor or Notifier as a process: what a pod runs, and what `tocsin run` starts.

The object comes from a file, from the environment variables that Argo Events' controllers set, or
from the parent. It answers `/metrics`, `/healthz`, `/readyz` and `/status` from its first moment,
waits for the bus as long as it takes, and on SIGTERM finishes what is in flight.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from controller.objects import Checked, check_object
from eventbus.bus import Bus
from eventbus.config import BusConfig
from eventbus.opening import open_bus
from spine import output
from spine.compat import PathSecrets, modernise
from spine.errors import ConfigError, Fault
from spine.manifest import Finding, Object
from spine.model import load
from spine.runtime import cancelled_at_exit
from spine.secrets import GivenSecrets, LayeredSecrets, MountedSecrets, Secrets
from spine.standing import Part, Standing
from spine.telemetry import StatusServer, configure_logging
from tocsin.parent import Parent

log = logging.getLogger(__name__)

METRICS_PORT = 7777
FAILED = 1
_LOOK = 0.02
"""Seconds between looks whether all is up; sources and buses say it in their own ways."""
_GC_THRESHOLD = (50_000, 20, 100)
"""Objects between collections: what a process keeps for good is frozen, the rest is short-lived."""


@dataclass(kw_only=True)
class Job:
    """What a process needs to know. JSON in the parent's hands."""

    kind: str
    """EventSource, Sensor or Notifier."""
    object: dict[str, Any]
    """The manifest."""
    bus: dict[str, Any]
    """Shape of EVENTBUS_CONFIG."""
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Values of Secrets by name and key, beside those that are mounted."""
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets_dir: str = "/argo-events/secrets"
    config_dir: str = "/argo-events/config"
    host: str = "0.0.0.0"  # noqa: S104 -- a pod is reached from outside; `tocsin run` says 127.0.0.1
    """Address on which servers listen."""
    port_offset: int = 0
    metrics_port: int = METRICS_PORT
    log_format: str = "json"
    log_level: str = "info"
    stop_delay: float = 0.0
    """Seconds from SIGTERM, not ready any more, until it really stops: who sends to a pod learns
    of its end a little later than the pod itself."""
    dry_run: bool = False
    """Whether actions are only told."""
    supervised: bool = False
    """Whether the parent told the job and waits for reports."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Metadata of the object; empty where it has none."""
        found = self.object.get("metadata")
        return found if isinstance(found, dict) else {}

    def reader(self) -> Secrets:
        """Return where the process looks Secrets and ConfigMaps up."""
        mounted = MountedSecrets(Path(self.secrets_dir), Path(self.config_dir))
        if not self.supervised:
            return PathSecrets(mounted)
        given = GivenSecrets(_flat(self.secrets), _flat(self.config_maps))
        return PathSecrets(LayeredSecrets(given, mounted))


def _flat(values: Mapping[str, Mapping[str, str]]) -> dict[tuple[str, str], str]:
    return {(name, key): text for name, keys in values.items() for key, text in keys.items()}


class Runner(Protocol):
    """What runs the object on a bus."""

    @property
    def problem(self) -> str:
        """Why it cannot do its work just now; empty when it can."""
        ...

    @property
    def parts(self) -> list[Part]:
        """How its events, triggers or watches stand."""
        ...

    @property
    def notes(self) -> list[str]:
        """What else is worth knowing."""
        ...

    async def run(self) -> None:
        """Run until cancelled."""
        ...


class Parts(Protocol):
    """Makes the parts that differ between the kinds."""

    def metrics(self, checked: Checked) -> Any:
        """Return the metrics of an object, with their `registry`."""
        ...

    def runner(self, checked: Checked, job: Job, bus: Bus, metrics: Any) -> Runner:
        """Return what runs it."""
        ...


# ---------------------------------------------------------------------------- running


def checked_object(job: Job) -> tuple[Checked, list[Finding]]:
    """Validate the object as a process does: what it does not know is a warning.

    Raises ConfigError with every problem.
    """
    metadata = job.metadata
    name, namespace = metadata.get("name"), metadata.get("namespace") or "default"
    if not isinstance(name, str) or not name or not isinstance(job.object.get("spec"), dict):
        raise ConfigError(f"reading the {job.kind}: it has no metadata.name or no spec")
    if job.kind == "EventSource":
        from eventsource.narrowed import narrow_to

        narrow_to(modernise(job.kind, job.object).raw["spec"])
    obj = Object(job.kind, name, str(namespace), job.object, "", {}, {})
    checked, findings = check_object(obj, lenient=True)
    errors = [_text(f) for f in findings if f.severity == "error"]
    if errors:
        raise ConfigError(f"reading {obj}: {'; '.join(errors)}")
    return checked, findings


def _text(finding: Finding) -> str:
    return str(finding).partition(": ")[2]  # a stored object has no lines


def serve(job: Job, parts: Parts, parent: Parent | None = None) -> None:
    """Run an object until SIGTERM. Raises ConfigError and whatever is a bug."""
    context = f"{job.kind[0].lower()}{job.kind[1:]}Name"
    configure_logging(job.log_format, job.log_level, **{context: str(job.metadata.get("name", ""))})
    checked, findings = checked_object(job)
    if parent is None:
        for finding in findings:
            log.warning("%s", _text(finding).replace("warning: ", "", 1))
    elif job.log_format == "text" and logging.getLogger().level == logging.INFO:
        logging.getLogger().setLevel(logging.WARNING)  # the parent says what is up; see _tell
    run_loop(_serve(job, checked, parts, parent))


def run_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the fastest loop there is."""
    if sys.platform == "win32":
        asyncio.run(main)
        return
    import uvloop

    uvloop.run(main)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(call)


async def _serve(job: Job, checked: Checked, parts: Parts, parent: Parent | None) -> None:
    loop = asyncio.get_running_loop()
    main = asyncio.current_task()
    assert main is not None
    stopping = False
    level = logging.INFO if parent is None else logging.DEBUG
    ready = _Readiness(job, checked, parts.metrics(checked))

    def stop(after: float = 0.0) -> None:
        nonlocal stopping
        if stopping:
            log.warning("stopping at once")
            os._exit(1)
        stopping = True
        ready.stopping = "is stopping"
        log.log(level, "stopping: finishing what is in flight")
        loop.call_later(after, main.cancel)

    def stop_unread() -> None:
        if not stopping:
            stop()

    loop.add_signal_handler(signal.SIGTERM, stop, job.stop_delay)
    loop.add_signal_handler(signal.SIGINT, stop)
    reading: AbstractContextManager[None] = nullcontext()
    if parent is not None:  # it reads the output, and tells when it goes away
        parent.watch(partial(_in_loop, loop, stop))
    else:
        reading = output.stopping(partial(_in_loop, loop, stop_unread))
    try:
        with reading:
            await _run(job, checked, parts, parent, ready)
    except asyncio.CancelledError:
        if not stopping:
            raise
        log.log(level, "stopped")
    except Exception as exc:
        if isinstance(exc, Fault) or _only_faults(exc):
            raise
        log.exception("stopped by a bug")
        raise SystemExit(FAILED) from exc


def _only_faults(exc: Exception) -> bool:
    return isinstance(exc, ExceptionGroup) and exc.split(Fault)[1] is None


class _Readiness:
    """Why the process cannot do its work just now, for `/readyz`, and more, for `/status`."""

    def __init__(self, job: Job, checked: Checked, metrics: Any) -> None:
        self.of: Bus | None = None
        self.runner: Runner | None = None
        self.stopping = ""
        self.metrics = metrics
        self._job, self._checked = job, checked

    @property
    def checks(self) -> dict[str, Callable[[], str]]:
        """What is looked at, by name."""
        return {"bus": self.bus, self._job.kind.lower(): self.object}

    def bus(self) -> str:
        return self.of.problem if self.of else "is being connected"

    def object(self) -> str:
        return self.stopping or (self.runner.problem if self.runner else "waits for the bus")

    def standing(self) -> Standing:
        """Return all that is known; called from another thread."""
        generation = self._job.metadata.get("generation")
        namespace, name = self._checked.key
        return Standing(
            kind=self._job.kind,
            namespace=namespace,
            name=name,
            generation=generation if isinstance(generation, int) else 0,
            checks={what: check() for what, check in self.checks.items()},
            parts=self.runner.parts if self.runner else [],
            notes=self.runner.notes if self.runner else [],
            dead_letters=dict(self.metrics.dead),
        )


async def _run(
    job: Job, checked: Checked, parts: Parts, parent: Parent | None, ready: _Readiness
) -> None:
    config = load(BusConfig, job.bus, what="event bus", lenient=True, on_warning=log.warning)
    metrics, address = ready.metrics, (job.host, job.metrics_port)
    async with StatusServer(*address, metrics.registry, ready.checks, ready.standing) as status:
        log.debug("serving metrics and health", extra={"port": status.port})
        if parent is not None:
            parent.tell(metrics=status.port)
        client = os.environ.get("POD_NAME") or f"{job.kind.lower()}-{checked.object.name}"
        async with open_bus(config, job.reader(), name=client) as bus:
            ready.of, ready.runner = bus, parts.runner(checked, job, bus, metrics)
            telling = asyncio.create_task(_tell(job, parent, ready), name="readiness")
            async with cancelled_at_exit(telling):
                await ready.runner.run()


async def _tell(job: Job, parent: Parent | None, ready: _Readiness) -> None:
    """Freeze what is there once all is up, and tell the parent."""
    while ready.bus() or ready.object():  # noqa: ASYNC110 -- see _LOOK
        await asyncio.sleep(_LOOK)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)
    log.debug("ready")
    if parent is not None:
        if job.log_level == "info":
            logging.getLogger().setLevel(logging.INFO)
        parent.tell(ready=True)
