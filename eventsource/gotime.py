"""Moments as Go's `time.String()` writes them, which is what calendar payloads carry.

`2006-01-02 15:04:05.999999999 -0700 MST`, and for a clock reading ` m=+SECONDS` since the
process began.
"""

import re
import time
from datetime import datetime, timedelta, timezone

from spine.errors import EventError

_BEGAN = time.monotonic_ns()
_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,9}))? ([+-])(\d\d)(\d\d)(?: \S+)?(?: m=\S+)?"
)


def text(moment: datetime) -> str:
    """Write a moment that has a zone."""
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} {moment:%z} {moment.tzname()}"


def reading(moment: datetime) -> str:
    """Write a moment at which the clock was just read."""
    return f"{text(moment)} m=+{(time.monotonic_ns() - _BEGAN) / 1e9:.9f}"


def parse(written: str) -> datetime:
    """Read a moment, to the microsecond. Raises EventError."""
    match = _FORM.fullmatch(written.strip())
    try:
        if match is None:
            msg = "not in the form 2006-01-02 15:04:05 +0000 UTC"
            raise ValueError(msg)  # noqa: TRY301 -- the same answer as for a date that is none
        clock, fraction, sign, hours, minutes = match.groups()
        offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
        micros = int((fraction or "").ljust(6, "0")[:6])
        naive = datetime.strptime(clock, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 -- the zone follows
        return naive.replace(microsecond=micros, tzinfo=timezone(offset))
    except ValueError as exc:
        raise EventError(f"reading time {written!r}: {exc}") from exc
