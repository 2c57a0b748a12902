"""File: an event for each thing that happens to files in a directory.

The operations are those of Argo Events, with `name` the full path, or, with `polling`, the name
alone. What is known of the files is remembered in the store of the bus, after the events are on
it: so a crash loses nothing, and what happened while nobody watched is told at the next start.
"""

import asyncio
from typing import ClassVar, Self

from pydantic import field_validator, model_validator
from typing_extensions import override

from eventsource.files import happening
from eventsource.files.folder import ITSELF, Mark
from eventsource.files.happening import FileEvent, WatchPathConfig, check_type
from eventsource.files.known import Known, ran_before
from eventsource.source import Emit, EventSourceFilter, Payload, Source
from spine.runtime import Env, cancelled_at_exit

ALL = sum(happening.OPS.values())


class File(Source):
    """Watches a directory of this machine, or of a volume of the pod."""

    type: ClassVar[str] = "file"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = FileEvent("/data/reports/sales.csv", happening.CREATE)
    event_type: str
    """What becomes an event: CREATE, WRITE, REMOVE, RENAME (the old name; the new one is CREATE) or
    CHMOD; ours: several, as in `CREATE|WRITE`."""
    watch_path_config: WatchPathConfig
    """The directory, and which files in it count."""
    polling: bool = False
    """Whether the directory is looked at ten times a second instead of listening to the file
    system, as network file systems need it. `name` is then without the directory, a rename is
    one event, and the directory itself counts as a file."""
    catchup: bool = True
    """Ours: whether a start tells what has changed since the last one; the first start never tells
    of what is there. With false, as in Argo Events, that is nobody's to know."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""
    filter: EventSourceFilter | None = None
    """Which of it becomes events."""

    @field_validator("event_type")
    @classmethod
    def _type(cls, event_type: str) -> str:
        return check_type(event_type, ALL)

    @model_validator(mode="after")
    def _slash(self) -> Self:
        if not self.polling:
            self.watch_path_config.warn_of_slash()
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        from eventsource.files.telling import Teller
        from eventsource.files.watching import Watching

        place, folder = (env.object, env.name), self.watch_path_config.folder
        known = Known(place, env.memory, folder, Mark)
        again = await ran_before(env)
        remembered = await known.load() and (self.catchup or again)
        by_name, by_rest = self.watch_path_config.by_name(), self.watch_path_config.by_rest()
        own = folder.rpartition("/")[2]

        def bare(name: str) -> str:
            return own if name == ITSELF else name

        teller = Teller(
            env,
            emit,
            known,
            happening.mask_of(self.event_type),
            (lambda name: by_name(bare(name))) if self.polling else by_rest,
            bare if self.polling else f"{folder.rstrip('/')}/".__add__,
            happening.metadata_value(self.metadata),
        )
        watching = Watching(folder, known, teller)
        watch = watching.polling if self.polling else watching.notices
        writing = asyncio.create_task(known.run(), name=f"memory of {env.name}")
        async with cancelled_at_exit(writing):
            await watch(env.listening, remembered=remembered)
