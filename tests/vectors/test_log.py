"""Log triggers: the text of a line."""

import pytest
from vectors.corpus import Vector, event, family

from sensor.triggers.log import event_text


@pytest.mark.parametrize("vector", family("event_text"))
def test_text(vector: Vector) -> None:
    assert event_text(event(vector["input"]["event"])) == vector["expect"]["result"]
