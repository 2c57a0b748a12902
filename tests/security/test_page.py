"""`docs/security.md`: each of its claims names tests, and these exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
_TEST = re.compile(r"`((?:live|security|unit|image|stories)/[\w/]+\.py)((?:::\w+)+)`")
_ENFORCED = PAGE.partition("<!-- claims -->")[2].partition("<!-- end of claims -->")[0]
CLAIMS = [
    "".join(found.splitlines())
    for found in re.findall(r"^- .*(?:\n  .*)*", _ENFORCED, re.MULTILINE)
]
NAMED = sorted({(file, name) for file, name in _TEST.findall(PAGE)})


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(one.name for one in tree.body if isinstance(one, functions))


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim[2:40] for claim in CLAIMS])
def test_claim_names_a_test(claim: str) -> None:
    assert _TEST.search(claim), claim


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_test_exists(file: str, name: str) -> None:
    assert name.startswith("::test_")
    assert name[2:] in names_in(file)


def test_there_are_claims_and_all_attacks_belong_to_one() -> None:
    assert len(CLAIMS) > 20
    ours = {file.name for file in Path(__file__).parent.glob("test_*.py")}
    named = {Path(file).name for file, _ in NAMED if file.startswith("security/")}
    assert ours - named == {"test_page.py"}
