"""Cases of health in Argo CD's format: our own, for kinds that other projects bring."""

from pathlib import Path

import pytest

from notifier.health import Health, HealthRules
from notifier.health.cases import Case, cases
from notifier.health.known import GROUPS, KINDS, nothing
from spine.errors import ConfigError

FOLDER = Path(__file__).parents[2] / "health"


CASES = [case for file in sorted(FOLDER.rglob("health_test.yaml")) for case in cases(file)]


def kind_of(case: Case) -> tuple[str, str]:
    return case.obj["apiVersion"].rpartition("/")[0], case.obj["kind"]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_cases(case: Case) -> None:
    group, kind = kind_of(case)
    script = case.file.parent.parent / "health.lua"
    data = {}
    if script.exists():
        data[f"resource.customizations.health.{group}_{kind}"] = script.read_text()
    generic = kind == "Application"  # strict rules have none for it

    health = HealthRules.of_config(data, generic=generic).check(case.obj)

    assert case.passes(health), health


def test_every_rule_of_ours_has_cases() -> None:
    kinds = {kind_of(case) for case in CASES}
    rules = {rule for kind, rule in KINDS.items() if kind in kinds}
    ends = {end for end in GROUPS for group, _ in kinds if f".{group}".endswith(end)}

    assert set(KINDS.values()) - rules - {nothing} == set()
    assert set(GROUPS) - ends == {".upbound.io", ".security.istio.io", ".telemetry.istio.io"}


def test_an_application_has_no_health_to_strict_rules() -> None:
    application = next(case.obj for case in CASES if case.obj["kind"] == "Application")

    assert HealthRules(generic=False).check(application) is None


def test_a_case_without_a_message_takes_any() -> None:
    case = Case(Path("x"), {}, Health("Healthy"), any_message=True)

    assert case.passes(Health("Healthy", "whatever"))
    assert not case.passes(Health("Degraded"))
    assert not case.passes(None)
    assert not case._replace(any_message=False).passes(Health("Healthy", "whatever"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "tests: [{inputPath: x.yaml}]",
            "reading case 1 of .*: 'healthstatus' .write healthStatus",
        ),
        (
            "tests: [{healthStatus: {status: Healthy}, inputPath: nowhere.yaml}]",
            "nowhere.yaml: No ",
        ),
        ("a: b", "nothing of use is in there"),
        ("a: b: c", "not YAML"),
    ],
)
def test_cases_that_cannot_be_read_say_why(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "health_test.yaml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=problem):
        list(cases(file))
