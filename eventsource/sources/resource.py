"""Resource: an event whenever a Kubernetes object of a kind is added, changed or deleted.

What was told is remembered in the store of the bus. So a restart tells nothing twice, and what
happened meanwhile is told then; only a new EventSource begins with an ADD for all there is. Each
event has an id made of EventSource, event, object, version and type: seen twice, it is the same.
"""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from eventsource.objects.body import Observed
from eventsource.objects.selection import ResourceFilter
from eventsource.source import Emit, Payload, Source
from spine.errors import ConfigError
from spine.lang import paths, slips
from spine.model import warn, warn_of
from spine.runtime import Env, cancelled_at_exit

_EXAMPLE = (
    b'{"apiVersion":"v1","kind":"Service","metadata":{"name":"shop","namespace":"playground",'
    b'"resourceVersion":"1203","uid":"5d0c6b1e-7c0f-4f6e-9a55-0a4f5f4f8a51"},"spec":{"ports":'
    b'[{"port":80}]}}'
)


class Resource(Source):
    """Emits an event for each change of objects of a kind."""

    type: ClassVar[str] = "resource"
    single: ClassVar[bool] = True
    example: ClassVar[Payload] = Observed("ADD", _EXAMPLE, None, ("", "v1", "services"), {})
    group: str = ""
    """API group; empty is the core group."""
    version: Annotated[str, Field(min_length=1)]
    """Version of the API, such as `v1`."""
    resource: Annotated[str, Field(min_length=1)]
    """Plural name of the kind in lower case, such as `services`."""
    namespace: str = ""
    """Namespace that is watched; empty: all. Kinds without namespaces take none."""
    event_types: list[Literal["ADD", "UPDATE", "DELETE"]]
    """Which changes become events."""
    filter: ResourceFilter | None = None
    """Which objects count."""
    on_change: list[str] = []
    """Ours: an UPDATE counts only if the value at one of these gjson paths is another one, such as
    `status.phase`; `changes` in the payload tells path, old and new value."""
    metadata: dict[str, str] = {}
    """Constant values for `metadata` of each payload."""

    @field_validator("event_types")
    @classmethod
    def _some(cls, types: list[str]) -> list[str]:
        if not types:
            warn("eventTypes: empty: nothing ever becomes an event")
        return types

    @field_validator("on_change", mode="before")
    @classmethod
    def _one_path(cls, raw: Any) -> Any:
        return [raw] if isinstance(raw, str) else raw

    @field_validator("on_change")
    @classmethod
    def _paths(cls, texts: list[str]) -> list[str]:
        for text in texts:
            try:
                paths.compile(text)
            except ConfigError as exc:
                raise ValueError(str(exc)) from exc
        return texts

    @model_validator(mode="after")
    def _plural(self) -> "Resource":
        if self.resource != self.resource.lower():
            warn(f"resource: {self.resource}: write the plural in lower case, as in URLs")
        for path in self.on_change:
            warn_of("onChange", slips.of_path(path))
        if self.on_change and "UPDATE" not in self.event_types:
            warn("onChange: of no effect without UPDATE in eventTypes")
        return self

    @override
    async def run(self, env: Env, emit: Emit) -> None:
        from eventsource.objects.observer import Observer, Wanted
        from eventsource.objects.snapshot import Snapshot
        from spine.kube import Page, follow, open_kube, state

        kube = await env.shared.get("kube", open_kube)
        kind = await kube.discovery.plural(self.group, self.version, self.resource.lower())
        if self.namespace and not kind.namespaced:
            raise ConfigError(
                f"watching {kind.plural} in namespace {self.namespace!r}: they are in none",
                hint="leave namespace away",
            )
        chosen = self.filter or ResourceFilter()
        snapshot = Snapshot(env.memory, tuple(self.on_change))
        await snapshot.load()
        wanted = Wanted(
            place=(env.object, env.name),
            kind=(self.group, self.version, self.resource),
            types=frozenset(self.event_types),
            passes=chosen.compile(datetime.now(UTC)),
            on_change=tuple(self.on_change),
            metadata=self.metadata,
        )
        observer = Observer(wanted, emit, snapshot)
        writing = asyncio.create_task(snapshot.run(), name=f"memory of {env.name}")
        async with cancelled_at_exit(writing):
            at = {"labels": chosen.selector, "version": snapshot.version}
            try:
                if snapshot.version:
                    async for page in state(kube, kind, self.namespace, **at):
                        await observer.page(page, quiet=True)
                    env.listening()
                async for one in follow(kube, kind, self.namespace, **at):
                    if isinstance(one, Page):
                        await observer.page(one)
                        if one.last:  # from now on nothing is missed
                            env.listening()
                    else:
                        await observer.change(one)
            finally:
                await observer.finish()  # before what was told is written for the last time
