"""Hooks that are registered for the user: made, brought up to date, and taken away at the end.

This goes on beside the serving of events and never stops it: where the API is away or refuses,
that is logged with what to do, and tried again with growing waits. Hooks are looked after for as
long as the source runs, so one that somebody deletes comes back. Credentials are read at each
look, and one that changes is acted on within seconds.

Replicas that start together would all make a hook, as no API prevents it: who made one looks
again, and takes its own away where another has a lower number.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from spine.errors import Fault, TriggerError
from spine.runtime import Backoff, Env
from spine.secrets import SecretRef

log = logging.getLogger(__name__)

EVERY = 300.0
"""Seconds between two looks at hooks that are in place."""
AGAIN = Backoff(duration=2.0, factor=2.0, jitter=0.5, steps=0, cap=EVERY)
"""Waits after a look that was refused."""
GLANCE = 5.0
"""Seconds between two looks at the Secrets."""
FINISH = 5.0
"""Seconds that taking hooks away may take at the end."""
AT_ONCE = 8
"""Hooks that are taken away at a time."""


class Hook(NamedTuple):
    """A hook that is there."""

    id: int
    url: str
    current: bool
    """Whether it is as it is to be, as far as that can be seen."""
    problem: str = ""
    """Why it sends nothing just now."""


class Place(Protocol):
    """What has hooks, such as a repository. All raise TriggerError, made out for the user."""

    @property
    def shown(self) -> str:
        """What it is called in logs."""
        ...

    async def hooks(self) -> list[Hook]:
        """Return all its hooks."""
        ...

    async def create(self) -> int | None:
        """Make the hook; return its number, None where somebody else has just made it."""
        ...

    async def update(self, hook: Hook) -> None:
        """Bring a hook up to date, its secret too."""
        ...

    async def delete(self, number: int) -> None:
        """Take a hook away; one that is gone already is none to complain about."""
        ...


Opening = Callable[[], Sequence[Place]]
"""Gives the places with the credentials of this moment. Raises ConfigError."""


class Registration:
    """The hooks of one event."""

    def __init__(
        self, env: Env, url: str, opening: Opening, secrets: Iterable[SecretRef] = ()
    ) -> None:
        self._env, self._url, self._opening = env, url, opening
        self._secrets = tuple(secrets)
        self._known: dict[str, int] = {}
        """Number of the hook of each place."""
        self._told: dict[str, bytes] = {}
        """What the Secrets were when the hook of a place was last written."""
        self._extra = {"eventName": env.name}

    async def keep(self) -> None:
        """Look after the hooks until cancelled."""
        refused = 0
        while True:
            mark = self._mark()
            errors = await self._look(mark)
            refused = refused + 1 if errors else 0
            asked = [e.retry_after for e in errors if e.retry_after is not None]
            wait = max([AGAIN.wait(refused), *asked]) if errors else EVERY
            await self._until_changed(mark, min(wait, 12 * EVERY))

    async def remove(self) -> None:
        """Take the hooks away."""
        gate = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.timeout(FINISH):
                places = self._opening()
                await asyncio.gather(*(self._take_away(place, gate) for place in places))
        except (Fault, TimeoutError) as exc:
            extra = {**self._extra, "error": str(exc) or "no answer in time"}
            log.error("hooks are still there, though they were to be deleted", extra=extra)  # noqa: TRY400 -- the text says it all

    async def _take_away(self, place: Place, gate: asyncio.Semaphore) -> None:
        try:
            async with gate:
                number = self._known.get(place.shown)
                if number is None:  # it may have been made just as we were told to stop
                    number = next((hook.id for hook in await self._ours(place)), None)
                if number is None:
                    return
                await place.delete(number)
        except TriggerError as exc:
            extra = {**self._extra, "error": str(exc)}
            log.error("the hook of %s is still there", place.shown, extra=extra)  # noqa: TRY400 -- the text says it all
        else:
            log.info("deleted the hook of %s", place.shown, extra=self._extra)

    # ------------------------------------------------------------------ one look

    async def _look(self, mark: bytes) -> list[TriggerError]:
        """Look at all places; return what went wrong."""
        try:
            places = self._opening()
        except Fault as exc:
            self._complain("registering hooks", exc)
            return [TriggerError(str(exc))]
        errors: list[TriggerError] = []
        for place in places:
            try:
                await self._ensure(place, mark)
            except TriggerError as exc:
                self._complain(f"the hook of {place.shown} is not in place", exc)
                errors.append(exc)
                if not exc.permanent:
                    break  # the API is away: it is for all
        return errors

    def _complain(self, what: str, exc: Fault) -> None:
        log.error(what, extra={**self._extra, "error": str(exc)})

    async def _ensure(self, place: Place, mark: bytes) -> None:
        found = await self._ours(place) or await self._make(place, mark)
        if not found:
            return  # it is seen at the next look
        hook = found[0]
        self._known[place.shown] = hook.id
        if not hook.current or self._told.get(place.shown) != mark:
            await place.update(hook)
            log.info("hook %d of %s is up to date", hook.id, place.shown, extra=self._extra)
        self._told[place.shown] = mark
        self._warn_of(place, found)

    async def _make(self, place: Place, mark: bytes) -> list[Hook]:
        """Make a hook; return those that lead here then."""
        made = await place.create()
        if made is not None:
            self._known[place.shown], self._told[place.shown] = made, mark
            log.info("made hook %d of %s", made, place.shown, extra=self._extra)
        found = await self._ours(place)
        if made is not None and found and found[0].id < made:  # another replica was faster
            await place.delete(made)
            found = [hook for hook in found if hook.id != made]
        return found

    async def _ours(self, place: Place) -> list[Hook]:
        """Return the hooks that lead here, the oldest first."""
        hooks = [hook for hook in await place.hooks() if same_url(hook.url, self._url)]
        return sorted(hooks, key=lambda hook: hook.id)

    def _warn_of(self, place: Place, found: Sequence[Hook]) -> None:
        if len(found) > 1:
            others = ", ".join(str(hook.id) for hook in found[1:])
            log.warning(
                "several hooks of %s lead here, and each event comes several times: delete %s",
                place.shown,
                others,
                extra=self._extra,
            )
        if found[0].problem:
            log.warning("hook of %s: %s", place.shown, found[0].problem, extra=self._extra)

    # ------------------------------------------------------------------ Secrets

    async def _until_changed(self, mark: bytes, seconds: float) -> None:
        """Wait; less where a Secret changes."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        while (left := end - clock()) > 0 and self._mark() == mark:  # noqa: ASYNC110 -- files tell of no change
            await asyncio.sleep(min(left, GLANCE))

    def _mark(self) -> bytes:
        """Return what tells the values of the Secrets from others."""
        found = hashlib.blake2b(digest_size=16)
        for ref in self._secrets:
            try:
                value = self._env.secrets.secret(ref)
            except Fault as exc:
                value = str(exc)
            found.update(hashlib.blake2b(value.encode()).digest())
        return found.digest()


@asynccontextmanager
async def registered(registration: Registration, *, delete: bool) -> AsyncIterator[None]:
    """Look after hooks while the block lasts; with `delete`, take them away at its end."""
    try:
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(registration.keep(), name="hooks")
            try:
                yield
            finally:
                keeping.cancel()
    finally:
        if delete:
            await registration.remove()


def same_url(one: str, other: str) -> bool:
    """Return whether two URLs are the same; the case of the host says nothing."""
    return _parts(one) == _parts(other)


def _parts(url: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.netloc.lower(), parts.path, parts.query
    except ValueError:
        return "", url, "", ""
