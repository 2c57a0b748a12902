"""The Dockerfile without building it: what is true of it at a glance. `check.py` builds it."""

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from dockerfile import command, filled, pairs, read  # noqa: E402 -- a file beside this one

FILE = read(ROOT / "Dockerfile")
LAST = FILE.stages[-1]


def test_result_is_nobodys_and_needs_no_shell() -> None:
    assert LAST.of("USER") == ["65532:65532"]
    assert command(LAST.of("ENTRYPOINT")[0]) == ["/opt/tocsin/bin/tocsin"]
    assert LAST.of("RUN") == []  # so that a base without a shell will do
    assert all(one.startswith("--from=build ") for one in LAST.of("COPY"))
    assert pairs(LAST.of("ENV")[0])["PYTHONSAFEPATH"] == "1"


def test_labels() -> None:
    labels = {k: v for rest in LAST.of("LABEL") for k, v in pairs(rest).items()}
    wanted = {"title", "description", "licenses", "version", "revision"}
    assert {name.removeprefix("org.opencontainers.image.") for name in labels} == wanted


def test_build_arguments() -> None:
    assert set(FILE.args) == {"DEBIAN", "BASE"}
    build = FILE.stages[1]
    args = dict(rest.partition("=")[::2] for rest in build.of("ARG"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    every = set(project["optional-dependencies"])
    assert set(args["EXTRAS"].split(",")) == every - {"local"}  # no nats-server unless asked for
    install = next(one for one in build.of("RUN") if "pip install" in one)
    assert ",local]" not in filled(install, args)
    assert ",local]" in filled(install, args | {"NATS_SERVER": "true"})


def test_every_dependency_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(one.split("==") for one in lines if one and not one.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    for text in wanted:
        one = Requirement(text)
        name = one.name.lower().replace("_", "-")
        assert name in pins, f"{name}: write constraints.txt anew, as it says"
        assert one.specifier.contains(pins[name]), f"{name}: {pins[name]} is not {one.specifier}"


@pytest.mark.parametrize(
    ("text", "found"),
    [("a${X:+,b}", "a,b"), ("a${Y:+,b}", "a"), ("${Y:-d}", "d"), ("$X-${X}", "1-1")],
)
def test_variables(text: str, found: str) -> None:
    assert filled(text, {"X": "1", "Y": ""}) == found


def test_context_holds_the_package_and_nothing_else() -> None:
    from steps import context

    tops = {path.parts[0] for path in context()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert tops >= packages | {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "crds"}
    assert not tops & {"tests", "docs", ".git", ".venv", "benchmarks", "examples"}
    for folder in project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]:
        assert folder.split("/")[0] in tops, f"{folder}: the wheel needs it, .dockerignore hides it"
    assert not [path for path in context() if path.suffix == ".pyc"]
