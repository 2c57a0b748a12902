"""The small languages: conditions, cron, durations, regular expressions, govaluate."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fuzz_kit import fuzz, json_values, mangled, nested, plain, words
from hypothesis import strategies as st

from sensor.conditions import compile_conditions
from spine import cron
from spine.lang import gotime, govaluate, regex

# ---------------------------------------------------------------------------- conditions

NAMES = ["a", "b-c", "d_e", "f.g", "true", "in"]
conditions = st.one_of(
    mangled(words(*NAMES, " && ", " || ", "(", ")", "&&", " ", most=12), "&|()! ab\n"),
    st.recursive(
        st.sampled_from(NAMES),
        lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner),
    ),
    nested(1200, ("(", ")"), ("a && ", ""), ("(a || ", ")")),
)


@fuzz(conditions, st.sets(st.sampled_from(NAMES)))
def test_conditions(text: str, arrived: set[str]) -> Any:
    compiled = compile_conditions(text, NAMES)
    assert isinstance(compiled.met(arrived), bool)
    return compiled.text, compiled.warnings


# ---------------------------------------------------------------------------- cron

_FIELDS = (
    "*",
    "?",
    "*/5",
    "1-5",
    "0",
    "59",
    "31",
    "MON-fri",
    "jan,FEB",
    "5/20",
    "1-10/3",
    "99",
    "7",
)
_WHOLE = ("@daily", "@hourly", "@every 1h30m", "@every 0s", "@reboot", "0 0 30 2 *", "0 0 29 2 1")
schedules = st.one_of(
    mangled(
        st.lists(st.sampled_from(_FIELDS), min_size=4, max_size=6).map(" ".join), "0123456789*/-, "
    ),
    mangled(st.sampled_from(_WHOLE), "0123456789@ehmsy "),
    st.builds(
        "{} {}".format, st.sampled_from(["TZ=Asia/Beirut", "CRON_TZ=x"]), st.just("5 4 * * *")
    ),
)
moments = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))


@fuzz(schedules, moments, st.sampled_from([UTC, ZoneInfo("Europe/Oslo"), ZoneInfo("Asia/Beirut")]))
def test_cron(text: str, after: datetime, zone: Any) -> Any:
    plan = cron.parse(text, zone)
    following = plan.next(after)
    assert following is None or following >= after
    return str(following)


# ---------------------------------------------------------------------------- durations

durations = st.one_of(
    mangled(
        words("1", "30", ".5", "h", "m", "s", "ms", "us", "µs", "ns", "-", "+", "1h", "2m", most=7),
        "0.9hmsdw-+ ",
    ),
    st.integers().map("{}ns".format),
    st.text(plain, max_size=5),
)


@fuzz(durations)
def test_durations(text: str) -> Any:
    made = gotime.parse_duration(text)
    assert gotime.parse_duration(str(made)) == made
    return str(made)


# ---------------------------------------------------------------------------- regular expressions

_ATOMS = (
    "a",
    "b",
    ".",
    "[a-c]",
    "[^é]",
    "\\d",
    "\\pL",
    "\\b",
    "^",
    "$",
    "(?i)",
    "\\Qa.b\\E",
    "(?P<x>a)",
)
_PARTS = (
    "(",
    ")",
    "|",
    "*",
    "+",
    "?",
    "*?",
    "{2,3}",
    "{1000}",
    "(?:",
    "\\C",
    "(?=",
    "\\1",
    "[[:alpha:]]",
)
patterns = st.one_of(
    mangled(words(*_ATOMS, *_PARTS, most=8), "()[]{}*+?|\\^$.a-z0"),
    nested(300, ("(", ")"), ("(a*", ")*"), ("[", "]"), ("(?:a|", ")")),
)
haystacks = st.text(st.sampled_from("abcé. 0\n"), max_size=20)


@fuzz(patterns, haystacks, words("$1", "${x}", "$$", "$", "x", "\\1", most=4))
def test_regex(pattern: str, text: str, by: str) -> Any:
    compiled = regex.compile(pattern)
    found = list(compiled.matches(text))
    assert compiled.search(text) is bool(found)
    assert all(text[match.start : match.end] == match.groups[0] for match in found)
    return found, compiled.replace(text, by), compiled.split(text)


# ---------------------------------------------------------------------------- govaluate

_VALUES = (
    "1",
    "0",
    "3.5",
    "0x1F",
    "'s'",
    '"a"',
    "'2024-01-02'",
    "n",
    "s",
    "[a b]",
    "true",
    "false",
    "l",
)
_SIGNS = (
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "&",
    "|",
    "^",
    "<<",
    ">>",
    "==",
    "!=",
    "<",
    "<=",
    "=~",
    "!~",
    "in",
)
_LAZY = ("&&", "||", "?", ":", "??", ",")


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(_SIGNS + _LAZY)
    return st.one_of(
        st.builds("{} {} {}".format, inner, signs, inner),
        st.builds("({})".format, inner),
        st.builds("{}({})".format, st.sampled_from("!-~"), inner),
        st.builds("{} {} {} {} {}".format, inner, signs, inner, signs, inner),
    )


expressions = st.one_of(
    mangled(
        st.recursive(st.sampled_from(_VALUES), larger, max_leaves=8), " ()'\"[]\\+-*/!~&|=<>?:,.0x1"
    ),
    nested(1200, ("(", ")"), ("!(", ")"), ("1 + ", ""), ("[", "]"), ("(1, ", ")")),
)
_NAMES = ("n", "s", "a b", "l", "x")


def floats(value: Any) -> Any:
    """Return a value as the filter gives it: with numbers that are float."""
    if isinstance(value, list):
        return [floats(one) for one in value]
    if isinstance(value, dict):
        return {key: floats(one) for key, one in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


_VALUE = json_values(5)


@fuzz(expressions, st.tuples(*[_VALUE] * 5))
def test_govaluate(text: str, values: tuple[Any, ...]) -> Any:
    expression = govaluate.compile(text)
    given = dict(zip(_NAMES, map(floats, values), strict=True))
    assert expression.needed <= set(expression.names)
    return expression.warnings, expression.run(given)
