"""Times and durations read and written as Go does it; the answers are Go's own."""

from dataclasses import dataclass
from datetime import UTC as PY_UTC
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.lang import EvaluationError
from spine.lang.gotime import (
    LAYOUTS,
    RFC3339,
    RFC3339_NANO,
    UTC,
    ZERO,
    Duration,
    Time,
    method,
    parse_duration,
    parse_time,
    zone,
)
from spine.lang.gotime.instants import civil, days_of


@dataclass(frozen=True)
class Length:
    text: str
    nanoseconds: int | None
    shown: str = ""

    def __str__(self) -> str:
        return self.text or "empty"


LENGTHS = [
    Length("1h30m", 5_400_000_000_000, "1h30m0s"),
    Length("-1.5h", -5_400_000_000_000, "-1h30m0s"),
    Length("+5s", 5_000_000_000, "5s"),
    Length("0", 0, "0s"),
    Length("-0", 0, "0s"),
    Length(".5ms", 500_000, "500µs"),
    Length("1.s", 1_000_000_000, "1s"),
    Length("1us1µs1μs1ns", 3001, "3.001µs"),
    Length("3.3333333333333333333h", 12_000_000_000_000, "3h20m0s"),
    Length("2562047h47m16.854775807s", 2**63 - 1, "2562047h47m16.854775807s"),
    Length("-9223372036854775808ns", -(2**63), "-2562047h47m16.854775808s"),
    Length("9223372036854775808ns", None),
    Length("", None),
    Length("-", None),
    Length("5", None),
    Length("5d", None),
    Length(".s", None),
    Length("1h ", None),
    Length(" 1h", None),
    Length("1e3s", None),
    Length("9" * 10_000 + "h", None),
]


@pytest.mark.parametrize("case", LENGTHS, ids=str)
def test_duration(case: Length) -> None:
    if case.nanoseconds is None:
        with pytest.raises(EvaluationError):
            parse_duration(case.text)
        return
    read = parse_duration(case.text)
    assert (read, str(read)) == (case.nanoseconds, case.shown)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_duration_reads_back(nanoseconds: int) -> None:
    assert parse_duration(str(Duration(nanoseconds))) == nanoseconds


@given(st.text(alphabet="0123456789.-+hmsnuµ ", max_size=30))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert -(2**63) <= parse_duration(text) < 2**63
    except EvaluationError:
        pass


def test_parts_of_a_duration() -> None:
    length = parse_duration("-1h30m0.0015s")

    assert length.hours() == pytest.approx(-1.5, abs=1e-6)
    assert length.milliseconds() == -5_400_001
    assert str(length.round(60_000_000_000)) == "-1h30m0s"
    assert str(Duration(1500).round(1000)) == "2µs"
    assert str(Duration(-1500).round(1000)) == "-2µs"
    assert str(Duration(1999).truncate(1000)) == "1µs"
    assert Duration(-(2**63)).abs() == 2**63 - 1


@dataclass(frozen=True)
class Written:
    layout: str
    text: str
    when: str = "2024-03-05T14:07:09.012345678Z"

    def __str__(self) -> str:
        return self.layout


WRITTEN = [
    Written(LAYOUTS["ANSIC"], "Tue Mar  5 14:07:09 2024"),
    Written(LAYOUTS["RFC850"], "Tuesday, 05-Mar-24 14:07:09 UTC"),
    Written(LAYOUTS["Kitchen"], "2:07PM"),
    Written("3:04:05pm", "2:07:09pm"),
    Written("Z07:00 -07:00 -0700 -07", "Z +00:00 +0000 +00"),
    Written("Z07:00 MST -0700", "+05:45 +0545 +0545", "2024-03-05T14:07:09+05:45"),
    Written("MST", "-0330", "2024-03-05T14:07:09-03:30"),
    Written("05.000 05.999 05,000000 .00x", "09.012 09.012 09,012345 .01x"),
    Written(".999", "", "2024-03-05T14:07:09Z"),
    Written("15:04:05.999", "14:07:09", "2024-03-05T14:07:09Z"),
    Written("002 __2 _2006 _2", "065  65 _2024  5"),
    Written("January Janx Monday Mondays", "March Janx Tuesday Tuesdays"),
    Written("plain text without parts: é", "plain text without parts: é"),
]


@pytest.mark.parametrize("case", WRITTEN, ids=str)
def test_format(case: Written) -> None:
    assert parse_time(RFC3339_NANO, case.when).format(case.layout) == case.text


@dataclass(frozen=True)
class Read:
    layout: str
    text: str
    shown: str | None
    zone: str = "UTC"

    def __str__(self) -> str:
        return self.text


READ = [
    Read("2006-01-02", "2024-02-29", "2024-02-29 00:00:00 +0000 UTC"),
    Read("2006-01-02", "2023-02-29", None),
    Read("2006-1-2", "2024-12-03", "2024-12-03 00:00:00 +0000 UTC"),
    Read("2006-01-02", "2024-1-02", None),
    Read("2006-01-02", "2024-01-02x", None),
    Read("06", "69", "1969-01-01 00:00:00 +0000 UTC"),
    Read("06", "68", "2068-01-01 00:00:00 +0000 UTC"),
    Read("15:04:05", "03:04:05.25", "0000-01-01 03:04:05.25 +0000 UTC"),
    Read("15:04:05.000", "03:04:05.25", None),
    Read("Jan _2", "mAR  5", "0000-03-05 00:00:00 +0000 UTC"),
    Read("3:04PM", "12:07AM", "0000-01-01 00:07:00 +0000 UTC"),
    Read("3:04PM", "13:07AM", None),
    Read("2006 002", "2024 060", "2024-02-29 00:00:00 +0000 UTC"),
    Read("2006 002", "2023 366", None),
    Read(RFC3339, "2024-01-02T03:04:05+02:00", "2024-01-02 03:04:05 +0200 +0200"),
    Read(RFC3339, "2024-01-02T03:04:05+25:00", None),
    Read(RFC3339, "2024-01-02T24:04:05Z", None),
    Read("2006 MST", "2024 CEST", "2024-01-01 00:00:00 +0000 CEST"),
    Read("2006 MST", "2024 GMT+3", "2024-01-01 00:00:00 +0300 GMT+3"),
    Read("2006 MST", "2024 cest", None),
    Read("2006-01-02", "2024-07-02", "2024-07-02 00:00:00 +0200 CEST", "Europe/Berlin"),
    Read("2006-01-02 15", "2024-03-31 02", "2024-03-31 03:00:00 +0200 CEST", "Europe/Berlin"),
]


@pytest.mark.parametrize("case", READ, ids=str)
def test_parse(case: Read) -> None:
    if case.shown is None:
        with pytest.raises(EvaluationError):
            parse_time(case.layout, case.text, zone(case.zone))
    else:
        assert str(parse_time(case.layout, case.text, zone(case.zone))) == case.shown


@given(st.sampled_from([*LAYOUTS.values(), "2006 002", "_2 Jan 06 MST", "x"]), st.text(max_size=40))
def test_any_text_is_a_time_or_refused(layout: str, text: str) -> None:
    try:
        str(parse_time(layout, text))
    except EvaluationError:
        pass


@given(st.text(max_size=30), st.datetimes(timezones=st.just(PY_UTC)))
def test_any_layout_can_be_written(layout: str, moment: datetime) -> None:
    Time.of(moment).format(layout)


@given(st.datetimes(timezones=st.just(PY_UTC)))
def test_a_time_reads_back(moment: datetime) -> None:
    when = Time.of(moment)

    assert parse_time(RFC3339_NANO, when.format(RFC3339_NANO)) == when
    assert when.datetime() == moment


@given(st.integers(-(10**9), 10**9))
def test_the_calendar_counts_days_without_a_gap(day: int) -> None:
    assert days_of(*civil(day)) == day


def test_zero_time_is_year_one() -> None:
    zero = Time(ZERO)

    assert zero.is_zero()
    assert str(zero) == "0001-01-01 00:00:00 +0000 UTC"
    assert str(zero.within(zone("America/New_York")))[:4] == "0000"


def test_methods_by_their_go_names() -> None:
    when = parse_time(RFC3339_NANO, "2024-01-31T03:04:05.6Z")

    def ask(name: str, *args: object) -> str:
        call = method(when, name)
        assert call is not None
        return str(call(when, *args))

    assert ask("Month") == "January"
    assert ask("Weekday") == "Wednesday"
    assert ask("YearDay") == "31"
    assert ask("UnixMilli") == "1706670245600"
    assert ask("AddDate", 0, 1, 0) == "2024-03-02 03:04:05.6 +0000 UTC"
    assert ask("Truncate", parse_duration("1h")) == "2024-01-31 03:00:00 +0000 UTC"
    assert ask("Round", parse_duration("1s")) == "2024-01-31 03:04:06 +0000 UTC"
    assert ask("Sub", when.add(-90_000_000_000)) == "1m30s"
    assert ask("In", zone("Asia/Kathmandu")) == "2024-01-31 08:49:05.6 +0545 +0545"
    assert method(when, "GobEncode") is None
    assert method("text", "String") is None


def test_of_keeps_the_zone() -> None:
    berlin = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    offset = datetime(2024, 7, 1, 12, tzinfo=timezone(timedelta(hours=-3)))

    assert str(Time.of(berlin)) == "2024-07-01 12:00:00 +0200 CEST"
    assert str(Time.of(offset)) == "2024-07-01 12:00:00 -0300 -0300"
    assert Time.of(datetime(2024, 7, 1)).zone is UTC


@pytest.mark.parametrize("bad", ["Mars/Base", "../../etc/passwd", "x" * 500, "a\0b"])
def test_unknown_zone(bad: str) -> None:
    with pytest.raises(EvaluationError, match="time zone"):
        zone(bad)


def test_time_far_away_is_refused() -> None:
    with pytest.raises(EvaluationError, match="too far away"):
        Time(0).add_date(10**15, 0, 0)
