"""Times as Go's time.String() writes them."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from eventsource import gotime
from spine.errors import EventError

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 7, 1, 10, tzinfo=UTC), "2024-07-01 10:00:00 +0000 UTC"),
        (datetime(2024, 7, 1, 10, tzinfo=NEW_YORK), "2024-07-01 10:00:00 -0400 EDT"),
        (datetime(2024, 1, 1, 1, 2, 3, 500, tzinfo=BERLIN), "2024-01-01 01:02:03.0005 +0100 CET"),
        (datetime(2024, 7, 1, 10, tzinfo=SAO_PAULO), "2024-07-01 10:00:00 -0300 -03"),
    ],
)
def test_text_and_back(moment, text):
    assert gotime.text(moment) == text
    assert gotime.parse(text) == moment


def test_reading_of_the_clock_has_a_monotonic_part():
    moment = datetime(2024, 7, 1, 10, tzinfo=UTC)
    text = gotime.reading(moment)

    assert text.startswith("2024-07-01 10:00:00 +0000 UTC m=+")
    assert len(text.rpartition(".")[2]) == 9
    assert gotime.parse(text) == moment


def test_nanoseconds_are_cut():
    written = "2026-11-21 08:49:55.352411739 +0530 IST m=+0.026349023"
    zone = timezone(timedelta(hours=5, minutes=30))
    assert gotime.parse(written) == datetime(2026, 11, 21, 8, 49, 55, 352_411, zone)


@pytest.mark.parametrize("text", ["", "now", "2024-13-01 10:00:00 +0000 UTC", "2024-07-01T10:00Z"])
def test_anything_else_is_refused(text):
    with pytest.raises(EventError, match="reading time"):
        gotime.parse(text)
