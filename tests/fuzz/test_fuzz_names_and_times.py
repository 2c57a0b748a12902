"""Schedules and patterns in names: read from anything, asked about any moment."""

from datetime import UTC, datetime

from fuzz_kit import fuzz, words
from hypothesis import strategies as st

from sensor.globs import fits
from spine import cron

FIELD = ("*", "?", "0", "1", "5", "12", "28", "29", "31", "59", "MON", "feb", "/", "-", ",", " ",
         "*/5 ", "* ", "0 ", "1-5 ", "TZ=UTC ", "CRON_TZ=Asia/Tokyo ", "@daily", "@every ", "90s",
         "1h", "@", "L", "#", "7")  # fmt: skip
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
FIELDS = st.lists(
    st.sampled_from(["*", "*/7", "?", "0", "3", "1-5", "2,9", "6/2", "1", "4"]),
    min_size=5,
    max_size=5,
).map(" ".join)


@fuzz(st.one_of(words(*FIELD), FIELDS), MOMENTS)
def test_cron_backwards(text: str, moment: datetime) -> str:
    schedule = cron.parse(text, UTC)
    before, after = schedule.previous(moment), schedule.next(moment)
    assert before is None or before < moment
    assert after is None or after > moment
    if before is not None and isinstance(schedule, cron.Cron):
        following = schedule.next(before)
        assert following is None or following >= moment
    return f"{before} {after}"


GLOB = ("*", "?", "[", "]", "!", "{", "}", ",", "a", "b", "-", "a-z", "{a,b}", "[ab]", "x" * 20)


@fuzz(words(*GLOB), st.text("abx-", max_size=60), cpu=0.5)
def test_globs(pattern: str, name: str) -> bool:
    return fits(pattern, name)
