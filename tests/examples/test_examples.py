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


FOLDERS = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
SENSORS = ROOT / "examples" / "sensors"
QUOTE = re.compile(r"<!-- examples/(\S+) -->\n+```ya?ml\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUOTED = [(name, block) for page in PAGES for name, block in QUOTE.findall(page.read_text())]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_example_passes_lint(folder: Path):
    reading = read([folder])
    found = check(reading, Setting()).findings

    assert reading.objects or reading.subscribed
    assert not [str(f) for f in found if f.severity == "error"]


def test_all_examples_are_clean_as_one_folder():
    findings = check(read([ROOT / "examples"]), Setting()).findings
    told = [f for f in findings if f.severity != "note"]

    assert {Path(f.place.file).parent.name for f in told} == {"bucket-workflow"}
    assert all(f.message.startswith("old shape") for f in told), "which it is there to show"


def test_every_example_of_a_sensor_has_cases():
    names = {path.name.removesuffix(".yaml") for path in SENSORS.glob("*.yaml")}
    tried = {name.removesuffix(".tocsin-test") for name in names if "." in name}

    assert {name for name in names if "." not in name} - tried == {"shop"}


@pytest.mark.parametrize(("name", "block"), QUOTED, ids=[name for name, _ in QUOTED])
def test_what_a_page_quotes_is_the_example_that_is_tried(name: str, block: str):
    text = (ROOT / "examples" / name).read_text()

    assert block.strip() in text


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_of_the_documentation_passes_lint(block: str):
    reading = read_text(block.encode(), "page")

    assert reading.objects or reading.subscribed
    assert not [str(f) for f in check(reading, Setting()).findings if f.severity == "error"]
