"""Names on the bus."""

import re

from hypothesis import given
from hypothesis import strategies as st

from delivery import subjects

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(NAMES)
def test_token_is_one_token_and_reversible(name: str) -> None:
    token = subjects.token(name)

    assert re.fullmatch(r"[A-Za-z0-9_=-]+", token)
    assert subjects.name_of(token) == name


def test_plain_names_stay_readable() -> None:
    assert subjects.token("open-pull_request2") == "open-pull_request2"
    assert subjects.pending_subject("my.sensor", "t") == "tocsin-actions.my=2Esensor.t"


@given(NAMES, NAMES, NAMES, NAMES)
def test_durables_of_two_triggers_never_meet(a: str, b: str, c: str, d: str) -> None:
    one = subjects.pending_durable(a, subjects.token(b))
    two = subjects.pending_durable(c, subjects.token(d))

    assert (one == two) == ((a, b) == (c, d))
    assert subjects.lane_of(one, a) == subjects.token(b)
    assert a == c or subjects.lane_of(one, c) is None


def test_sensors_whose_names_run_together() -> None:
    assert subjects.pending_durable("a", "b-c") != subjects.pending_durable("a-b", "c")
