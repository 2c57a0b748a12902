"""What triggers deleted, where that is very much."""

import time

import msgspec

from sensor.kubernetes.graves import MOST, _with


def test_the_oldest_are_forgotten() -> None:
    now = time.time()
    raw = msgspec.json.encode({f"p{n}": now + n for n in range(MOST)})
    kept = _with(raw, "one more", now)
    assert len(kept) == MOST
    assert "p0" not in kept
    assert "one more" in kept
