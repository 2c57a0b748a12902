"""How far back in time, as options say it."""

import pytest

from spine.errors import ConfigError
from tocsin.spans import span


def test_days_count_as_well():
    assert span("7d") == 7 * 86400
    assert span("90m") == 5400


@pytest.mark.parametrize("text", ["d", "1d2h", "-5m", "-1d", "", "soon"])
def test_what_is_no_time_is_told_with_what_to_write(text):
    with pytest.raises(ConfigError, match="write 90s, 10m, 1h30m or 7d"):
        span(text)
