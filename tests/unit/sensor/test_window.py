"""Time windows: bounds, midnight, zones and clock changes."""

from datetime import UTC, datetime

import pytest

from sensor.window import compile_window, time_of_day
from spine.errors import ConfigError


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "stop", "zone", "moment", "inside"),
    [
        ("09:00:00", "17:00:00", "", "2026-03-01 09:00:00", True),
        ("09:00:00", "17:00:00", "", "2026-03-01 17:00:00", False),
        ("09:00:00", "17:00:00", "", "2026-03-01 08:59:59.999999", False),
        ("22:00:00", "06:00:00", "", "2026-03-01 23:00:00", True),
        ("22:00:00", "06:00:00", "", "2026-03-01 12:00:00", False),
        ("00:00:00", "00:00:00", "", "2026-03-01 12:00:00", True),
        ("9:00:00.5", "17:00:00", "", "2026-03-01 09:00:00.400000", False),
        ("9:00:00.5", "17:00:00", "", "2026-03-01 09:00:00.500000", True),
        ("09:00:00", "17:00:00", "Asia/Tokyo", "2026-03-01 00:30:00", True),
        ("09:00:00", "17:00:00", "Asia/Tokyo", "2026-03-01 12:00:00", False),
        # Oslo 2026-03-29: 02:30 does not exist; Go takes it for 03:30
        ("02:30:00", "04:00:00", "Europe/Oslo", "2026-03-29 01:15:00", False),
        ("02:30:00", "04:00:00", "Europe/Oslo", "2026-03-29 01:30:00", True),
        # New York 2026-11-01: 01:30 comes twice; the first one counts
        ("01:30:00", "02:30:00", "America/New_York", "2026-11-01 05:30:00", True),
        ("01:30:00", "02:30:00", "America/New_York", "2026-11-01 05:29:59", False),
    ],
)
def test_window(start: str, stop: str, zone: str, moment: str, inside: bool) -> None:
    assert compile_window(start, stop, zone)(at(moment)) is inside


def test_a_zone_with_clock_changes_agrees_with_one_without_on_a_quiet_day() -> None:
    fixed, named = (
        compile_window("09:00:00", "17:00:00"),
        compile_window("09:00:00", "17:00:00", "Etc/UTC"),
    )
    for hour in range(24):
        moment = datetime(2026, 6, 1, hour, 30, tzinfo=UTC)
        assert fixed(moment) is named(moment)


@pytest.mark.parametrize("zone", ["", "America/New_York", "Asia/Tokyo"])
def test_an_event_without_time_is_of_the_year_one(zone: str) -> None:
    early, late = compile_window("00:00:00", "12:00:00"), compile_window("12:00:00", "00:00:00")
    assert early(None)
    assert not late(None)
    assert compile_window("00:00:00", "00:00:00", zone)(None)


def test_nanoseconds_are_kept() -> None:
    assert time_of_day("00:00:00.000000001") == 1
    assert time_of_day("23:59:59.9999999999") == 86_400 * 10**9 - 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not hours, minutes and seconds (write 09:00:00)"),
        ("09:00", "not hours, minutes and seconds"),
        ("009:00:00", "not hours, minutes and seconds"),
        ("24:00:00", "hour out of range (midnight is 00:00:00)"),
        ("09:60:00", "minute out of range"),
        ("23:59:60", "second out of range"),
    ],
)
def test_bad_time_of_day(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        time_of_day(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../etc/passwd", "+02:00", "/etc/localtime"])
def test_bad_zone(zone: str) -> None:
    with pytest.raises(ConfigError, match="there is none of that name"):
        compile_window("09:00:00", "17:00:00", zone)
