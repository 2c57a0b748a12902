"""Digests: messages to one destination within a window become one.

What is gathered lies in the bus's store, so it outlives the process; the message that is due at
the end of the window lies with the pending actions. Then the list is sealed, told, and removed; a
crash in between tells the sealed list once more, with the same key. Which messages were in it is
kept in mind for a while, for replicas that are behind.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import msgspec

from delivery.action import Action
from delivery.patience import surely
from delivery.subjects import token
from eventbus.bus import STATE, Bus
from notifier import templates
from notifier.config import Configuration, Digest
from notifier.sending import Sent, content
from services.service import Message
from spine.errors import ConflictError

MOST = 500
"""Messages in one digest; more begin another one."""
LARGEST = 256 * 1024
"""Bytes of the texts in one digest."""
LATE = 300.0
"""Seconds after which no replica gathers a message again, as the bus would refuse it until then."""
SPARE = 1024
"""Bytes of what the bus takes left for what travels beside a digest."""


class Gathered(msgspec.Struct, omit_defaults=True):
    """The messages of one window."""

    opened: float = 0.0
    """Unix seconds of the first; names the window."""
    actions: list[Action] = []
    posted: bool = False
    """Whether the message that tells it lies with the pending ones."""
    earlier: dict[str, float] = {}
    """Messages of windows before this one, by key, and when each was met."""

    def after(self, now: float) -> "Gathered":
        """Return the window that comes next, with nothing in it yet."""
        met = self.earlier | {one.key: one.event_time for one in self.actions}
        late = [(key, at) for key, at in met.items() if now - at < LATE]
        return Gathered(earlier=dict(late[-MOST:]))

    @property
    def full(self) -> bool:
        """Whether no more messages fit."""
        size = sum(len(str(action.content)) for action in self.actions)
        return len(self.actions) >= MOST or size >= LARGEST


class Held(NamedTuple):
    """A message that was gathered."""

    action: Action
    """What tells it with others, at the end of the window."""
    posted: bool
    """Whether that lies with the pending ones already."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Gathered).decode


class Digests:
    """What is gathered for one Notifier."""

    def __init__(self, bus: Bus, owner: str, clock: Callable[[], float]) -> None:
        self._bus, self._store = bus, bus.store(STATE)
        self._clock = clock
        self._prefix = f"digest/.{token(owner)}."

    async def gather(self, action: Action, configuration: Configuration) -> Held | None:
        """Keep a message for a digest.

        None: no digest is to have it, or none can hold it. Waits for the bus.
        """
        sent = msgspec.convert(action.content, Sent)
        for number, digest in enumerate(configuration.digests):
            if digest.covers(sent.service, sent.recipient, sent.trigger):
                return await surely(lambda n=number, d=digest: self._add(action, sent, n, d))  # type: ignore[misc]  # bound at once
        return None

    async def _add(self, action: Action, sent: Sent, number: int, digest: Digest) -> Held | None:
        place = "\x00".join((sent.place, sent.service, sent.recipient, str(number)))
        key = self._prefix + hashlib.blake2b(place.encode(), digest_size=12).hexdigest()
        while True:
            gathered, revision = await self._read(key)
            if action.key in gathered.earlier:
                return Held(action, posted=True)
            if not gathered.actions or gathered.full or not self._fits(gathered, action):
                if gathered.actions:
                    await self._keep_sealed(key, gathered)
                gathered = gathered.after(self._clock())
                gathered.opened = self._clock()
                if not self._fits(gathered, action):
                    return None
            if all(one.key != action.key for one in gathered.actions):
                gathered.actions.append(action)
            try:
                await self._store.put(key, _encode(gathered), revision=revision)
            except ConflictError:
                continue
            return Held(self._due(action, sent, key, gathered, digest), gathered.posted)

    def _fits(self, gathered: Gathered, action: Action) -> bool:
        size = len(_encode(gathered)) + len(_encode(Gathered(actions=[action])))
        return size < self._bus.max_payload - SPARE

    async def posted(self, action: Action) -> None:
        """Note that what tells a digest lies with the pending messages: it needs no other."""
        sent = msgspec.convert(action.content, Sent)

        async def note() -> None:
            while True:
                gathered, revision = await self._read(sent.digest)
                if revision is None or gathered.opened != sent.opened or gathered.posted:
                    return
                gathered.posted = True
                with suppress(ConflictError):
                    await self._store.put(sent.digest, _encode(gathered), revision=revision)
                    return

        await surely(note)

    def _due(
        self, action: Action, sent: Sent, key: str, gathered: Gathered, digest: Digest
    ) -> Action:
        opened = f"{gathered.opened:.6f}"
        identity = hashlib.blake2b(f"{key} {opened}".encode(), digest_size=16).hexdigest()
        held = msgspec.structs.replace(
            sent,
            message=Message(template=digest.template),
            digest=key,
            opened=gathered.opened,
            object="a digest",
        )
        due = max(action.due, gathered.opened + digest.window)
        return msgspec.structs.replace(action, key=identity, content=content(held), due=due)

    async def _read(self, key: str) -> tuple[Gathered, int | None]:
        found = await self._store.get(key)
        if found is None:
            return Gathered(), None
        try:
            return _decode(found[0]), found[1]
        except msgspec.DecodeError:
            return Gathered(), found[1]

    async def seal(self, sent: Sent) -> list[Action]:
        """Return the messages of a window that is over; nothing is added to them any more."""
        while True:
            gathered, revision = await self._read(sent.digest)
            if revision is None or gathered.opened != sent.opened:
                kept, _ = await self._read(_sealed(sent.digest, sent.opened))
                return kept.actions
            await self._keep_sealed(sent.digest, gathered)
            with suppress(ConflictError):  # one more came: look again
                after = _encode(gathered.after(self._clock()))
                await self._store.put(sent.digest, after, revision=revision)

    async def _keep_sealed(self, key: str, gathered: Gathered) -> None:
        """Store a window that is over; what another one found in it later stays in it."""
        sealed = _sealed(key, gathered.opened)
        while True:
            kept, revision = await self._read(sealed)
            known = {one.key for one in kept.actions}
            more = [one for one in gathered.actions if one.key not in known]
            if revision is not None and not more:
                return
            whole = Gathered(opened=gathered.opened, actions=[*kept.actions, *more])
            try:
                await self._store.put(sealed, _encode(whole), revision=revision)
            except ConflictError:
                continue
            return

    async def told(self, sent: Sent) -> None:
        """Remove a window that was told."""
        await surely(lambda: self._store.delete(_sealed(sent.digest, sent.opened)))


def _sealed(key: str, opened: float) -> str:
    """Return where the messages of a window that is over lie."""
    return f"{key}.{opened:.6f}"


def together(actions: list[Action], configuration: Configuration, sent: Sent) -> Message:
    """Return one message for many. Raises ConfigError and EvaluationError."""
    parts = [msgspec.convert(action.content, Sent) for action in actions]
    messages = [
        {"text": one.message.text, "trigger": one.trigger, "object": one.object} for one in parts
    ]
    name = sent.message.template
    template = configuration.templates.get(name) if name else None
    if template is None:
        lines = [f"{one.message.text.strip() or one.object}" for one in parts]
        return Message(text="\n".join(lines), template=name)
    service = configuration.services[sent.service]
    values = {
        "messages": messages,
        "context": dict(configuration.context),
        "secrets": configuration.secrets.keys(),
        "recipient": sent.recipient,
    }
    return templates.render([template], sent.service, type(service), values)
