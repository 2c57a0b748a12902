"""Telling several recipients by one action, each with an outcome of its own.

Who was told is not told again because somebody else could not be reached: the next attempt, a dead
letter and its redrive are of those alone who are left. That is kept in the action, not left to a
key for each recipient, because most services know no keys; those that do get one for each.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from delivery.action import Action, Outcome, PartlyDone
from services.service import Receipt
from spine.errors import TriggerError

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Recipients of one action that are told at a time."""
_SHOWN = 3
"""Failures told in one error."""

Tell = Callable[[str, str], Awaitable[Receipt]]
"""Tells a recipient, with the key for the two of them."""


async def tell_each(action: Action, field: str, tell: Tell) -> Outcome:
    """Tell every recipient in a field of an action's content; an empty one where there is none.

    Raises TriggerError where one cannot be told: PartlyDone if others were.
    """
    recipients = list(dict.fromkeys(action.content.get(field) or [""]))
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(recipient: str) -> Receipt | Exception:
        async with slots:
            try:
                return await tell(recipient, key_of(action.key, recipient))
            except TriggerError as exc:
                return exc
            except Exception as exc:  # a bug, but no reason not to tell the others
                log.exception("telling %s", recipient)
                return exc

    found = await asyncio.gather(*(one(recipient) for recipient in recipients))
    outcomes = dict(zip(recipients, found, strict=True))
    failed = {who: what for who, what in outcomes.items() if isinstance(what, Exception)}
    if failed:
        raise _failure(action, field, outcomes, failed)
    return outcome_of({who: what for who, what in outcomes.items() if isinstance(what, Receipt)})


def key_of(key: str, recipient: str) -> str:
    """Return the key of a message to a recipient, equal for each attempt."""
    return hashlib.blake2b(f"{key}\0{recipient}".encode(), digest_size=16).hexdigest()


def outcome_of(receipts: Mapping[str, Receipt]) -> Outcome:
    """Return the outcome of an action that told all of these."""
    problems = [
        f"{who}: {why}" if who else why for who, r in receipts.items() for why in r.problems
    ]
    noted: dict[str, Any] = {"problems": problems} if problems else {}
    if len(receipts) == 1:
        ((who, receipt),) = receipts.items()
        told = f"told {who}: {receipt.summary}" if who else receipt.summary
        return Outcome("; ".join([told, *problems]), receipt.detail | noted)
    details = {who: receipt.detail for who, receipt in receipts.items()}
    told = f"told {len(receipts)} recipients"
    return Outcome("; ".join([told, *problems]), {"recipients": details} | noted)


def _failure(
    action: Action,
    field: str,
    outcomes: dict[str, Receipt | Exception],
    failed: dict[str, Exception],
) -> Exception:
    """Return the error of an attempt that told not all."""
    if len(outcomes) == 1:
        return next(iter(failed.values()))
    told = [who for who in outcomes if who not in failed]
    shown = [f"{who}: {why}" for who, why in list(failed.items())[:_SHOWN]]
    more = [f"and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
    left = {**action.content, field: list(failed)}
    if told:
        left["told"] = [*action.content.get("told", []), *told]
    return PartlyDone(
        f"told {len(told)} of {len(outcomes)} recipients; {'; '.join([*shown, *more])}",
        left,
        retry_after=_latest([getattr(why, "retry_after", None) for why in failed.values()]),
        permanent=all(_permanent(why) for why in failed.values()),
    )


def _latest(moments: Sequence[float | None]) -> float | None:
    return max((one for one in moments if one is not None), default=None)


def _permanent(exc: Exception) -> bool:
    return exc.permanent if isinstance(exc, TriggerError) else True
