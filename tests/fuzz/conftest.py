"""The summary of a run: how many inputs each fuzz test had, and what the slowest of them took."""

from typing import Any

import pytest
from fuzz_kit import TALLIES


@pytest.fixture(autouse=True, scope="module")
def _only_what_ran(request: Any) -> Any:
    """Leave what the tests of the kit itself made out of the summary."""
    before = dict(TALLIES)
    yield
    if request.module.__name__.endswith("test_kit"):
        TALLIES.clear()
        TALLIES.update(before)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a line for each fuzz test that ran."""
    if not TALLIES:
        return
    terminalreporter.section("inputs made up")
    for name, tally in sorted(TALLIES.items()):
        share = 100 * tally.refused / max(tally.inputs, 1)
        terminalreporter.write_line(
            f"{name.removeprefix('test_'):32} {tally.inputs:7} inputs, {share:3.0f} % refused, "
            f"slowest {tally.slowest * 1000:6.1f} ms, all {tally.seconds:6.1f} s"
        )
