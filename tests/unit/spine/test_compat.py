"""Old shapes: every row of the table does what it says, and nothing else changes."""

import copy

import pytest
from old_shapes import CASES, Case, template

from spine.compat import FILE, TABLE, PathSecrets, modernise, rewriting
from spine.errors import ConfigError
from spine.model import dotted
from spine.secrets import ConfigMapRef, GivenSecrets, SecretRef


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.kind} {c}")
def test_old_shapes_become_todays(case: Case):
    before = copy.deepcopy(case.old)

    modern = modernise(case.kind, case.old)

    assert modern.raw == case.new
    assert case.old == before, "the given object was changed"
    said = [str(p) for p in modern.problems]
    for words in case.says:
        assert any(words in line for line in said), (words, said)
    assert bool(said) == bool(case.says), said


def test_every_row_has_a_case(monkeypatch):
    """Rows of a dlqTrigger are made from those of a trigger, so one of them stands for all."""
    hit = set()
    apply = rewriting._apply

    def noted(row, *more):
        hit.add((row.kind, row.at, row.key))
        apply(row, *more)

    monkeypatch.setattr(rewriting, "_apply", noted)
    for case in CASES:
        modernise(case.kind, case.old)

    twins = "spec.triggers.*.dlqTrigger"
    rows = {(row.kind, row.at, row.key) for row in TABLE if not row.at.startswith(twins)}
    assert rows - hit == set()


def test_what_is_written_today_passes_untouched():
    raw = {
        "metadata": {"name": "x"},
        "spec": {"triggers": [{"template": {"http": {"url": "u"}}, "policy": {"status": {}}}]},
    }

    modern = modernise("Sensor", raw)

    assert modern.raw is raw
    assert modern.problems == []


@pytest.mark.parametrize(
    "raw",
    [{"spec": None}, {"spec": []}, {"spec": {"triggers": 3, "dependencies": "x"}}, {}],
    ids=repr,
)
def test_nonsense_is_left_to_validation(raw):
    assert modernise("Sensor", raw).raw == raw


def test_a_moved_field_is_found_where_the_user_wrote_it():
    modern = modernise("Sensor", template(policy={"status": {"alow": [1]}}))

    path = ("spec", "triggers", 0, "policy", "status", "alow")
    assert dotted(modern.origin(path)) == "spec.triggers[0].template.policy.status.alow"


def test_files_of_old_manifests_are_read_and_all_else_comes_from_the_inner_place(tmp_path):
    (tmp_path / "key.pem").write_text("PEM\n")
    inner = GivenSecrets({("s", "k"): "v"}, {("c", "k"): "w"})
    secrets = PathSecrets(inner)

    assert secrets.secret(SecretRef(name=FILE, key=str(tmp_path / "key.pem"))) == "PEM"
    assert secrets.secret(SecretRef(name="s", key="k")) == "v"
    assert secrets.config_map(ConfigMapRef(name="c", key="k")) == "w"
    with pytest.raises(ConfigError, match=r"gone.pem: No such file"):
        secrets.secret(SecretRef(name=FILE, key=str(tmp_path / "gone.pem")))
