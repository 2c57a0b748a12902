"""What the documentation shows works: every example, and every YAML block of a page."""

import re
from pathlib import Path

import pytest

from spine.manifest import read, read_text
from tocsin.checks import Setting, check

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text()), 1)
]


def test_every_example_passes_lint():
    reading = read([ROOT / "examples"])
    found = check(reading, Setting()).findings

    assert len(reading.objects) >= 9
    assert not [str(f) for f in found if f.severity == "error"]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_the_documentation_passes_lint(block: str):
    reading = read_text(block.encode(), "page")

    assert reading.objects
    assert not [str(f) for f in check(reading, Setting()).findings if f.severity == "error"]
