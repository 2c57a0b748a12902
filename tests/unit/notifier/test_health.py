"""Which rule of health holds: a user's, ours, the generic one; and the keys that customize it."""

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifier.health import STATUSES, Health, HealthProblem, HealthRules, worst
from notifier.health.custom import INVALID, REST, CustomCheck
from notifier.health.globs import glob
from spine.lang.lua import checks

KEY = "resource.customizations"
THING = {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {}, "status": {"phase": "Ready"}}


def says(word: str) -> str:
    return f"return {{status = 'Suspended', message = '{word}'}}"


def rules(generic: bool = True, **data: str) -> HealthRules:
    return HealthRules.of_config(data, generic=generic)


def of(data: dict[str, str], obj: dict[str, Any], *, generic: bool = True) -> Health | None:
    return HealthRules.of_config(data, generic=generic).check(obj)


# ---------------------------------------------------------------------------- worst


def test_the_worst_of_all_is_unknown_and_the_best_healthy() -> None:
    assert worst([]) == "Healthy"
    assert worst(["Healthy", "Suspended"]) == "Suspended"
    assert worst(["Missing", "Progressing", "Degraded"]) == "Degraded"
    assert worst(STATUSES) == "Unknown"
    assert worst(["", "nonsense", "Suspended"]) == "Suspended"


@given(st.lists(st.sampled_from(STATUSES)), st.lists(st.sampled_from(STATUSES)))
def test_the_worst_of_parts_is_the_worst_of_all(some: list[str], others: list[str]) -> None:
    assert worst([worst(some), worst(others)]) == worst([*some, *others])


# ---------------------------------------------------------------------------- order


def test_order_of_rules() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": {}}
    given = {
        f"{KEY}.health.apps_Deployment": says("exact"),
        KEY: f"""
"*":
  health.lua: {says("all")}
"a*":
  health.lua: {says("a")}
"apps/*":
  health.lua: {says("apps")}
"apps/Deployment":
  health.lua: {says("mapped")}
""",
    }
    assert of(given, deployment) == Health("Suspended", "exact")
    del given[f"{KEY}.health.apps_Deployment"]
    assert of(given, deployment) == Health("Suspended", "mapped")
    assert of(given, {**deployment, "kind": "StatefulSet"}) == Health("Suspended", "apps")
    assert of(given, {**deployment, "apiVersion": "av/v1"}) == Health("Suspended", "a")
    assert of(given, THING) == Health("Suspended", "all")
    assert of({}, THING) == Health("Healthy", "its phase is Ready")
    assert of({}, THING, generic=False) is None
    going = {**deployment, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert of(given, going) == Health("Progressing", "Pending deletion")


def test_a_kind_of_the_core_group_has_no_group_in_its_key() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}}

    assert of({f"{KEY}.health.Pod": says("core")}, pod) == Health("Suspended", "core")
    assert of({KEY: f'Pod: {{health.lua: "{says("core")}"}}'}, pod) == Health("Suspended", "core")


def test_all_is_every_kind_with_a_group() -> None:
    given = {f"{KEY}.health.all": says("all")}

    assert of(given, THING) == Health("Suspended", "all")
    assert of(given, {"apiVersion": "v1", "kind": "ConfigMap"}) is None


def test_a_kind_of_ours_is_looked_up_once_and_each_version_by_itself() -> None:
    made = rules()
    old = {"apiVersion": "apps/v1beta2", "kind": "Deployment", "metadata": {}, "spec": {}}

    assert made.check(old) == made.check(old)
    assert made.check(old) != made.check({**old, "apiVersion": "apps/v1"})


# ---------------------------------------------------------------------------- keys


def test_libraries_are_given_by_their_key() -> None:
    source = "return {status = string.format('%s', 'Healthy')}"
    name = "resource.customizations.useOpenLibs.x.io_Thing"

    assert of({f"{KEY}.health.x.io_Thing": source, name: "true"}, THING) == Health("Healthy")
    found = of({f"{KEY}.health.x.io_Thing": source}, THING)
    assert found is not None
    assert found.status == "Unknown"
    assert "attempt to index global 'string'" in found.message
    mapped = f'x.io/Thing: {{health.lua: "{source}", health.lua.useOpenLibs: true}}'
    assert of({KEY: mapped}, THING) == Health("Healthy")


def test_each_key_overrides_its_own_part_only() -> None:
    source = "return {status = string.format('Healthy')}"
    mapped, opened = f'x.io/Thing: {{health.lua: "{source}"', "health.lua.useOpenLibs: true}"
    switch, split = f"{KEY}.useOpenLibs.x.io_Thing", f"{KEY}.health.x.io_Thing"

    good = Health("Healthy")
    assert of({KEY: mapped + "}", switch: "true"}, THING) == good
    assert of({KEY: "x.io/Thing: {" + opened, split: source}, THING) == good
    assert of({KEY: mapped + ", " + opened}, THING) == good
    assert of({KEY: mapped + ", " + opened, switch: "false"}, THING) != good


def test_an_empty_script_is_none() -> None:
    assert of({f"{KEY}.health.x.io_Thing": " \n"}, THING) == Health("Healthy", "its phase is Ready")


def problem(text: str) -> str:
    return text.replace("KEY", KEY)


@dataclass(frozen=True)
class Trouble:
    data: dict[str, str]
    wanted: str

    def __str__(self) -> str:
        return str(self.data)[:60]


PROBLEMS = [
    Trouble({}, ""),
    Trouble({"resource.exclusions": "x", "resource.compareoptions": "y", "url": "z"}, ""),
    Trouble({"KEY.actions.apps_Deployment": "x", "KEY.ignoreDifferences.all": "y"}, ""),
    Trouble({"KEY.ignoreResourceUpdates.x.io_A": "", "KEY.knownTypeFields.x.io_A": ""}, ""),
    Trouble({"KEY": "a/B:\n  actions: |\n    x\n  ignoreDifferences: y\n"}, ""),
    Trouble(
        {"KEY.helth.apps_Deployment": "return {}"},
        "KEY.helth.apps_Deployment:1: no such customization: 'helth' (did you mean "
         "KEY.health.apps_Deployment)",
    ),
    Trouble(
        {"resource.customisations.health.Pod": "return {}"},
        "resource.customisations.health.Pod:1: it is of no effect (did you mean KEY.health.Pod)",
    ),
    Trouble(
        {"KEY.health.apps_v1_Deployment": "return {}"},
        "KEY.health.apps_v1_Deployment:1: 'apps_v1_Deployment' is no group and kind (did you mean "
         "apps_Deployment)",
    ),
    Trouble(
        {"KEY.health.apps.Deployment": "return {}"},
        "KEY.health.apps.Deployment:1: 'apps.Deployment' is no group and kind (did you mean "
         "apps_Deployment)",
    ),
    Trouble(
        {"KEY.health.x.io_Thing": "hs = {}\nif then\nreturn hs"},
        "KEY.health.x.io_Thing:2: compiling the health check of x.io/Thing: line 2: 'then' is not "
         "expected",
    ),
    Trouble(
        {"KEY": "x.io/Thing:\n  health.lua: |\n    hs = {}\n    return hs hs\n"},
        "KEY:4: compiling the health check of x.io/Thing: line 2: 'hs' cannot be reached",
    ),
    Trouble(
        {"KEY": "x.io/Thing:\n  helth.lua: |\n    return {}\n"},
        "KEY:2: x.io/Thing: no such customization: 'helth.lua' (did you mean health.lua)",
    ),
    Trouble({"KEY": "x.io/Thing: 3"}, "KEY:1: x.io/Thing: it is no mapping"),
    Trouble({"KEY": "- a"}, "KEY:1: it is no mapping of group/Kind to customizations"),
    Trouble({"KEY": "\na: b: c"}, "KEY:2: not YAML: mapping values are not allowed in this "
     "context (put a text that contains ': ' in quotes, and check the indentation)"),
    Trouble({"KEY": "x.io/Thing: {health.lua: 3}"}, "KEY:1: x.io/Thing: health.lua: it is no text"),
    Trouble({"KEY": '"x{": {health.lua: "return {}"}'},
     "KEY:1: reading the pattern 'x{': nothing closes {"),
    Trouble(
        {"KEY.health.x.io_Thing": "return {a = os.time(), b = string.x}"},
        "KEY.health.x.io_Thing:1: the health check of x.io/Thing uses os, string, which it is not "
         "given (add KEY.useOpenLibs.x.io_Thing: true)",
    ),
    Trouble(
        {"KEY": "'*.io/Thing': {health.lua: 'return string.x'}"},
        "KEY:1: the health check of *.io/Thing uses string, which it is not given (add "
        "health.lua.useOpenLibs: true)",
    ),
    Trouble(
        {"KEY.useOpenLibs.x.io_Thing": "true"},
        "KEY.useOpenLibs.x.io_Thing:1: it says nothing without KEY.health.x.io_Thing",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", PROBLEMS, ids=str)
def test_problems_say_where_and_what_was_meant(case: Trouble) -> None:
    data = {problem(key): text for key, text in case.data.items()}

    found = HealthRules.of_config(data, generic=True).problems

    assert "\n".join(map(str, found)) == problem(case.wanted)


def test_a_bad_key_disables_that_key_only() -> None:
    made = HealthRules.of_config(
        {f"{KEY}.health.x.io_Thing": "no Lua", f"{KEY}.health.x.io_Other": says("good")},
        generic=True,
    )

    assert [one.severity for one in made.problems] == ["error"]
    assert made.check(THING) == Health("Healthy", "its phase is Ready")
    assert made.check({**THING, "kind": "Other"}) == Health("Suspended", "good")
    assert isinstance(made.problems[0], HealthProblem)


# ---------------------------------------------------------------------------- what a check says


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("return {status = 'Degraded', message = 'm', more = 1}", Health("Degraded", "m")),
        ("return {Status = 'Healthy', MESSAGE = 'm'}", Health("Healthy", "m")),
        ("return {status = 'Healthy', status2 = {}}", Health("Healthy")),
        ("return {status = 'Great'}", Health("Unknown", INVALID)),
        ("return {message = 'no status'}", Health("Unknown", INVALID)),
        ("return {}", Health("")),
        ("return nil", Health("")),
        ("", Health("")),
        ("return 1, {status = 'Missing'}", Health("Missing")),
        ("return {status = 3}", "running the health check: status is a number, not a text"),
        ("return {'Healthy'}", "running the health check: it returned a list"),
        ("return 'Healthy'", "running the health check: it returned a string, not a table"),
        ("return obj.status.x.y", "running the health check: line 1: attempt to index field 'x'"),
    ],
)
def test_what_a_check_says(source: str, wanted: Health | str) -> None:
    found = CustomCheck(checks.compile(source))(THING)

    if isinstance(wanted, str):
        assert found.status == "Unknown"
        assert found.message.startswith(wanted)
    else:
        assert found == wanted


def test_a_check_that_has_to_be_ended_rests_in_proportion() -> None:
    times = itertools.chain([0.0, 1.0, 1.0 + REST - 0.1, 1.0 + REST, 2.0 + REST])
    check = CustomCheck(checks.compile("while true do end"), clock=lambda: next(times))

    first = check(THING)
    resting = check(THING)
    again = check(THING)

    assert first == resting == again
    assert first == Health("Unknown", "running the health check: it took too many steps")
    assert next(times, None) is None  # while it rested the clock was looked at only once


# ---------------------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("*.aws.crossplane.io/*", ["s3.aws.crossplane.io/Bucket"], ["aws.crossplane.io/Bucket"]),
        ("*", ["a/B", "B"], []),
        ("*/*", ["a/B", "a/b/C"], ["B"]),
        ("a.io/{B,C*}", ["a.io/B", "a.io/Cat"], ["a.io/D", "a.io/BC"]),
        ("a?io/[A-C]x", ["a.io/Bx"], ["a.io/Dx", "a.io/B"]),
        ("a.io/[!A]", ["a.io/B"], ["a.io/A"]),
        ("a\\*b", ["a*b"], ["axb"]),
        ("a,b", ["a,b"], ["a"]),
        ("a.io/B", ["a.io/B"], ["axio/B"]),
    ],
)
def test_patterns(pattern: str, fits: list[str], does_not: list[str]) -> None:
    made = glob(pattern)

    assert [text for text in [*fits, *does_not] if made.matches(text)] == fits


@pytest.mark.parametrize("pattern", ["{a", "[z-a]", "x" * 300])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        glob(pattern)


@given(st.text("ab*?[]{},\\/.-!^", max_size=12), st.text("ab/.", max_size=8))
def test_no_pattern_breaks(pattern: str, text: str) -> None:
    try:
        made = glob(pattern)
    except ValueError:
        return
    assert made.matches(text) in {True, False}
