"""The durable consumer of a stream: made where it is missing, and made again without a gap.

Reference: https://docs.nats.io/reference/reference-protocols/nats_api_reference
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from eventsource.nats.session import Session
from eventsource.sessions import asked
from spine.errors import ConfigError, SourceError

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5
_NO_CONSUMER, _NO_STREAM = 10014, 10059
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be consumed."""

    subject: str
    stream: str
    """Empty: the stream that has the subject."""
    durable: str
    start: str
    """Where a durable that is made begins: `new` or `all`."""
    ack_wait: float
    """Seconds after which a message that is not acknowledged comes again."""
    in_hand: int
    """Messages that are delivered and not acknowledged, over all replicas of ours that there are
    likely to be."""


class Consumer:
    """A durable, and how far this process knows it to be."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._stream, self._created = wanted.stream, ""
        self.ack_wait = wanted.ack_wait
        self.last = 0
        """Sequence of the latest message that was delivered to us."""
        self.lost = asyncio.Event()
        """Set where the server says that it is gone."""

    @property
    def name(self) -> str:
        """Its name, with that of its stream."""
        return f"{self._wanted.durable} of stream {self._stream}"

    @property
    def next_subject(self) -> str:
        """Where its messages are asked for."""
        return f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._wanted.durable}"

    async def ensure(self, session: Session, floor: int) -> bool:
        """Find it or make it, after `floor` if it is made again; return whether the stream is new.

        Raises SourceError, and ConfigError for one that cannot be used.
        """
        self.lost.clear()
        if not self._wanted.stream:
            self._stream = await self._stream_of_subject(session)
        created = (await self._stream_info(session))["created"]
        other = bool(self._created) and created != self._created
        first, self._created = not self._created, created
        if other:
            self.last = 0
        found = await self._call(session, f"CONSUMER.INFO.{self._path}", None, missing=_NO_CONSUMER)
        if found is None:
            start = self._start() if first else _after(0 if other else floor)
            found = await self._make(session, start)
        self._check(found["config"])
        return other

    @property
    def _path(self) -> str:
        return f"{self._stream}.{self._wanted.durable}"

    def _start(self) -> dict[str, Any]:
        return {"deliver_policy": self._wanted.start}

    async def _stream_of_subject(self, session: Session) -> str:
        asked = {"subject": self._wanted.subject}
        found = await self._call(session, "STREAM.NAMES", asked)
        names = (found or {}).get("streams") or []
        if len(names) != 1:
            why = f"{', '.join(names)} have it" if names else "no stream has it"
            raise session.fault(f"finding the stream of subject {self._wanted.subject}: {why}")
        return str(names[0])

    async def _stream_info(self, session: Session) -> dict[str, Any]:
        found = await self._call(session, f"STREAM.INFO.{self._stream}", None, missing=_NO_STREAM)
        if found is None:
            raise session.fault(f"stream {self._stream} does not exist")
        return found

    async def _make(self, session: Session, start: Mapping[str, Any]) -> dict[str, Any]:
        config = {
            "durable_name": self._wanted.durable,
            "name": self._wanted.durable,
            "ack_policy": "explicit",
            "ack_wait": int(self._wanted.ack_wait * _NANO),
            "max_deliver": -1,
            "max_ack_pending": self._wanted.in_hand,
            "filter_subject": self._wanted.subject,
            **start,
        }
        body = {"stream_name": self._stream, "config": config}
        found = await self._call(session, f"CONSUMER.CREATE.{self._path}", body)
        assert found is not None
        log.info("made durable %s", self.name, extra={"start": dict(start)})
        return found

    def _check(self, config: Mapping[str, Any]) -> None:
        """Refuse a durable of somebody else that does something else."""
        doing = f"using durable {self.name}"
        if config.get("deliver_subject") or config.get("ack_policy") != "explicit":
            raise ConfigError(
                f"{doing}: it pushes its messages or wants no acknowledgements",
                hint="name another durable, or delete that one",
            )
        single = config.get("filter_subject")
        subjects = [single] if single else config.get("filter_subjects") or []
        if subjects not in ([], [self._wanted.subject]):
            raise ConfigError(
                f"{doing}: it takes {', '.join(subjects)}, not {self._wanted.subject}",
                hint="name another durable, or delete that one",
            )
        self.ack_wait = config.get("ack_wait", self.ack_wait * _NANO) / _NANO

    async def _call(
        self, session: Session, method: str, body: Mapping[str, Any] | None, missing: int = 0
    ) -> dict[str, Any] | None:
        """Return an answer of JetStream's own API; None where what is asked for is missing."""
        from nats.errors import NoRespondersError

        data = b"" if body is None else orjson.dumps(body)
        try:
            call = session.nats.request(f"$JS.API.{method}", data, timeout=ANSWER_SECONDS)
            msg = await asked(call)
            found = orjson.loads(msg.data)
        except NoRespondersError as exc:
            raise session.fault("JetStream does not answer: it is not enabled there") from exc
        except orjson.JSONDecodeError as exc:
            raise session.fault(f"{method}: the answer is not JSON") from exc
        error = found.get("error")
        if error and missing and error.get("err_code") == missing:
            return None
        if error:
            raise SourceError(f"{method} on {session.server.shown}: {error.get('description')}")
        return dict(found)


def _after(floor: int) -> dict[str, Any]:
    """Return where a durable begins that is made again."""
    if not floor:
        return {"deliver_policy": "all"}
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": floor + 1}
