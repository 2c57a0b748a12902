"""Argo CD's own cases of health, and its own scripts, as its Go module has them: all of them pass.

The module is fetched by Go and checked against the public checksum database; nothing of it is kept.
"""

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from kube_cluster import missing

from notifier.health import HealthRules
from notifier.health.cases import Case, cases
from notifier.health.customizations import PREFIX, Customizations, customizations

MODULE = "github.com/argoproj/argo-cd/v3@v3.5.7"
LEAST = 1119
"""Cases that there are at least."""


@pytest.fixture(scope="module")
def suite(tmp_path_factory) -> Path:
    """The folder of the scripts and their cases."""
    if shutil.which("go") is None:
        missing("needs Go, to fetch the cases of Argo CD")
    folder = tmp_path_factory.mktemp("module")
    (folder / "go.mod").write_text("module cases\n")
    words = ("go", "mod", "download", "-json", MODULE)
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False, timeout=250)
    found = json.loads(done.stdout or b"{}")
    if "Dir" not in found:
        missing(f"fetching {MODULE}: {found.get('Error')} {done.stderr.decode()[:300]}")
    return Path(found["Dir"]) / "resource_customizations"


def read(suite: Path) -> Iterator[tuple[str, Path]]:
    """Yield `group/Kind` and the folder of each script."""
    for file in sorted(suite.rglob("health.lua")):
        group, kind = file.parent.relative_to(suite).parts
        yield f"{group}/{kind}".replace("_", "*"), file.parent


@cache
def all_cases(suite: Path) -> tuple[Case, ...]:
    return tuple(
        case
        for _, folder in read(suite)
        if (folder / "health_test.yaml").exists()
        for case in cases(folder / "health_test.yaml")
    )


def compiled(suite: Path) -> Customizations:
    given = {
        name: {"health.lua": (folder / "health.lua").read_text(), "health.lua.useOpenLibs": True}
        for name, folder in read(suite)
    }
    made = customizations({PREFIX: yaml.safe_dump(given)})
    assert made.problems == []
    return made


def script(made: Customizations, obj: dict):
    name = f"{obj['apiVersion'].rpartition('/')[0]}/{obj['kind']}".removeprefix("/")
    globs = [check for glob, check in made.globs if glob.matches(name)]
    return made.exact.get(name) or globs[0]


def test_every_script_gives_what_it_gives_in_argo_cd(suite):
    made = compiled(suite)

    wrong = [
        f"{case}: wanted {case.wanted}, got {found}"
        for case in all_cases(suite)
        if (found := script(made, case.obj)(case.obj)) != case.wanted
    ]

    assert len(all_cases(suite)) >= LEAST
    assert wrong == []


def test_our_own_rules_agree_with_them(suite):
    rules = HealthRules(generic=False)
    count: Counter[bool] = Counter()
    wrong = []
    for case in all_cases(suite):
        obj = json.loads(json.dumps(case.obj, default=str))
        obj.get("metadata", {}).pop("deletionTimestamp", None)  # Argo CD looks at that before
        found = rules.check(obj)
        if found is not None:
            count[found.status == case.wanted.status] += 1
            if found.status != case.wanted.status:
                wrong.append(f"{case} {case.wanted.status}: {found}")

    assert count[True] > 20 * count[False], wrong
    assert count[True] > 250


def test_the_generic_rule_breaks_on_none_of_their_objects(suite):
    rules = HealthRules(generic=True)
    for case in all_cases(suite):
        found = rules.check(case.obj)
        assert found is None or "not shaped" not in found.message, (str(case), found)
