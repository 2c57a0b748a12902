"""Cron: the dialect of Argo Events, in any time zone."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine import cron
from spine.errors import ConfigError

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "sensor" / "spec_normalise.json"
OSLO = ZoneInfo("Europe/Oslo")


def ticks(text: str, after: str, n: int = 3, zone: tzinfo = UTC) -> list[str]:
    plan, moment, found = cron.parse(text, zone), datetime.fromisoformat(after), []
    for _ in range(n):
        moment = plan.next(moment)
        found.append(moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"))
    return found


@dataclass(frozen=True)
class Case:
    text: str
    after: str
    expected: list[str]
    zone: tzinfo = UTC

    def __str__(self) -> str:
        return self.text


CASES = [
    Case("*/15 * * * *", "2024-03-15T10:30Z", ["2024-03-15 10:45:00", "2024-03-15 11:00:00"]),
    Case("5/20 * * * *", "2024-03-15T10:30Z", ["2024-03-15 10:45:00", "2024-03-15 11:05:00"]),
    Case("1-10/3 0 * * *", "2024-03-15T00:05Z", ["2024-03-15 00:07:00", "2024-03-15 00:10:00"]),
    Case("0 0 ? * MON-wed", "2024-03-15T00:00Z", ["2024-03-18 00:00:00", "2024-03-19 00:00:00"]),
    Case("0 0 1 jan,FEB ?", "2024-03-15T00:00Z", ["2025-01-01 00:00:00", "2025-02-01 00:00:00"]),
    # alternatives where both are restricted
    Case("0 0 13 * 5", "2024-03-12T00:00Z", ["2024-03-13 00:00:00", "2024-03-15 00:00:00"]),
    # a step lifts the star: alternatives again, not both at once
    Case("0 0 */10 * 5", "2024-03-12T00:00Z", ["2024-03-15 00:00:00", "2024-03-21 00:00:00"]),
    # a step of one does not
    Case("0 0 */1 * 5", "2024-03-12T00:00Z", ["2024-03-15 00:00:00", "2024-03-22 00:00:00"]),
    Case("0 0 29 2 *", "2024-03-12T00:00Z", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
    Case("TZ=Asia/Tokyo 0 0 * * *", "2024-03-15T10:30Z", ["2024-03-15 15:00:00"]),
    Case("CRON_TZ=Asia/Tokyo 0 0 * * *", "2024-03-15T10:30Z", ["2024-03-15 15:00:00"]),
    Case("0 * * * *", "2024-03-15T10:30Z", ["2024-03-15 11:30:00"], ZoneInfo("Asia/Kolkata")),
    Case("@daily", "2024-03-15T10:30Z", ["2024-03-16 00:00:00"]),
    Case("@weekly", "2024-03-15T10:30Z", ["2024-03-17 00:00:00"]),
    Case("@every 90s", "2024-03-15T10:30:00.7Z", ["2024-03-15 10:31:30"]),
    # clocks go forward at 02:00: what they skip has no tick
    Case("30 2 * * *", "2024-03-30T12:00Z", ["2024-04-01 00:30:00"], OSLO),
    Case("30 * * * *", "2024-03-31T00:30Z", ["2024-03-31 01:30:00"], OSLO),
    # clocks go back at 03:00: what they show twice has two
    Case("30 2 * * *", "2024-10-26T12:00Z", ["2024-10-27 00:30:00", "2024-10-27 01:30:00"], OSLO),
    Case(
        "*/30 * * * *",
        "2024-10-26T23:59Z",
        [f"2024-10-27 0{n // 2}:{n % 2 * 3}0:00" for n in range(6)],
        OSLO,
    ),
    # Beirut has no midnight on that day
    Case("0 0 * * *", "2024-03-30T12:00Z", ["2024-03-31 21:00:00"], ZoneInfo("Asia/Beirut")),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_ticks(case: Case):
    assert ticks(case.text, case.after, len(case.expected), case.zone) == case.expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bad", "has 1 field, not five"),
        ("0 0 * * * *", "no field for seconds"),
        ("60 * * * *", "minute '60': 60 is not within 0 and 59"),
        ("* * * * 7", "Sunday is 0"),
        ("* * 0 * *", "day of month '0'"),
        ("* * * foo *", "month 'foo': 'foo' is no value"),
        ("*/0 * * * *", "a step must be at least 1"),
        ("10-5 * * * *", "10 is after 5"),
        ("1,,2 * * * *", "a value is missing"),
        ("-1 * * * *", "a value is missing"),
        ("* * L * *", "'L' is no value"),
        ("* * * * 1#2", "'1#2' is no value"),
        ("1/2/3 * * * *", "'2/3' is no step"),
        ("@fortnightly", "unknown descriptor"),
        ("@every", "unknown descriptor"),
        ("@every 10ms", "below one second"),
        ("@every soon", "reading duration 'soon'"),
        ("0 0 31 2 *", "no date ever fits"),
        ("0 0 30 2 *", "no date ever fits"),
        ("0 0 31 4,6,9,11 *", "no date ever fits"),
        ("TZ=No/Where 0 0 * * *", "timezone 'No/Where'"),
        ("TZ=../../etc/passwd 0 0 * * *", "there is none"),
    ],
)
def test_bad_schedules(text, message):
    with pytest.raises(ConfigError) as caught:
        cron.parse(text, UTC)
    assert message in str(caught.value)


def test_near_timezone_is_named():
    with pytest.raises(ConfigError, match="did you mean Europe/Berlin"):
        cron.find_zone("Europe/Berln")


def recorded() -> list:
    if not VECTORS.exists():
        return []
    found = [
        v for v in json.loads(VECTORS.read_text()) if v["input"]["kind"] == "previous_cron_time"
    ]
    ours = [v for v in found if not v["input"]["object"]["cron"].startswith("@")]  # an extension
    return [pytest.param(v, id=v["id"]) for v in ours]


@pytest.mark.parametrize("vector", recorded())
def test_recorded_activations(vector):
    """What came last before a time is a tick, and the next one is not before that time."""
    given, before = vector["input"]["object"], datetime.fromisoformat(vector["input"]["time"])
    if vector["expect"].get("error"):
        with pytest.raises(ConfigError):
            cron.parse(given["cron"], cron.find_zone(given["timezone"] or "UTC"))
        return
    plan = cron.parse(given["cron"], cron.find_zone(given["timezone"] or "UTC"))
    previous = datetime.fromisoformat(vector["expect"]["result"])

    assert plan.previous(before) == previous
    assert plan.next(previous - timedelta(seconds=1)) == previous
    assert plan.next(previous) >= before


class Brute:
    """Looks at every minute: slow, and plainly right."""

    def __init__(self, minutes: set[int], hours: set[int], zone: tzinfo) -> None:
        self.minutes, self.hours, self.zone = minutes, hours, zone

    def next(self, after: datetime) -> datetime:
        moment = after.astimezone(UTC).replace(second=0, microsecond=0)
        while True:
            moment += timedelta(minutes=1)
            local = moment.astimezone(self.zone)
            if local.minute in self.minutes and local.hour in self.hours:
                return moment


@pytest.mark.parametrize("zone", ["Europe/Oslo", "UTC"])
def test_moments_are_given_in_utc(zone):
    found = cron.parse("30 2 * * *", ZoneInfo(zone)).next(datetime(2024, 10, 27, tzinfo=UTC))
    assert found is not None
    assert found.tzinfo is UTC


@given(
    st.sets(st.integers(0, 59), min_size=1, max_size=4),
    st.sets(st.integers(0, 23), min_size=1, max_size=24),
    st.sampled_from(["Europe/Oslo", "Australia/Lord_Howe", "America/New_York", "Asia/Beirut"]),
    st.sampled_from(
        ["2024-03-10", "2024-03-31", "2024-04-07", "2024-10-06", "2024-10-27", "2024-11-03"]
    ),
    st.integers(-1440, 1440),
)
def test_every_change_of_clocks(minutes, hours, zone, day, offset):
    place = ZoneInfo(zone)
    after = datetime.fromisoformat(f"{day}T00:00Z") + timedelta(minutes=offset)
    text = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"

    plan, brute = cron.parse(text, place), Brute(minutes, hours, place)
    for _ in range(3):
        expected = brute.next(after)
        assert plan.next(after) == expected
        assert plan.next(after.astimezone(timezone(timedelta(hours=3)))) == expected
        assert plan.previous(expected + timedelta(microseconds=1)) == expected
        assert plan.previous(expected) <= after
        after = expected


@pytest.mark.parametrize(
    ("text", "before", "expected"),
    [
        ("@every 90s", "2024-03-15T10:30:00Z", "2024-03-15T10:28:30Z"),
        ("@every 90s", "2024-03-15T10:29:59.5Z", "2024-03-15T10:28:30Z"),
        ("0 0 29 2 *", "2104-02-28T00:00Z", "2096-02-29T00:00Z"),
        ("* * * 1 *", "2024-12-31T00:00Z", "2024-01-31T23:59Z"),
        ("* * * * *", "2024-03-15T10:30Z", "2024-03-15T10:29Z"),
        ("0 */2 * * *", "2024-03-15T12:00:01Z", "2024-03-15T12:00Z"),
    ],
)
def test_the_latest_before(text, before, expected):
    found = cron.parse(text, UTC).previous(datetime.fromisoformat(before))
    assert found == datetime.fromisoformat(expected)


def test_local_zone(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Oslo")
    assert cron.local_zone() == OSLO
    monkeypatch.setenv("TZ", "nonsense")
    assert cron.local_zone() is UTC
    monkeypatch.delenv("TZ")
    assert cron.local_zone() is not None
    assert cron.find_zone("") == cron.local_zone()
