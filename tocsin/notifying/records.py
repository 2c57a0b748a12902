"""What a notifier remembers of an object, looked up on the bus where one can be reached."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from eventbus.bus import STATE, Bus
from notifier.keeping import Records, kind_token, name_on_bus
from notifier.spec import Watch
from notifier.state import ObjectState, decode
from spine.errors import BusError, ConfigError
from tocsin.bus_options import opened, running
from tocsin.notifying.found import Found
from tocsin.notifying.subject import Subject


class Remembered(NamedTuple):
    """What is remembered of an object."""

    state: ObjectState
    where: str
    """Where it was found, or why nothing was."""
    known: bool = False
    """Whether there is a record."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The records of notifiers."""

    bus: Bus | None
    why: str = ""
    """Why no bus is reached."""

    async def of(self, found: Found, watch: Watch, subject: Subject) -> Remembered:
        """Return what is remembered of an object. Raises BusError."""
        uid = subject.seen.meta.uid
        if self.bus is None:
            return Remembered(ObjectState(), f"none at hand: {self.why}")
        if not uid:
            why = "the object has no uid, by which it would be found (take it from the cluster)"
            return Remembered(ObjectState(), f"none: {why}")
        kind = kind_token(watch.api_version, watch.kind, found.place)
        key = Records(self.bus, name_on_bus(found.namespace, found.name)).key(kind, uid)
        stored = await self.bus.store(STATE).get(key)
        if stored is None:
            return Remembered(ObjectState(), f"none: Notifier {found.name} never stored one of it")
        return Remembered(decode(stored[0]), f"of Notifier {found.name}, on the bus", known=True)


@asynccontextmanager
async def memory(folder: Path, bus: str, name: str, *, wanted: bool) -> AsyncIterator[Memory]:
    """Yield the records on the bus of a run, or at an address.

    Where no bus was asked for and none is there, that is not an error. Raises ConfigError and
    BusError otherwise.
    """
    async with AsyncExitStack() as stack:
        try:
            run = running(folder, bus)
            found = await stack.enter_async_context(opened(run, bus, name))
        except (ConfigError, BusError) as exc:
            if wanted:
                raise
            why = f"{exc.message} (start tocsin run here, or give --state DIR or --bus URL)"
            yield Memory(None, why)
            return
        yield Memory(found)
