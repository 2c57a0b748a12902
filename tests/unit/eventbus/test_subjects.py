"""Subjects: what a pattern covers, and lists of patterns that do not overlap."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.subjects import collapse, covers, event_subject, matches_any, overlap
from spine.errors import EventError


@dataclass(frozen=True)
class Case:
    name: str
    given: tuple[str, ...]
    want: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


CASES = [
    Case("none", (), ()),
    Case("one", ("d.a.b",), ("d.a.b",)),
    Case("twice", ("d.a.b", "d.a.b"), ("d.a.b",)),
    Case("apart", ("d.a.b", "d.a.c"), ("d.a.b", "d.a.c")),
    Case("covered", ("d.*.b", "d.a.b"), ("d.*.b",)),
    Case("crossing", ("d.*.b", "d.a.*"), ("d.*.*",)),
    Case("crossing swallows a third", ("d.*.b", "d.a.*", "d.x.y"), ("d.*.*",)),
    Case("everything below", ("d.>", "d.a.b", "e.a"), ("d.>", "e.a")),
    Case("lengths", ("d.*", "d.*.*"), ("d.*", "d.*.*")),
    Case("tail", ("d.*.>", "*.a.b"), ("*.*.>",)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_collapse(case: Case):
    assert collapse(case.given) == case.want


@pytest.mark.parametrize(
    ("pattern", "subject", "want"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a.b.c", False),
        ("a.*", "a", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("*", "a.b", False),
        ("a.*.c", "a.b.d", False),
    ],
)
def test_covers(pattern, subject, want):
    assert covers(pattern, subject) is want


tokens = st.sampled_from(["a", "b", "*"])
patterns = st.tuples(
    st.lists(tokens, min_size=1, max_size=3).map(".".join), st.sampled_from(["", "", ".>"])
).map("".join)
subjects = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)


@given(st.lists(patterns, max_size=5), subjects)
def test_collapsed_patterns_cover_all_and_do_not_overlap(given_patterns, subject):
    found = collapse(given_patterns)
    if any(covers(p, subject) for p in given_patterns):
        assert sum(covers(p, subject) for p in found) == 1
    assert not any(overlap(a, b) for a in found for b in found if a != b)


def test_no_patterns_stand_for_everything():
    assert matches_any((), "a.b")
    assert not matches_any(("a.c",), "a.b")


def test_the_subject_of_an_event():
    assert event_subject("uploads", "beep") == "default.uploads.beep"


@pytest.mark.parametrize("bad", ["", "a.b", "a b", "*", "a*", ">", "a\tb", "a\nb", "a\x00"])
def test_names_that_no_subject_can_have(bad):
    with pytest.raises(EventError, match=r"name of an event has no dot"):
        event_subject("uploads", bad)
    with pytest.raises(EventError, match=r"name of an EventSource has no dot"):
        event_subject(bad, "beep")
