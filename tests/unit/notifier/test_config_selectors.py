"""Label selectors: verdicts of k8s.io/apimachinery v0.34.4 for the same texts."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.selectors import ALL, compile_selector
from spine.errors import ConfigError

LABELS = {"team": "search", "tier": "2", "a.b/c": "x", "in": "notin", "empty": ""}


@dataclass(frozen=True)
class Case:
    """A selector, and whether it selects LABELS."""

    text: str
    selected: bool

    def __str__(self) -> str:
        return self.text or "nothing"


CASES = [
    Case("", True),
    Case("team", True),
    Case("!team", False),
    Case("team=search", True),
    Case("team==search", True),
    Case("team = search", True),
    Case("team!=search", False),
    Case("team!=x", True),
    Case("missing!=x", True),
    Case("missing", False),
    Case("!missing", True),
    Case("! missing", True),
    Case("team in (search)", True),
    Case("team in (a, search)", True),
    Case("team in (a,b)", False),
    Case("team notin (a,b)", True),
    Case("missing notin (a)", True),
    Case("team notin (search)", False),
    Case("tier>1", True),
    Case("tier > 1", True),
    Case("tier<2", False),
    Case("tier>2", False),
    Case("missing>1", False),
    Case("team>1", False),
    Case("a.b/c=x", True),
    Case("in in (notin)", True),
    Case("in notin (notin)", False),
    Case("notin", False),
    Case("empty=", True),
    Case("empty", True),
    Case("empty in (,a)", True),
    Case("team in (,a)", False),
    Case("team in (search,)", True),
    Case("missing=", False),
    Case("team=search,tier=2", True),
    Case("team=search,tier=3", False),
    Case("team=search,!missing,tier in (1,2)", True),
    Case("  team  ", True),
    Case("team=", False),
    Case("empty!=", False),
    Case("team in ()", False),
    Case("team notin ()", True),
    Case("team\n=\nsearch", True),
    Case("team=search\t", True),
]

REFUSED = [
    "tier>-1",
    "tier>+1",
    "team=a b",
    "team in search",
    "team in (",
    "=x",
    "team=search,",
    ",team",
    "team,,tier",
    "team>x",
    "team=a=b",
    "!",
    "!team=x",
    "team in (a b)",
    "-a=b",
    "a/b/c=x",
    "A_/x=y",
    "team=-x",
    "team in (-x)",
    "team ! x",
    "team=x)",
    "(team)",
    "team>",
    "team > 1.5",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=x",
    "team=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "team=é",
    "tier>9223372036854775808",
    "team!",
    "x y",
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_selected_as_kubernetes_does(case: Case) -> None:
    assert compile_selector(case.text).matches(LABELS) is case.selected


@pytest.mark.parametrize("text", REFUSED)
def test_what_kubernetes_refuses_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"reading selector .*write for example"):
        compile_selector(text)


def test_an_empty_selector_asks_for_nothing() -> None:
    assert not ALL
    assert not compile_selector(" ")
    assert compile_selector("a")
    assert ALL.matches({})


KEYS = st.sampled_from(["a", "team", "x.io/b"])
VALUES = st.sampled_from(["", "1", "v", "a-b"])


@given(KEYS, st.lists(VALUES, min_size=1), st.dictionaries(KEYS, VALUES))
def test_in_and_notin_are_opposites(key: str, values: list[str], labels: dict[str, str]) -> None:
    listed = ",".join(values)

    chosen = compile_selector(f"{key} in ({listed})").matches(labels)

    assert chosen is (labels.get(key) in values)
    assert compile_selector(f"{key} notin ({listed})").matches(labels) is not chosen


@given(st.text(alphabet="ab=!,<>()in 1/.-", max_size=20))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        compile_selector(text).matches(LABELS)
    except ConfigError as exc:
        shown = str(exc)
    else:
        shown = repr(text)

    assert repr(text) in shown
