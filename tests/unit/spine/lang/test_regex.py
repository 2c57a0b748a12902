import pytest
from hypothesis import given
from hypothesis import strategies as st

from spine.errors import ConfigError
from spine.lang import EvaluationError, regex


@given(
    st.sampled_from(["", "^"]),
    st.text("ab \n-/é", max_size=3),
    st.sampled_from(["", "$"]),
    st.text("ab \n-/é", max_size=6),
)
def test_plain_texts_match_as_the_engine_would(start: str, text: str, end: str, value: str) -> None:
    pattern = regex.compile(start + text + end)
    assert pattern.search(value) is (pattern.engine.search(value.encode()) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "wanted"),
    [
        ("^v[0-9]+$", "v12", True),
        ("^v[0-9]+$", "v12\n", False),
        ("(?i)straße", "STRASSE STRAßE", True),
        (r"\bé", "é", False),
        (r"\pL+", "日本", True),
        (r"\Qa.b\E", "axb", False),
        ("a|b", "cb", True),
        ("\ufffd+", "x\ud800", True),
    ],
)
def test_search(pattern: str, text: str, wanted: bool) -> None:
    assert regex.compile(pattern).search(text) is wanted


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing ): ("),
        ("(?=a)", "invalid perl operator: (?="),
        (r"(a)\1", r"invalid escape sequence: \\1"),
        (r"\C", r"invalid escape sequence: \\C"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("(a\ud800)", "not valid Unicode"),
    ],
)
def test_what_re2_has_not_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        regex.compile(pattern)
    assert why.replace("\\\\", "\\") in str(caught.value)
    assert "RE2" in str(caught.value)


def test_a_glob_is_told_from_a_pattern() -> None:
    with pytest.raises(ConfigError, match=r"\.\* stands for any text"):
        regex.compile("*.json")


def test_any_byte_may_be_quoted() -> None:
    assert regex.compile(r"\Q\C\E\\C").search(r"\C\C")


def test_find_gives_characters_not_bytes() -> None:
    found = regex.compile("(?P<x>b+)|(c)").find("äöbb")
    assert found == (2, 4, ("bb", "bb", None), (2, 2, -1))
    assert regex.compile("(?P<x>b+)|(c)").names == ("", "x", "")
    assert regex.compile("z").find("äöbb") is None


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("a*", "baac", [(0, 0), (1, 3), (4, 4)]),  # none at 3, where the one before ends
        ("", "äb", [(0, 0), (1, 1), (2, 2)]),
        ("^a", "aa", [(0, 1)]),
        (r"\b", "ab c", [(0, 0), (2, 2), (3, 3), (4, 4)]),
        ("é", "éaé", [(0, 1), (2, 3)]),
    ],
)
def test_matches(pattern: str, text: str, spans: list[tuple[int, int]]) -> None:
    assert [match[:2] for match in regex.compile(pattern).matches(text)] == spans


@pytest.mark.parametrize(
    ("pattern", "text", "by", "wanted"),
    [
        ("a(x*)b", "-ab-axxb-", "T", "-T-T-"),
        ("a(x*)b", "-ab-axxb-", "$1", "--xx-"),
        ("a(x*)b", "-ab-axxb-", "$1W", "---"),
        ("a(x*)b", "-ab-axxb-", "${1}W", "-W-xxW-"),
        ("a(?P<n>x*)b", "axb", "<$n>$$$$9$", "<x>$$9$"),
        ("a*", "baac", "-", "-b-c-"),
        ("a", "ä", "$", "ä"),
    ],
)
def test_replace(pattern: str, text: str, by: str, wanted: str) -> None:
    assert regex.compile(pattern).replace(text, by) == wanted


def test_replace_is_bounded() -> None:
    with pytest.raises(EvaluationError, match="gives more than"):
        regex.compile(".").replace("a" * 100_000, "b" * 10_000)


def test_finding_all_is_bounded() -> None:
    with pytest.raises(EvaluationError, match="took over"):
        list(regex.compile("a*b|a").matches("a" * 200_000))


@pytest.mark.parametrize(
    ("pattern", "text", "most", "wanted"),
    [
        ("a", "banana", -1, ["b", "n", "n", ""]),
        ("a", "banana", 2, ["b", "nana"]),
        ("a", "banana", 0, []),
        ("z+", "pizza", -1, ["pi", "a"]),
        ("", "äbc", -1, ["ä", "b", "c"]),
        ("b*", "abc", -1, ["a", "c"]),
        (",", "", -1, [""]),
        ("", "", -1, []),
        ("a", "a", 1, ["a"]),
    ],
)
def test_split(pattern: str, text: str, most: int, wanted: list[str]) -> None:
    assert regex.compile(pattern).split(text, most) == wanted


@given(st.text("a.+*?()|[]{}^$\\-é", max_size=8))
def test_quoted_text_matches_itself_only(text: str) -> None:
    pattern = regex.compile(f"^{regex.quote(text)}$")
    assert pattern.search(text)
    assert not pattern.search(text + "x")
